"""Shared fixtures."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from novelty_dask.execution.clusters.connect import client_executor
from novelty_dask.execution.executors import Executor, SerialExecutor

WAITING = ("tests/faults", "tests/execution", "tests/system")
CORPORA = Path(os.environ.get("NOVELTY_CORPORA", Path(__file__).parents[2] / "shared" / "corpora"))


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Folder of real corpora, which are not part of the project."""
    if not (CORPORA / "urls_1m.txt.xz").exists():
        pytest.skip(f"no real corpora in {CORPORA}; set NOVELTY_CORPORA to their folder")
    return CORPORA


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests that share a cluster run in one process, and begin with those that wait most."""
    for item in items:
        if "shared_cluster" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("cluster"))
    items.sort(
        key=lambda item: not item.nodeid.startswith(("tests/faults", "tests/execution", "tests/system"))
    )


def pytest_configure() -> None:
    """Hear Ctrl-C again where the tests run in the background, as the processes that they start shall."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A client of two workers in this process."""
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(params=["serial", "dask"])
def executor(request: pytest.FixtureRequest) -> Executor:
    """Either way to run tasks, one after the other."""
    if request.param == "serial":
        return SerialExecutor()
    return client_executor(request.getfixturevalue("client"))
