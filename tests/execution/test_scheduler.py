"""Waits for a scheduler and its workers."""

import time

import pytest
from distributed import Client, LocalCluster

from novelty_dask.errors import ClusterError
from novelty_dask.execution.scheduler import Scheduler, Watch
from tests.support.cluster import patience


def check_often(watch: Watch, times: int) -> None:
    """Look at the workers again and again."""
    for _ in range(times):
        time.sleep(0.1)
        watch.check()


@pytest.mark.process
def test_workers_are_missed_only_after_a_look_at_them() -> None:
    with (
        LocalCluster(
            n_workers=1, processes=False, protocol="tcp", dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        with patience(workerless="50ms", watch="200ms"):
            watch = Watch(Scheduler(client))
            check_often(watch, 5)
            assert watch.workers
        with patience(workerless="50ms", watch="10ms"):
            cluster.scale(0)
            watch = Watch(Scheduler(client))
            with pytest.raises(ClusterError, match="no worker for"):
                check_often(watch, 100)
