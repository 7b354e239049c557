import json
import shutil
from pathlib import Path

import pytest

from novelty_dask.jobs.record import KEPT_LOGS, JobRecord, create_job, find_job
from novelty_dask.objects.local import LocalObjects
from novelty_dask.objects.owners import JobToken, claim


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path / "run.zarr")


@pytest.fixture
def record(objects: LocalObjects) -> JobRecord:
    return create_job(objects, "token", "tcp://a", {"block_rows": 64})


def test_a_run_has_no_job_until_one_is_made(objects: LocalObjects) -> None:
    assert find_job(objects) is None
    made = create_job(objects, "one", "tcp://a", {"block_rows": 64})
    found = find_job(objects)
    assert found
    assert (found.number, found.token, found.order["work"]) == (made.number, "one", {"block_rows": 64})
    create_job(objects, "two", "tcp://a", {})
    newest = find_job(objects)
    assert newest
    assert (newest.number, newest.token) == (2, "two")


def test_a_view_counts_drivers_and_has_the_last_words(record: JobRecord) -> None:
    assert record.view() == (0, 0, False, False, "", "")
    assert record.start(where="here") == 1
    assert record.start(where="there") == 2
    record.end(1, "It failed.")
    assert record.view() == (2, 1, False, False, "", "It failed.")
    assert record.view().is_open
    record.end(2, "It failed, too.")
    assert record.view() == (2, 2, True, False, "", "It failed, too.")
    record.cancel()
    assert record.view().is_unwanted
    assert not record.view().is_open
    record.close("cancelled", "It was cancelled.")
    # The first verdict stays.
    record.close("complete", "The run is complete.")
    assert record.view()[4:] == ("cancelled", "It was cancelled.")


def test_a_job_is_driven_while_its_own_driver_holds_the_run(objects: LocalObjects, record: JobRecord) -> None:
    assert not record.is_driven()
    with claim(objects, "run.zarr"):
        assert not record.is_driven()
    with claim(objects, "run.zarr", job=JobToken("token", "scheduler")):
        assert record.is_driven()
    assert not record.is_driven()


def test_only_the_last_logs_are_kept(record: JobRecord) -> None:
    for _ in range(KEPT_LOGS + 3):
        record.write_log(record.start(), b"{}\n")
    assert [*record.read_logs()] == [*range(4, KEPT_LOGS + 4)]


def test_nothing_is_written_into_a_run_that_is_gone(objects: LocalObjects, record: JobRecord) -> None:
    shutil.rmtree(objects.root)
    record.end(1, "words")
    record.close("failed", "words")
    record.cancel()
    record.write_log(1, b"{}\n")
    assert record.start() == 1
    assert not objects.root.exists()


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", json.dumps("x").encode()])
def test_a_damaged_record_says_nothing(objects: LocalObjects, record: JobRecord, content: bytes) -> None:
    objects.write("jobs/00001/verdict.json", content)
    assert record.view().verdict == ""
    objects.write("jobs/00001/order.json", content)
    found = find_job(objects)
    assert found
    assert found.token == ""
    assert not found.is_driven()
