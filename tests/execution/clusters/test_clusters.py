import asyncio
import os
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from distributed import Client, LocalCluster
from distributed.process import AsyncProcess

import novelty_dask
from novelty_dask.errors import ClusterError
from novelty_dask.execution.clusters import local
from novelty_dask.execution.clusters.connect import (
    client_executor,
    client_resources,
    connect,
    encryption_warning,
)
from novelty_dask.execution.clusters.local import open_local_executor
from novelty_dask.execution.clusters.resources import Resources
from novelty_dask.execution.dask_executor import DaskExecutor
from novelty_dask.execution.executors import Executor
from novelty_dask.objects.commits import Metrics
from tests.support.cluster import patience
from tests.support.servers import PAGE, answering


def own_pid(_item: str) -> Metrics:
    return {"pid": os.getpid()}


def works(executor: Executor) -> bool:
    """Whether an executor performs a task."""
    return [outcome.item for outcome in executor.map("stage", own_pid, deque(["1"]))] == ["1"]


def listening() -> set[Any]:
    """Where this process and its children listen."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    connections = [each for process in processes for each in process.net_connections("inet")]
    return {each.laddr for each in connections if each.status == psutil.CONN_LISTEN}


def test_local_workers_are_processes_that_only_this_machine_reaches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = listening()
    with open_local_executor(Resources(1, 2, 10**9)) as (executor, dashboard):
        assert isinstance(executor, DaskExecutor)
        [outcome] = executor.map("stage", own_pid, deque(["1"]))
        assert outcome.error is None
        assert outcome.metrics["pid"] != os.getpid()
        assert client_resources(executor.client) == Resources(1, 2, 10**9)
        assert dashboard is not None
        assert dashboard.startswith("http://127.0.0.1:")
        assert {address.ip for address in listening() - before} == {"127.0.0.1"}
        assert [path.name[:8] for path in tmp_path.iterdir()] == ["novelty-"]
    assert list(tmp_path.iterdir()) == []


def addresses_of_this_machine() -> list[str]:
    """Where others on the network reach it."""
    found = [each for each in chain(*psutil.net_if_addrs().values()) if each.family == socket.AF_INET]
    return [each.address for each in found if not each.address.startswith("127.")]


@pytest.mark.long
def test_a_worker_that_is_slow_to_die_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = AsyncProcess.kill

    async def delayed(process: AsyncProcess) -> None:
        asyncio.get_running_loop().call_later(30, lambda: asyncio.ensure_future(kept(process)))

    # As on a machine that is so loaded that a process outlives its SIGKILL for longer than Dask waits.
    monkeypatch.setattr(AsyncProcess, "kill", delayed)
    with open_local_executor(Resources(workers=1, threads=1, memory_limit=2**29)) as (executor, _link):
        [outcome] = executor.map("stage", own_pid, deque(["1"]))
        worker = psutil.Process(outcome.metrics["pid"])
        worker.suspend()
    worker.kill()
    worker.wait(60)


def test_that_others_can_listen_is_told(tmp_path: Path) -> None:
    events: list[str] = []
    (tmp_path / "urls.txt").write_text("http://a.example/\nhttp://b.example/\n")
    hosts = ["127.0.0.1", *addresses_of_this_machine()[:1]]
    for host in hosts:
        out = tmp_path / f"{host}.zarr"
        with (
            LocalCluster(
                n_workers=1, processes=False, protocol="tcp", host=host, dashboard_address=f"{host}:0"
            ) as cluster,
            Client(cluster) as client,
        ):
            novelty_dask.score(
                tmp_path / "urls.txt", out, client=client, listener=lambda event: events.append(str(event))
            )
        warning = f"The scheduler {cluster.scheduler_address} is not encrypted: "
        assert any(event.startswith(warning) for event in events) == (host != "127.0.0.1")
    if len(hosts) == 1:
        pytest.skip("this machine has no address but its own")


@pytest.mark.parametrize(
    ("address", "is_open"),
    [
        ("tcp://10.0.0.1:8786", True),
        ("ws://10.0.0.1:8786", True),
        ("ucx://10.0.0.1:8786", True),
        ("ucxx://[fd00::1]:8786", True),
        ("ucx://127.0.0.1:8786", False),
        ("ucx://[::1]:8786", False),
        ("tls://10.0.0.1:8786", False),
        ("wss://10.0.0.1:8786", False),
        ("inproc://10.0.0.1/7/1", False),
    ],
)
def test_any_protocol_without_encryption_is_told(address: str, is_open: bool) -> None:
    with cluster(0) as client, pytest.MonkeyPatch.context() as monkeypatch:
        # The hardware of most of these protocols is rare, and a warning depends on the address alone.
        monkeypatch.setattr(client, "scheduler", SimpleNamespace(address=address))
        assert bool(encryption_warning(client)) == is_open


def test_two_clusters_have_two_dashboards() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert local._free_port(port) == 0
    assert local._free_port(port) == port


@contextmanager
def cluster(n_workers: int) -> Iterator[Client]:
    with (
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=3,
            processes=False,
            memory_limit=10**9,
            dashboard_address="127.0.0.1:0",
        ) as made,
        Client(made) as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("memory_limit", "expected"), [(None, 10**9), (2 * 10**9, 10**9), (5 * 10**8, 5 * 10**8)]
)
def test_the_resources_of_a_client_are_those_of_its_workers(memory_limit: int | None, expected: int) -> None:
    with cluster(2) as client:
        assert client_resources(client, memory_limit) == Resources(2, 3, expected)
        assert works(client_executor(client))


def test_a_cluster_without_workers_is_refused() -> None:
    with (
        patience(connect="1s"),
        cluster(0) as client,
        pytest.raises(
            ClusterError, match=r"^No worker joined the scheduler within 1 s; start some and repeat\.$"
        ),
    ):
        client_resources(client)


def test_a_last_worker_that_leaves_between_two_questions_is_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with patience(connect="1s"), cluster(1) as client:
        ask = client.scheduler_info

        def leave(**options: Any) -> Any:
            client.retire_workers(list(client.nthreads()))
            return ask(**options)

        monkeypatch.setattr(client, "scheduler_info", leave)
        with pytest.raises(ClusterError, match=r"^No worker joined the scheduler within 1 s; "):
            client_resources(client)


def refuse(address: str) -> str:
    began = time.monotonic()
    with pytest.raises(ClusterError) as refusal, connect(address):
        pass
    assert time.monotonic() - began < 60
    message = str(refusal.value)
    assert message.startswith(f"Can't reach a Dask scheduler at {address!r}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "address",
    [
        "nonsense",
        "",
        "tcp://",
        "tcp://127.0.0.1:1",
        "127.0.0.1:1",
        "http://127.0.0.1:1",
        "tls://127.0.0.1:1",
        "127.0.0.1:port",
        "tcp://127.0.0.1:99999",
        "a\nb",
    ],
)
def test_where_no_scheduler_is_that_is_said(address: str) -> None:
    with patience(connect="1s"):
        refuse(address)


@pytest.mark.parametrize("answer", [b"", PAGE, bytes(1_000)])
def test_a_server_that_is_no_scheduler_is_refused(answer: bytes) -> None:
    with patience(connect="1s"), answering(answer) as address:
        refuse(address)


def test_a_running_scheduler_is_connected_to_and_left_running() -> None:
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address="127.0.0.1:0"
    ) as made:
        for _ in range(2):
            with connect(made.scheduler_address) as client:
                assert works(client_executor(client))
