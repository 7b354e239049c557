"""Temporary files: what they are said to take, what they take, and that there must be so much."""

import re
import tempfile
from pathlib import Path
from typing import NoReturn

import dask
import dask.bag as db
import pytest
from distributed import Client, Worker

from novelty_dask.datasets import make_urls
from novelty_dask.errors import ClusterError
from novelty_dask.execution.clusters.connect import client_executor
from novelty_dask.execution.executors import MEMORY_BYTES, Executor, SerialExecutor
from novelty_dask.execution.temporary import TemporaryFolder, check_free, temporary_folder
from novelty_dask.pipeline.reading import Sorting
from novelty_dask.stages import sort
from tests.support.pieces import read_lines
from tests.support.runs import NOBODY

HERE = ("here", 1)


def written_bytes(dask_worker: Worker) -> float:
    """Bytes that a worker has written for shuffles, as Dask counts them."""
    written = 0.0
    for key, value in dask_worker.digests_total.items():
        if isinstance(key, tuple) and key[-2:] == ("disk-write", "bytes"):
            written += value
    return written


def test_a_shuffle_writes_what_was_projected(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sort, "PARTITION_BYTES", 2**20)
    executor = client_executor(client)
    reading = read_lines(executor, tmp_path, make_urls(30_000)[0], 2**20)
    before = sum(client.run(written_bytes).values())
    first, *others = Sorting(reading.reads).run(executor, reading.run, NOBODY)
    assert others
    assert set(map(len, others)) == {0}
    measured = sum(client.run(written_bytes).values()) - before
    assert 0.8 * first["temporary_bytes"] < measured <= first["temporary_bytes"]


def test_what_needs_no_shuffle_takes_no_temporary_files(tmp_path: Path) -> None:
    executor = SerialExecutor()
    reading = read_lines(executor, tmp_path, make_urls(100)[0], 2**20)
    assert list(Sorting(reading.reads).run(executor, reading.run, NOBODY)) == [{"temporary_bytes": 0}]


def test_a_shuffle_without_space_is_refused_before_it_begins(executor: Executor) -> None:
    executor.reserve(10**6)
    with pytest.raises(
        ClusterError, match=r"^Sorting takes [\d,]+ bytes of temporary files on \S+, and [1-9]"
    ):
        executor.reserve(10**18)


def test_one_process_keeps_the_first_of_it_in_memory() -> None:
    free = temporary_folder().free
    SerialExecutor().reserve(MEMORY_BYTES + free // 2)
    with pytest.raises(ClusterError):
        SerialExecutor().reserve(MEMORY_BYTES + free * 2)


def test_workers_share_the_bytes_and_may_share_a_disk() -> None:
    two = [TemporaryFolder(HERE, "/a", 50), TemporaryFolder(("there", 1), "/a", 50)]
    check_free(two, 100)
    with pytest.raises(
        ClusterError, match=re.escape("takes 51 bytes of temporary files on here, and 50 are")
    ):
        check_free(two, 102)
    check_free([TemporaryFolder(HERE, "/a", 50), TemporaryFolder(HERE, "/b", 50)], 50)
    with pytest.raises(ClusterError, match=r"takes 100 bytes of temporary files on here, and 50 are free in"):
        check_free([TemporaryFolder(HERE, "/a", 50), TemporaryFolder(HERE, "/b", 50)], 100)


def test_the_place_is_where_dask_is_told(tmp_path: Path) -> None:
    assert temporary_folder().folder == tempfile.gettempdir()
    with dask.config.set({"temporary-directory": str(tmp_path)}):
        assert temporary_folder().folder == str(tmp_path)
    assert temporary_folder(str(tmp_path)).disk[1] == tmp_path.stat().st_dev


def run_out(_number: int) -> NoReturn:
    """As Dask does in a shuffle: an error of the system's class without a number."""
    message = "Out of disk space.\nPlease add some."
    raise OSError(message)


def test_an_error_of_dask_in_a_shuffle_is_a_sentence(client: Client) -> None:
    with pytest.raises(ClusterError, match=r"^A worker failed: Out of disk space\. Please add some\.$"):
        list(client_executor(client).compute(db.from_sequence([1]).map(run_out)))
