"""Clusters that a file starts: they encrypt, replace their dead, and leave nothing behind."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.config
import psutil
import pytest
from distributed import Client

from novelty_dask.errors import ClusterError, SettingsError
from novelty_dask.events import ignore
from novelty_dask.execution.clusters.certificates import make_certificates
from novelty_dask.execution.clusters.connect import connect
from novelty_dask.execution.clusters.keep import find_started, kept, stop
from novelty_dask.execution.clusters.reach import open_cluster
from novelty_dask.settings import WorkSettings
from tests.support.processes import COMMAND, wait_until

pytest.importorskip("cryptography")
pytestmark = pytest.mark.timeout(1_200)
SECONDS = 500
TEXT = (
    "place: local\nminimum: 1\nmaximum: 1\nmemory: 1 GB\ncerts: certs\ndashboard: 0\nlogs: logs\nwait: 400\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("clusters")
    for name in ("certs", "theirs"):
        make_certificates(str(made / name))
    (made / "cluster.yaml").write_text(TEXT)
    return made


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[Client]:
    with open_cluster(str(folder / "cluster.yaml"), ignore) as client:
        yield client


def address_of(client: Client) -> str:
    return str(client.scheduler_info()["address"])


def processes_of(folder: Path) -> list[psutil.Process]:
    """Workers that a cluster of a folder has started, by their certificates."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(folder) in process.environ().get("DASK_DISTRIBUTED__COMM__TLS__CA_FILE", ""):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_it_works_and_listens_on_this_machine_alone(client: Client) -> None:
    assert address_of(client).startswith("tls://127.0.0.1:")
    assert client.submit(sum, [1, 2]).result(timeout=SECONDS) == 3
    assert client.dashboard_link.startswith("http://127.0.0.1:")
    workers = client.scheduler_info()["workers"].values()
    assert all(worker["memory_limit"] == 10**9 for worker in workers)


@pytest.mark.parametrize(
    ("protocol", "certs", "why"),
    [
        ("tls", "theirs", "its certificate is of another authority|it does not know the authority"),
        ("tls", None, "it takes TLS alone, and there is no certificate to show; name the folder"),
        ("tcp", None, "it closed the connection at once; if it takes TLS alone, name it as tls://"),
    ],
)
def test_a_stranger_is_refused_in_one_sentence(
    protocol: str, certs: str | None, why: str, client: Client, folder: Path
) -> None:
    address = address_of(client).replace("tls", protocol)
    shown = None if certs is None else str(folder / certs)
    # The cluster of this process has configured Dask; a stranger has not.
    names = ("ca-file", "client.cert", "client.key")
    strange: dict[str, Any] = {f"distributed.comm.tls.{name}": None for name in names}
    strange["distributed.comm.require-encryption"] = False
    with (
        dask.config.set(strange),
        pytest.raises(ClusterError, match=why) as refused,
        connect(address, shown),
    ):
        pass
    assert str(refused.value).startswith(f"Can't reach a Dask scheduler at {address!r}: ")
    assert "\n" not in str(refused.value)


def test_a_worker_that_is_killed_is_replaced(client: Client) -> None:
    [before] = client.run(os.getpid).values()
    nanny = psutil.Process(before).parent()
    assert nanny is not None
    for process in (nanny, *nanny.children()):
        process.kill()

    def other() -> bool:
        return any(pid != before for pid in client.run(os.getpid, on_error="ignore").values())

    wait_until(other, SECONDS)
    assert client.submit(sum, [1, 2], pure=False).result(timeout=SECONDS) == 3


def test_an_open_connection_beyond_this_machine_is_refused_before_it_is_made() -> None:
    with (
        pytest.raises(SettingsError, match=r"not encrypted: .*\(insecure=True\)"),
        connect("tcp://192.0.2.1:1"),
    ):
        pass
    # Without a protocol, Dask would take it for TCP.
    with pytest.raises(SettingsError, match="not encrypted"), connect("192.0.2.1:1"):
        pass


def test_a_file_that_starts_no_worker_ends_in_one_sentence(folder: Path) -> None:
    name = folder / "broken.yaml"
    for python in ("/bin/false", "/nowhere/python"):
        name.write_text(TEXT.replace("wait: 400", "wait: 3") + f"python: {python}\n")
        began = time.monotonic()
        said = r"No worker of the cluster of '.*broken.yaml' has joined within 3 s; look"
        with pytest.raises(ClusterError, match=said), open_cluster(str(name), ignore):
            pass
        assert time.monotonic() - began < 60


@pytest.mark.parametrize("ending", ["stop", "SIGTERM", "SIGKILL"])
def test_what_was_started_is_ended(ending: str, folder: Path, tmp_path: Path) -> None:
    make_certificates(str(tmp_path / "certs"))
    name = tmp_path / "cluster.yaml"
    name.write_text(TEXT)
    command = [*COMMAND, "cluster", "start", str(name)]
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        wait_until(lambda: find_started(str(name)), SECONDS)
        address = find_started(str(name))
        assert json.loads((tmp_path / "cluster.scheduler.json").read_text())["address"] == address
        assert (tmp_path / "cluster.scheduler.json").stat().st_mode & 0o777 == 0o600
        with pytest.raises(ClusterError, match="is started already"), kept(str(name), "tls://here:1"):
            pass
        # The same file names it now, and does not start another.
        with open_cluster(str(name), ignore) as client:
            assert address_of(client) == address
        assert processes_of(tmp_path)
        if ending == "stop":
            assert stop(str(name)) is True
        else:
            process.send_signal(signal.Signals[ending])
        process.wait(SECONDS)
        # Killed, it can end nothing: workers end by themselves when they have lost their scheduler.
        wait_until(lambda: not processes_of(tmp_path), SECONDS)
    finally:
        process.kill()
        process.wait()
    assert find_started(str(name)) is None
    assert stop(str(name)) is False


def test_a_run_has_one_place_to_work() -> None:
    with pytest.raises(SettingsError, match="another place to work than scheduler; leave out one"):
        WorkSettings.make(scheduler="tcp://127.0.0.1:1", cluster="cluster.yaml")
