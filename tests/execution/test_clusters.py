import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
from distributed import Client, LocalCluster

from novelty_dask.errors import ClusterError
from novelty_dask.execution import clusters
from novelty_dask.execution.clusters import (
    SMALL_BYTES,
    Resources,
    available_cores,
    client_executor,
    client_resources,
    connect,
    local_resources,
    open_executor,
)
from novelty_dask.execution.executors import DaskExecutor, SerialExecutor


@pytest.mark.parametrize("n_bytes", [0, SMALL_BYTES])
def test_small_corpora_are_done_here(n_bytes: int) -> None:
    resources = local_resources(n_bytes)
    assert resources[:2] == (0, 1)
    assert 0 < resources.memory_limit < psutil.virtual_memory().total
    assert local_resources(n_bytes, threads=4).threads == 1


def test_large_corpora_get_all_cores_and_share_the_memory() -> None:
    one, all_cores = local_resources(10**9, workers=1), local_resources(10**9)
    assert all_cores.workers == available_cores()
    assert all_cores.memory_limit * all_cores.workers == pytest.approx(one.memory_limit, rel=0.2)
    assert local_resources(10**9, threads=10_000)[:2] == (1, 10_000)


def test_what_was_asked_for_is_given() -> None:
    assert local_resources(0, 3, 2, 10**9) == Resources(3, 2, 10**9)
    assert local_resources(10**12, 0, 2, 10**9) == Resources(0, 1, 10**9)


def test_without_workers_tasks_run_here() -> None:
    with open_executor(Resources(0, 1, 10**9)) as (executor, dashboard):
        assert isinstance(executor, SerialExecutor)
        assert dashboard is None
        assert list(executor.map("stage", lambda _: os.getpid(), [1])) == [os.getpid()]


def own_pid(_item: int) -> int:
    return os.getpid()


def listening() -> set[str]:
    """Addresses at which this process and its children listen."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    connections = [each for process in processes for each in process.net_connections("inet")]
    return {each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN}


def test_local_workers_are_processes_that_only_this_machine_reaches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with open_executor(Resources(1, 2, 10**9)) as (executor, dashboard):
        assert isinstance(executor, DaskExecutor)
        [pid] = executor.map("stage", own_pid, [1])
        assert pid != os.getpid()
        assert client_resources(executor.client) == Resources(1, 2, 10**9)
        assert dashboard is not None
        assert dashboard.startswith("http://127.0.0.1:")
        assert listening() == {"127.0.0.1"}
        assert [path.name[:8] for path in tmp_path.iterdir()] == ["novelty-"]
    assert list(tmp_path.iterdir()) == []


def test_two_clusters_have_two_dashboards() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert clusters._free_port(port) == 0
    assert clusters._free_port(port) == port


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
        assert list(client_executor(client).map("stage", abs, [-1])) == [1]


def test_a_cluster_without_workers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 1)
    with (
        cluster(0) as client,
        pytest.raises(
            ClusterError, match=r"^No worker joined the scheduler within 1 s; start some and repeat\.$"
        ),
    ):
        client_resources(client)


@contextmanager
def server(answer: bytes) -> Iterator[str]:
    """Listens, and says the same to everybody."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        talks = []

        def talk() -> None:
            while True:
                try:
                    talks.append(listener.accept()[0])
                    talks[-1].sendall(answer)
                except OSError:
                    return

        thread = threading.Thread(target=talk)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in talks:
                connection.close()


def refuse(address: str) -> str:
    began = time.monotonic()
    with pytest.raises(ClusterError) as refusal, connect(address):
        pass
    assert time.monotonic() - began < 20
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
def test_where_no_scheduler_is_that_is_said(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 1)
    refuse(address)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9, bytes(1_000)])
def test_a_server_that_is_no_scheduler_is_refused(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    monkeypatch.setattr(clusters, "CONNECT_SECONDS", 1)
    with server(answer) as address:
        refuse(address)


def test_a_running_scheduler_is_connected_to_and_left_running() -> None:
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address="127.0.0.1:0"
    ) as made:
        for _ in range(2):
            with connect(made.scheduler_address) as client:
                assert list(client_executor(client).map("stage", abs, [-1])) == [1]
