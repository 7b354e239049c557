"""Runs of vectors whose client or workers are killed."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import novelty_dask
from novelty_dask.planning.stages import COMPARE
from novelty_dask.storage.audit import list_done
from novelty_dask.storage.runs import open_stored
from tests.support import spy
from tests.support.cluster import Cluster
from tests.support.forks import finish, fork
from tests.support.jobs import PRELOAD, SOONER, kill_driver, staff, status_of, submitted, wait_over
from tests.support.processes import kill, wait_until
from tests.support.record import Record, begun, commits

POINTS = [("import", 2), ("compare", 5), ("compare", 30), ("merge", 4), ("density", 3), ("lof", 5)]
"""Where a client is killed: as it begins so many tasks of a stage."""
BLOCK_ROWS = 40


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """A file of vectors, which are eight blocks."""
    np.save(tmp_path / "x.npy", np.random.default_rng(7).normal(size=(310, 9)).astype("float32"))
    return tmp_path / "x.npy"


def check_whole(vectors: Path, out: Path) -> None:
    """Hold a run to the bytes that are found in memory, and to those of its commits."""
    expected = novelty_dask.neighbors(vectors, metric="euclidean")
    for stored, computed in zip(novelty_dask.open(out).neighbors, expected, strict=True):
        assert stored[:].tobytes() == computed.tobytes()
    assert not novelty_dask.verify(out).damages
    assert not list_done(open_stored(str(out)), COMPARE)


def watched_run(record: Path, vectors: Path, out: Path) -> None:
    """Find neighbors in this process, every task written down."""
    os.environ[spy.FOLDER] = str(record)
    spy.install()
    novelty_dask.score_vectors(vectors, out, metric="euclidean", workers=0, block_rows=BLOCK_ROWS)


def test_a_killed_client_goes_on_with_vectors(record: Record, vectors: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    record.ask(**{"*": ["sleep", 0.02]})
    done: set[str] = set()
    for stage, number in POINTS:
        mark = record.mark()
        process = fork(watched_run, record.folder, vectors, out)
        wait_until(partial(_has_begun, record, stage, mark, number), process=process)
        assert process.pid
        kill(process.pid)
        assert finish(process) == -signal.SIGKILL
        assert not done & set(record.attempts(since=mark))
        assert novelty_dask.status(out).state == "stopped"
        assert not novelty_dask.verify(out).damages
        done |= commits(out)
    mark = record.mark()
    assert finish(fork(watched_run, record.folder, vectors, out)) == 0
    assert not done & set(record.attempts(since=mark))
    check_whole(vectors, out)


def test_the_worker_of_a_driver_of_vectors_is_killed(record: Record, vectors: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    record.ask(compare=["sleep", 0.1])
    with Cluster(tmp_path / "cluster", record, scheduler=PRELOAD, environment=SOONER) as cluster:
        staff(cluster, 2)
        options = ("--metric", "euclidean", "--block-rows", BLOCK_ROWS, "--submit")
        ordered = submitted(cluster, vectors, out, *options, command="neighbors", flags=())
        assert "novelty cancel" in ordered.stderr
        wait_until(partial(_has_begun, record, "import", 0, 3))
        kill_driver(cluster, out, set())
        staff(cluster, 2)
        assert wait_over(out).state == "complete"
        assert status_of(out).deaths == 1
    check_whole(vectors, out)


def _has_begun(record: Record, stage: str, mark: int, number: int) -> bool:
    """Whether so many tasks of a stage have begun."""
    return begun(record, stage, mark) >= number


@pytest.mark.usefixtures("many_tasks")
def test_killed_workers_of_vectors(cluster: Cluster, vectors: Path, tmp_path: Path) -> None:
    cluster.scale(2)
    record, out = cluster.record, tmp_path / "run.zarr"
    record.ask(**{"*": ["sleep", 0.05]})
    find = partial(novelty_dask.score_vectors, metric="euclidean", block_rows=BLOCK_ROWS)
    stages: list[Callable[[], bool]] = [partial(_has_begun, record, "import", record.mark(), 3)]
    stages.append(partial(_has_begun, record, "compare", record.mark(), 20))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(find, vectors, out, scheduler=cluster.address)
        for is_there in stages:
            wait_until(is_there)
            kill(cluster.worker_pids()[0])
            cluster.scale(2)
        running.result()
    check_whole(vectors, out)
