"""How a driver takes its own end; that it drives is tried by tests/faults/test_jobs.py."""

from pathlib import Path

import pytest

import novelty_dask
from novelty_dask.errors import (
    BudgetError,
    ClusterError,
    DiskFullError,
    InputError,
    OwnedError,
    UnreachableError,
)
from novelty_dask.jobs.driver import Driver
from novelty_dask.jobs.record import create_job
from novelty_dask.storage.runs import open_stored


@pytest.fixture
def driver(tmp_path: Path) -> Driver:
    """A driver of a run that is complete in truth."""
    run = novelty_dask.score(urls=["a.example/1", "b.example/2"], out=tmp_path / "run.zarr")
    stored = open_stored(run.url)
    return Driver(stored, create_job(stored.objects, "token", "", {}), "scheduler")


@pytest.mark.parametrize("kind", [InputError, BudgetError])
def test_what_no_driver_can_mend_ends_the_job(driver: Driver, kind: type[Exception]) -> None:
    assert driver.fail(kind("'a.txt' has changed.")) == "'a.txt' has changed."
    view = driver.record.view()
    assert (view.verdict, view.words) == ("failed", "'a.txt' has changed.")


@pytest.mark.parametrize(
    "kind", [ClusterError, DiskFullError, OwnedError, UnreachableError, ZeroDivisionError]
)
def test_what_another_driver_may_mend_is_said_and_the_job_goes_on(
    driver: Driver, kind: type[Exception]
) -> None:
    with pytest.raises(RuntimeError, match="It failed"):
        driver.fail(kind("It failed."))
    view = driver.record.view()
    assert (view.is_open, view.starts, view.ends, view.words) == (True, 1, 1, "It failed.")
    [lines] = driver.record.read_logs().values()
    assert b"It failed." in lines
