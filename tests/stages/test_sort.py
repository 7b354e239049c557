import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.datasets import make_urls
from novelty_dask.execution.executors import Executor, SerialExecutor
from novelty_dask.kernels.text.urls import sort_key
from novelty_dask.pipeline.reading import Sorting
from novelty_dask.planning.stages import SORT
from novelty_dask.stages import ingest, sort
from novelty_dask.stages.ingest import BYTES_PER_KEY
from novelty_dask.stages.sort import key_ranges, read_sorted_tables
from novelty_dask.storage.runs import StoredRun
from novelty_dask.storage.tables import Table, read_table
from tests.support.pieces import Reading, read_lines
from tests.support.runs import NOBODY

ODD = [
    "https://例え.example/é",
    "\U0010ffff",
    "\U0010ffff.example",
    "#",
    "?",
    "a b",
    "http://192.0.2.7/",
    "~",
    "zzz",
]
"""Keys at the ends of the alphabet, without a host, and in other scripts."""


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """Lines of two thousand URLs, repeated and in random order."""
    urls, _ = make_urls(2_000, seed=6)
    return random.Random(6).choices([*urls, *ODD], k=6_000) + ODD


def expect(lines: list[str]) -> list[dict[str, Any]]:
    """The rows that plain Python makes of some lines."""
    positions: dict[str, list[int]] = {}
    for position, line in enumerate(lines):
        positions.setdefault(line, []).append(position)
    return [
        {"key": sort_key(url), "url": url, "position": positions[url][0], "count": len(positions[url])}
        for url in sorted(positions, key=lambda url: (sort_key(url), url))
    ]


def sort_all(executor: Executor, reading: Reading) -> list[Table]:
    n_done = sum(1 for _ in Sorting(reading.reads).run(executor, reading.run, NOBODY))
    commit = reading.run.commits.get(SORT.task())
    tables = read_sorted_tables(reading.run.commits)
    assert commit.objects.keys() == {table.key for table in tables}
    assert n_done == len(tables)
    stored = [read_table(reading.run.commits, SORT, table) for table in tables]
    assert [table.n_rows for table in tables] == [table.num_rows for table in stored]
    assert [table.n_bytes for table in tables] == [
        sum(len(url.encode()) for url in table["url"].to_pylist()) for table in stored
    ]
    return tables


def rows(run: StoredRun, tables: list[Table]) -> list[dict[str, Any]]:
    table: pa.Table = pa.concat_tables(read_table(run.commits, SORT, table) for table in tables)
    found: list[dict[str, Any]] = table.to_pylist()
    return found


@pytest.mark.parametrize("piece_bytes", [10_000, 2**24])
def test_what_fits_in_one_range_is_sorted_as_python_would(
    executor: Executor, tmp_path: Path, lines: list[str], piece_bytes: int
) -> None:
    reading = read_lines(executor, tmp_path, lines, piece_bytes)
    tables = sort_all(executor, reading)
    assert len(tables) == 1
    assert rows(reading.run, tables) == expect(lines)


@pytest.mark.parametrize("piece_bytes", [30_000, 2**24])
def test_many_ranges_are_shuffled_and_sorted_as_python_would(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], piece_bytes: int
) -> None:
    monkeypatch.setattr(sort, "PARTITION_BYTES", BYTES_PER_KEY)
    reading = read_lines(executor, tmp_path, lines, piece_bytes)
    tables = sort_all(executor, reading)
    assert len(tables) > 8
    assert rows(reading.run, tables) == expect(lines)


def test_ranges_without_rows_leave_empty_tables(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    monkeypatch.setattr(sort, "PARTITION_BYTES", BYTES_PER_KEY)
    reading = read_lines(executor, tmp_path, lines, 2**24)
    between = [f"{key}{end}" for key in reading.reads[0].keys for end in ("\0", "\0\0")]
    reading.reads[0].keys.extend(between)
    tables = sort_all(executor, reading)
    assert 0 in {table.n_rows for table in tables}
    assert rows(reading.run, tables) == expect(lines)


def test_ranges_are_of_about_equal_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]
) -> None:
    monkeypatch.setattr(ingest, "BYTES_PER_KEY", 2**9)
    monkeypatch.setattr(sort, "BYTES_PER_KEY", 2**9)
    monkeypatch.setattr(sort, "PARTITION_BYTES", 2**13)
    executor = SerialExecutor()
    reading = read_lines(executor, tmp_path, lines, 5_000)
    tables = sort_all(executor, reading)
    before = sum(table.n_bytes for read in reading.reads for table in read.tables)
    assert len(tables) == pytest.approx(before / 2**13, rel=0.2)
    assert max(table.n_bytes for table in tables) < 2 * 2**13


@settings(deadline=None, max_examples=100)
@given(keys=st.lists(st.text(max_size=3), max_size=30), step=st.integers(1, 9))
def test_ranges_are_cut_at_every_so_many_keys(keys: list[str], step: int) -> None:
    ranges = key_ranges(keys, step * BYTES_PER_KEY)
    assert ranges == sorted(set(ranges))
    assert set(ranges) <= set(keys)
    ordered, bounds = sorted(keys), ["", *ranges, "\U0010ffff" * 4]
    most_alike = max((keys.count(key) for key in keys), default=0)
    for start, stop in pairwise(bounds):
        assert sum(start <= key < stop for key in ordered) <= step + most_alike
