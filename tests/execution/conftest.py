"""What runs the tasks of these tests."""

from collections.abc import Iterator

import pytest
from distributed import Client, LocalCluster

from novelty_dask.execution.clusters import client_executor
from novelty_dask.execution.executors import Executor, SerialExecutor


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
