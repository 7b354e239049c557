"""The commands on jobs, as far as they need no cluster; tests/faults/test_jobs.py has the rest."""

import json
from pathlib import Path

import novelty_dask
from novelty_dask.jobs.record import JobRecord, create_job
from novelty_dask.storage.runs import open_stored
from tests.support.fixtures import Novelty


def with_job(folder: Path) -> tuple[str, JobRecord]:
    """Return a run that is complete, and its job."""
    run = novelty_dask.score(urls=["a.example/1", "b.example/2"], out=folder / "run.zarr")
    return run.url, create_job(open_stored(run.url).objects, "token", "", {})


def test_status_shows_the_job(novelty: Novelty, tmp_path: Path) -> None:
    run, record = with_job(tmp_path)
    record.start(where="here")
    record.end(1, "It failed\x1b.")
    record.start(where="here")
    record.close("given up", "There was\x1b no luck.")
    said = novelty("status", run, "--watch")
    assert said.exit_code == 0
    assert r"job      1, given up: 2 drivers started, 1 killed; There was\x1b no luck." in said.stdout
    document = json.loads(novelty("status", run, "--json").stdout)
    assert document["job"] == {
        "number": 1,
        "state": "given up",
        "starts": 2,
        "deaths": 1,
        "words": "There was\x1b no luck.",
    }


def test_logs_are_printed_and_end_with_the_job(novelty: Novelty, tmp_path: Path) -> None:
    run, record = with_job(tmp_path)
    record.write_log(1, b'{"line": 1, "at": 0, "text": "compare\\u001b: started"}\n')
    for more in ([], ["--follow"]):
        said = novelty("logs", run, *more)
        assert said.stdout.endswith(" driver 1: compare\\x1b: started\n")


def test_what_is_over_is_not_cancelled(novelty: Novelty, tmp_path: Path) -> None:
    run, record = with_job(tmp_path)
    record.close("complete", "The run is complete.")
    assert novelty("cancel", run).stdout == "Job 1 is over already: complete.\n"
    assert not record.is_unwanted()


def test_a_run_without_a_job_is_refused(novelty: Novelty, tmp_path: Path) -> None:
    run = novelty_dask.score(urls=["a.example/1", "b.example/2"], out=tmp_path / "run.zarr").url
    for command in ("cancel", "logs"):
        said = novelty(command, run)
        assert said.exit_code == 2
        assert said.stderr == f"Error: The run {run!r} has no job; submit it to give it one.\n"
    said = novelty("cancel", tmp_path / "none.zarr")
    assert (said.exit_code, said.stderr.count("\n")) == (2, 1)


def test_a_job_needs_a_scheduler_that_answers(novelty: Novelty, tmp_path: Path) -> None:
    (tmp_path / "urls.txt").write_text("a.example/1\nb.example/2\n", encoding="utf-8")
    out = tmp_path / "run.zarr"
    said = novelty("submit", tmp_path / "urls.txt", "-o", out)
    assert said.exit_code == 2
    assert "A job needs a Dask scheduler" in said.stderr
    said = novelty("submit", tmp_path / "urls.txt", "-o", out, "--scheduler", "tcp://127.0.0.1:1")
    assert said.exit_code == 3
    assert "Can't reach a Dask scheduler at 'tcp://127.0.0.1:1'" in said.stderr
    assert not out.exists()
