import random
import uuid
from bisect import bisect_right
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from novelty_dask.datasets import make_urls
from novelty_dask.execution.executors import Executor, SerialExecutor
from novelty_dask.kernels.choices import NormalForm
from novelty_dask.kernels.text.urls import normalize, sort_key, spelling_key
from novelty_dask.pipeline.reading import Sorting
from novelty_dask.planning.stages import SORT
from novelty_dask.stages import ingest, sort
from novelty_dask.stages.ingest import BYTES_PER_KEY, distinct, text_columns
from novelty_dask.stages.sort import join_ranges, key_ranges, read_sorted_tables, write_range
from novelty_dask.storage.runs import StoredRun, create_run
from novelty_dask.storage.tables import Table, read_table, read_uncommitted
from tests.support.pieces import Reading, read_lines
from tests.support.runs import NOBODY, make_manifest

ODD = [
    "https://例え.example/é",
    "\U0010ffff",
    "\U0010ffff.example",
    "#/",
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


def spell(form: NormalForm) -> list[str]:
    """Lines of three forms with many spellings, and of others with few, in random order."""
    chooser, urls = random.Random(8), make_urls(400, seed=6)[0]
    tracked = [f"https://a.example/x?utm_id={chooser.randbytes(20).hex()}" for _ in range(1_000)]
    numbered = [f"https://b.example/{chooser.randrange(10**30)}" for _ in range(1_000)]
    # Of one sort key, but not of one form.
    users = [f"http://u{number % 3}@b.example:{number % 2}/0?utm_id={number}" for number in range(1_000)]
    lines = chooser.choices([*urls, *tracked, *numbered, *users, *ODD], k=5_000) + ODD
    return [line for line in lines if normalize(line, form) is not None]


def expect_spellings(lines: list[str], form: NormalForm) -> list[dict[str, Any]]:
    """The rows that plain Python makes of lines by their forms."""
    positions: dict[str, list[int]] = {}
    for position, line in enumerate(lines):
        positions.setdefault(normalize(line, form) or "", []).append(position)
    return [
        {
            "key": sort_key(normal),
            "url": lines[positions[normal][0]],
            "position": positions[normal][0],
            "count": len(positions[normal]),
            "spellings": len({lines[position] for position in positions[normal]}),
        }
        for normal in sorted(positions, key=lambda normal: spelling_key(normal, ""))
    ]


def sort_all(executor: Executor, reading: Reading) -> list[Table]:
    n_done = sum(1 for _ in Sorting(reading.reads).run(executor, reading.run, NOBODY))
    commit = reading.run.commits.get(SORT.task())
    tables = read_sorted_tables(reading.run.commits)
    assert commit.objects.keys() == {table.key for table in tables}
    # Ranges of one form give one table.
    form = reading.run.manifest.settings.normal_form
    assert n_done >= len(tables) if form != "raw" else n_done == len(tables)
    stored = [read_table(reading.run.commits, SORT, table) for table in tables]
    assert [table.n_rows for table in tables] == [table.num_rows for table in stored]
    assert [table.n_bytes for table in tables] == [
        max(sum(len(text.encode()) for text in table[name].to_pylist()) for name in text_columns(form))
        for table in stored
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


@pytest.mark.sampled
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
    between = [f"{key}{end}" for key in reading.reads[0].keys for end in ("\1", "\1\1")]
    reading.reads[0].keys.extend(between)
    tables = sort_all(executor, reading)
    assert 0 in {table.n_rows for table in tables}
    assert rows(reading.run, tables) == expect(lines)


@pytest.mark.sampled
@pytest.mark.parametrize("form", ["web", "page", "template"])
def test_spellings_of_many_ranges_are_one_row_as_in_python(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: NormalForm
) -> None:
    monkeypatch.setattr(sort, "PARTITION_BYTES", BYTES_PER_KEY)
    lines = spell(form)
    reading = read_lines(executor, tmp_path, lines, 100_000, form)
    sorting = Sorting(reading.reads)
    tables = sort_all(executor, reading)
    # Those of "web" differ from each other.
    assert (len(tables) < len(sorting.ranges)) == (form != "web")
    assert rows(reading.run, tables) == expect_spellings(lines, form)


SPELLINGS = [
    f"{scheme}{user}{host}{port}{path}{query}"
    for scheme in ("", "http://", "https://", "ftp://")
    for user in ("", "u@")
    for host in ("a.example", "b.example", "example.b")
    for port in ("", ":81")
    for path in ("", "/", "/7", "/77")
    for query in ("", "?utm_id=1", "?utm_id=2")
]


@pytest.mark.sampled
@pytest.mark.parametrize("form", ["web", "page", "template"])
@settings(deadline=None, max_examples=150)
@given(
    chosen=st.lists(st.sampled_from([*SPELLINGS, "0.a/7", "a.0/77", "x y", "x\1y"]), min_size=1, max_size=40),
    cuts=st.lists(st.integers(0, 39), max_size=3),
    step=st.integers(1, 5),
)
def test_rows_do_not_show_where_spellings_were_cut(
    form: NormalForm, chosen: list[str], cuts: list[int], step: int
) -> None:
    lines = [line for line in chosen if normalize(line, form) is not None]
    # A run without any line is refused before its rows are sorted.
    assume(lines)
    run = create_run(f"memory://{uuid.uuid4().hex}/run.zarr", make_manifest(normal_form=form))
    table = pa.table({"url": lines, "position": [*range(len(lines))], "count": [1] * len(lines)})
    bounds = sorted({0, len(lines), *(cut for cut in cuts if cut < len(lines))})
    read = pa.concat_tables(
        distinct(table.slice(start, stop - start), form) for start, stop in pairwise(bounds)
    )
    keys = read["key"].to_pylist()
    ranges = key_ranges(keys, step * BYTES_PER_KEY)
    assert ranges == sorted(set(ranges))
    numbers = pa.array([bisect_right(ranges, key) for key in keys])
    parts = [read.filter(pc.equal(numbers, number)) for number in range(len(ranges) + 1)]
    written = [write_range(run.url, part, number) for number, part in enumerate(parts)]
    found = pa.concat_tables(
        read_uncommitted(run.objects, SORT, each) for each in join_ranges(run, written, ranges)
    )
    assert found.to_pylist() == expect_spellings(lines, form)
    assert max(len({*part["url"].to_pylist()}) for part in parts) <= 2 * step * (len(bounds) - 1)


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
@given(
    keys=st.lists(st.text(st.characters(exclude_characters="\0"), max_size=3), max_size=30),
    step=st.integers(1, 9),
)
def test_ranges_are_cut_at_every_so_many_keys(keys: list[str], step: int) -> None:
    ranges = key_ranges(keys, step * BYTES_PER_KEY)
    assert ranges == sorted(set(ranges))
    assert set(ranges) <= set(keys)
    ordered, bounds = sorted(keys), ["", *ranges, "\U0010ffff" * 4]
    most_alike = max((keys.count(key) for key in keys), default=0)
    for start, stop in pairwise(bounds):
        assert sum(start <= key < stop for key in ordered) <= step + most_alike
