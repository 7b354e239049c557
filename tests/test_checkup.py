"""Checks of a cluster, with real schedulers and workers."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import LocalCluster

from novelty_dask.checkup import examine_cluster
from novelty_dask.datasets import make_urls
from novelty_dask.doctor import OK, PROBLEM, Check
from novelty_dask.execution.clusters.certificates import make_certificates
from novelty_dask.execution.clusters.probes import open_page, open_ways
from novelty_dask.settings import Settings
from tests.support.servers import answering


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    ) as cluster:
        yield cluster


def checks(found: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in found}


def test_a_cluster_that_is_well(cluster: LocalCluster, tmp_path: Path) -> None:
    settings = Settings.make(scheduler=cluster.scheduler_address)
    found = checks(examine_cluster(settings, str(tmp_path / "runs")))
    assert list(found) == [
        "encryption",
        "workers",
        "worker memory",
        "worker cores",
        "worker requests",
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
    assert re.search(r"/(status|novelty) opens; from elsewhere: ssh -L ", found["dashboard"].found)
    assert re.fullmatch(r"at least \d+ at once .* 1 of its threads", found["worker requests"].found)
    # Nothing is left in the store.
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_memory_of_workers_is_held_to_the_plan_of_a_run(cluster: LocalCluster, tmp_path: Path) -> None:
    source = tmp_path / "urls.txt"
    source.write_text("\n".join(make_urls(2_000)[0]), encoding="utf-8")
    at = {"scheduler": cluster.scheduler_address}
    [small, large] = [
        checks(examine_cluster(Settings.make(**at, memory_limit=limit), sources=[str(source)]))[
            "worker memory"
        ]
        for limit in ("520 MB", "900 MB")
    ]
    assert small.state == PROBLEM
    assert small.found == "2 with 520 MB, or more, which is too little for the sources"
    assert re.match(r"A worker is projected to need \d+ MB in stage ", small.advice)
    needed = re.fullmatch(r"2 with 900 MB, or more; the sources need (\d+) MB of a worker", large.found)
    assert large.state == OK
    assert needed
    # What it says suffices.
    enough = Settings.make(**at, memory_limit=f"{needed[1]} MB")
    assert checks(examine_cluster(enough, sources=[str(source)]))["worker memory"].state == OK


def test_a_store_that_workers_do_not_share_is_found(cluster: LocalCluster, tmp_path: Path) -> None:
    # Each worker has a memory of its own.
    found = checks(examine_cluster(Settings.make(scheduler=cluster.scheduler_address), "memory://runs"))
    assert found["store"].state == PROBLEM
    assert "2 workers are the first to create one object" in found["store"].found


def test_a_store_that_takes_nothing_is_found(cluster: LocalCluster, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings.make(scheduler=cluster.scheduler_address)
    found = checks(examine_cluster(settings, str(tmp_path / "file")))
    assert found["store"].state == PROBLEM
    assert "can't use" in found["store"].found


def test_what_a_stranger_gets_is_tried(cluster: LocalCluster, tmp_path: Path) -> None:
    assert open_ways(cluster.scheduler_address) == ["without encryption"]
    pytest.importorskip("cryptography")
    make_certificates(str(tmp_path / "certs"))
    name = tmp_path / "cluster.yaml"
    name.write_text("place: local\nmaximum: 1\nmemory: 1 GB\ncerts: certs\ndashboard: 0\nwait: 300\n")
    found = checks(examine_cluster(Settings.make(cluster=str(name))))
    assert found["encryption"].state == OK
    assert found["encryption"].found.endswith("refuses strangers, with and without encryption")
    assert " opens; from elsewhere: ssh -L " in found["dashboard"].found


def test_a_page_is_really_opened() -> None:
    broken = b"HTTP/1.0 500 Broken\r\nContent-Length: 0\r\n\r\n"
    with answering(broken) as address:
        assert open_page(address.replace("tcp", "http")) == (True, "500 Broken")
    is_there, problem = open_page("http://127.0.0.1:9/status")
    assert not is_there
    assert "refused" in problem
