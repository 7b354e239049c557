"""The supervisor of a scheduler in this process, whose drivers fail or wait."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, LocalCluster

from novelty_dask.jobs import supervisor
from novelty_dask.jobs.record import JobRecord, create_job
from novelty_dask.jobs.supervisor import NAME, Supervisor
from novelty_dask.objects.local import LocalObjects
from tests.support.processes import wait_until

SOON = {f"novelty-dask.jobs.{name}": value for name, value in {"look": "100ms", "pause": "10ms"}.items()}


@pytest.fixture
def record(tmp_path: Path) -> JobRecord:
    """A job whose run is there as far as a supervisor looks."""
    return create_job(LocalObjects(tmp_path / "run.zarr"), "token", "", {})


@pytest.fixture
def client() -> Iterator[Client]:
    with (
        dask.config.set({**SOON, "novelty-dask.jobs.starts": 3}),
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster, timeout=60) as connected,
    ):
        yield connected


def adopt(client: Client, made: Supervisor, record: JobRecord) -> tuple[str, str]:
    """Let the supervisor of a scheduler look after a job."""
    client.register_plugin(made)
    objects: Any = record.objects
    found: tuple[str, str] = client.run_on_scheduler(supervisor.adopt, url=str(objects.root))
    return found


def fail(url: str, token: str, scheduler: str) -> str:
    """Drive a run into nothing."""
    message = f"no luck with {token}"
    raise RuntimeError(message)


@pytest.mark.filterwarnings("ignore")
def test_a_job_without_a_new_commit_is_given_up(
    client: Client, record: JobRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "drive", fail)
    notes = tmp_path / "notes"
    assert adopt(client, Supervisor(str(notes)), record) == ("token", str(notes))
    wait_until(lambda: record.view().verdict)
    view = record.view()
    assert view.verdict == "given up"
    assert view.words.startswith("3 starts brought no new commit; the last words were: ")
    assert "no luck with token" in view.words
    # What is over is noted nowhere.
    wait_until(lambda: not [*notes.iterdir()])


def test_a_cancelled_job_is_not_started(
    client: Client, record: JobRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "drive", fail)
    record.cancel()
    assert adopt(client, Supervisor(), record) == ("token", "")
    wait_until(lambda: record.view().verdict)
    assert record.view().verdict == "cancelled"


def test_jobs_that_were_noted_are_taken_up(client: Client, record: JobRecord, tmp_path: Path) -> None:
    record.cancel()
    objects: Any = record.objects
    supervisor._note(str(tmp_path / "notes"), "token", str(objects.root))
    client.register_plugin(Supervisor(str(tmp_path / "notes")))
    wait_until(lambda: record.view().verdict)


def test_of_two_registered_one_is_there(client: Client) -> None:
    client.register_plugin(Supervisor("one"))
    client.register_plugin(Supervisor("two"))

    def folder(dask_scheduler: Any) -> str:
        return str(dask_scheduler.plugins[NAME].folder)

    assert client.run_on_scheduler(folder) == "one"


def test_a_run_that_is_not_seen_has_no_token(client: Client, tmp_path: Path) -> None:
    client.register_plugin(Supervisor())
    url = str(tmp_path / "nothing.zarr")
    assert client.run_on_scheduler(supervisor.adopt, url=url) == ("", "")
