"""What `submit` refuses, and the job that it makes, on a cluster of this process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, LocalCluster

import novelty_dask
from novelty_dask.errors import ClusterError, InputError, JobError, SettingsError, StoreError
from novelty_dask.jobs.record import create_job
from novelty_dask.objects.address import open_objects
from tests.support.content import content
from tests.support.files import write_lines
from tests.support.servers import PAGE, answering

SMALL: dict[str, Any] = {"n_features": 2**14, "n_neighbors": 5, "block_rows": 64}


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A cluster of processes."""
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", memory_limit="2 GB"
        ) as cluster,
        Client(cluster, timeout=60) as connected,
    ):
        yield connected


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lines(tmp_path_factory.mktemp("urls") / "urls.txt", novelty_dask.datasets.make_urls(150)[0])


def test_a_job_is_what_scoring_is(client: Client, urls: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    job = novelty_dask.submit(urls, out, client=client, **SMALL)
    run = job.wait(300)
    assert content(run) == content(novelty_dask.score(urls, tmp_path / "alone.zarr", workers=0, **SMALL))
    found = novelty_dask.Job(run)
    now = found.status()
    assert (now.number, now.state, now.starts, now.deaths, now.is_over) == (1, "complete", 1, 0, True)
    assert any("compare: done" in line for line in found.logs())
    assert [*found.follow()] == found.logs()
    shown = found._repr_html_()
    assert "<dd>1, complete</dd>" in shown
    assert "The run is complete." in shown
    assert repr(found) == f"<Job 1 of {str(out)!r}: complete>"
    # Cancelled too late, it stays as it is; submitted once more, it is the same.
    found.cancel()
    assert novelty_dask.submit(urls, out, client=client, **SMALL).status() == now


def test_other_settings_are_refused_as_by_score(client: Client, urls: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    novelty_dask.submit(urls, out, client=client, **SMALL)
    with pytest.raises(StoreError, match="holds another run"):
        novelty_dask.submit(urls, out, client=client, **{**SMALL, "n_neighbors": 6})
    novelty_dask.Job(out).wait(300)


def test_what_can_be_read_once_is_kept_before_submit_returns(client: Client, tmp_path: Path) -> None:
    lines = iter(novelty_dask.datasets.make_urls(100)[0])
    job = novelty_dask.submit(urls=lines, out=tmp_path / "run.zarr", client=client, **SMALL)
    assert next(lines, None) is None
    assert len(job.wait(300)) > 90


def test_impossible_jobs_are_refused(client: Client, urls: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    with pytest.raises(SettingsError, match="needs a Dask scheduler"):
        novelty_dask.submit(urls, out)
    with pytest.raises(SettingsError, match="needs a run"):
        novelty_dask.submit(urls, client=client)
    with pytest.raises(SettingsError, match="can't have a vectorizer"):
        novelty_dask.submit(urls, out, client=client, vectorizer=object())
    with pytest.raises(InputError, match="either the names"):
        novelty_dask.submit(out=out, client=client)
    with pytest.raises(ClusterError, match="Can't reach a Dask scheduler"):
        novelty_dask.submit(urls, out, client="tcp://127.0.0.1:1")
    with answering(PAGE) as address, pytest.raises(ClusterError, match="Can't reach a Dask scheduler"):
        novelty_dask.submit(urls, out, client=address)
    assert not out.exists()


def test_a_run_without_a_job_has_none(urls: Path, tmp_path: Path) -> None:
    run = novelty_dask.score(urls, tmp_path / "run.zarr", workers=0, **SMALL)
    with pytest.raises(StoreError, match="has no job"):
        novelty_dask.Job(run)


def test_drivers_that_were_killed_are_counted_before_the_verdict(urls: Path, tmp_path: Path) -> None:
    run = novelty_dask.score(urls, tmp_path / "run.zarr", workers=0, **SMALL)
    record = create_job(open_objects(run.url), "token", "tcp://a", {})
    record.start(where="here")
    record.start(where="there")
    job = novelty_dask.Job(run)
    between = job.status()
    assert (between.state, between.starts, between.deaths) == ("complete", 2, 1)
    record.end(2, between.words)
    assert job.status() == between
    assert [*job.follow()] == job.logs()
    record.close("complete", between.words)
    assert job.status() == between


def test_a_cancelled_job_is_told_to_who_waits(client: Client, urls: Path, tmp_path: Path) -> None:
    job = novelty_dask.submit(urls, tmp_path / "run.zarr", client=client, **SMALL)
    with pytest.raises(TimeoutError, match="it goes on"):
        job.wait(-1)
    novelty_dask.Job(tmp_path / "run.zarr").cancel()
    with pytest.raises(JobError, match="ended as cancelled"):
        job.wait(300)
