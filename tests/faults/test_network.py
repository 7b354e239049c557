"""A network that is cut: real interfaces and namespaces, which takes the rights of root."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import novelty_dask
from tests.support.cluster import Cluster
from tests.support.content import Content, content_and_exports
from tests.support.fixtures import Measured
from tests.support.processes import started, wait_until
from tests.support.record import FLAGS, SPIED, Record, commits, ended_by

HERE, THERE = (f"198.18.{os.getpid() % 250}.{end}" for end in (1, 2))
"""Addresses that RFC 2544 keeps for tests."""


class Wire(NamedTuple):
    """A network of two hosts, this one and one that is there for a while.

    Parameters
    ----------
    there : tuple of str
        What to begin a command with that shall run on the other.
    connect : callable
        Connect the two, or cut them off.
    """

    there: tuple[str, ...]
    connect: Callable[[bool], None]


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    space, ends = f"novelty-{os.getpid()}", (f"nv{os.getpid() % 10**6}a", f"nv{os.getpid() % 10**6}b")
    there = ("ip", "netns", "exec", space)

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    def connect(is_connected: bool) -> None:
        subprocess.run([*there, "ip", "link", "set", ends[1], "up" if is_connected else "down"], check=True)

    try:
        ip("netns", "add", space)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("making a network takes the rights of root")
    try:
        try:
            ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        except subprocess.CalledProcessError:
            pytest.skip("this system has no pairs of interfaces")
        ip("link", "set", ends[1], "netns", space)
        ip("addr", "add", f"{HERE}/24", "dev", ends[0])
        ip("link", "set", ends[0], "up")
        subprocess.run([*there, "ip", "addr", "add", f"{THERE}/24", "dev", ends[1]], check=True)
        subprocess.run([*there, "ip", "link", "set", "lo", "up"], check=True)
        connect(True)
        yield Wire(there, connect)
    finally:
        # The interfaces go with it.
        ip("netns", "del", space)


@pytest.fixture(scope="module")
def cluster(wire: Wire, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler and a worker on this host, at the end of the wire."""
    sooner = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "6s"}
    folder = tmp_path_factory.mktemp("network")
    with Cluster(folder / "cluster", Record(folder / "record"), HERE, environment=sooner) as cluster:
        cluster.add_worker()
        yield cluster


@pytest.mark.long
def test_a_client_that_is_cut_off_ends_and_goes_on(
    wire: Wire,
    cluster: Cluster,
    corpus: Path,
    undisturbed: Content,
    tmp_path: Path,
    measured: Measured,
) -> None:
    """Meanwhile its workers finish what they have."""
    record, out = cluster.record, tmp_path / "run.zarr"
    record.ask(compare=["sleep", 0.1])
    command = [
        *wire.there,
        *SPIED,
        "score",
        corpus,
        "-o",
        out,
        *FLAGS,
        "--scheduler",
        cluster.address,
        "--insecure",
    ]
    code, stderr, seconds = ended_by(lambda _pid: wire.connect(False), command, record)
    measured("seconds", round(seconds, 1))
    assert code == 3, stderr
    assert stderr.splitlines()[-1].endswith(f" `novelty resume {out}` goes on.")
    assert "Traceback" not in stderr
    wire.connect(True)
    record.ask()
    done, mark = commits(out), record.mark()
    with started(*command, env=record.environment) as process:
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert not done & set(record.attempts(since=mark))
    assert content_and_exports(out) == undisturbed


@pytest.mark.long
def test_the_work_of_a_worker_that_is_cut_off_is_done_by_others(
    wire: Wire, cluster: Cluster, corpus: Path, undisturbed: Content, tmp_path: Path
) -> None:
    record, out = cluster.record, tmp_path / "run.zarr"
    mark = record.mark()
    cluster.add_worker(prefix=wire.there, host=THERE)
    record.ask(compare=["sleep", 0.1])
    command = [*SPIED, "score", corpus, "-o", out, *FLAGS, "--scheduler", cluster.address, "--insecure"]
    with started(*command, env=record.environment) as process:
        wait_until(lambda: len({event.pid for event in record.events(mark) if "compare" in event.task}) == 2)
        wire.connect(False)
        _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert content_and_exports(out) == undisturbed
    assert not novelty_dask.verify(out).damages
