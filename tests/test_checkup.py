"""Checks of a cluster, with real schedulers and workers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import LocalCluster

from novelty_dask.checkup import examine_cluster
from novelty_dask.doctor import OK, PROBLEM, Check
from novelty_dask.execution.clusters.certificates import make_certificates
from novelty_dask.execution.clusters.probes import open_ways
from novelty_dask.settings import WorkSettings


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    ) as cluster:
        yield cluster


def checks(found: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in found}


def test_a_cluster_that_is_well(cluster: LocalCluster, tmp_path: Path) -> None:
    settings = WorkSettings.make(scheduler=cluster.scheduler_address)
    found = checks(examine_cluster(settings, str(tmp_path / "runs")))
    assert list(found) == [
        "encryption",
        "workers",
        "worker memory",
        "worker cores",
        "clocks",
        "worker code",
        "store",
        "dashboard",
    ]
    assert found["workers"].found == "2 with the versions of this machine"
    assert found["store"] == Check(
        "store", OK, f"{str(tmp_path / 'runs')!r} is written and read by each of 2 workers"
    )
    assert found["encryption"].found.endswith("is reached from this machine alone")
    # Nothing is left in the store.
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_store_that_workers_do_not_share_is_found(cluster: LocalCluster, tmp_path: Path) -> None:
    # Each worker has a memory of its own.
    found = checks(examine_cluster(WorkSettings.make(scheduler=cluster.scheduler_address), "memory://runs"))
    assert found["store"].state == PROBLEM
    assert "2 workers are the first to create one object" in found["store"].found


def test_a_store_that_takes_nothing_is_found(cluster: LocalCluster, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = WorkSettings.make(scheduler=cluster.scheduler_address)
    found = checks(examine_cluster(settings, str(tmp_path / "file")))
    assert found["store"].state == PROBLEM
    assert "can't use" in found["store"].found


def test_what_a_stranger_gets_is_tried(cluster: LocalCluster, tmp_path: Path) -> None:
    assert open_ways(cluster.scheduler_address) == ["without encryption"]
    pytest.importorskip("cryptography")
    make_certificates(str(tmp_path / "certs"))
    name = tmp_path / "cluster.yaml"
    name.write_text("place: local\nmaximum: 1\nmemory: 1 GB\ncerts: certs\ndashboard: 0\nwait: 300\n")
    found = checks(examine_cluster(WorkSettings.make(cluster=str(name))))
    assert found["encryption"].state == OK
    assert found["encryption"].found.endswith("refuses strangers, with and without encryption")
    assert "; from elsewhere: ssh -L " in found["dashboard"].found
