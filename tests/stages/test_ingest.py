import json
import lzma
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.execution.executors import SerialExecutor
from novelty_dask.kernels.choices import NormalForm
from novelty_dask.kernels.text.lines import Reason, decode_line, sample_of
from novelty_dask.kernels.text.urls import SEPARATOR, form_key, normalize, sort_key
from novelty_dask.planning.stages import INGEST, REJECTED
from novelty_dask.planning.tiles import TilePlan
from novelty_dask.sources.find import Source, find_sources
from novelty_dask.sources.pieces import Piece
from novelty_dask.stages import ingest
from novelty_dask.stages.ingest import PieceRead, distinct, line_offsets
from novelty_dask.stages.perform import perform
from novelty_dask.stages.rejected import count_rejected
from novelty_dask.stages.sort import merge_spellings
from novelty_dask.storage.runs import StoredRun, create_run
from novelty_dask.storage.tables import read_table
from novelty_dask.storage.totals import Totals
from tests.support.arrays import listed
from tests.support.pieces import cut_lines, read_pieces
from tests.support.runs import NOBODY, make_manifest

BOM = b"\xef\xbb\xbf"


class Books(NamedTuple):
    """What became of the lines: rows with count and first position, and rejected lines."""

    n_lines: int
    rows: dict[str, tuple[int, int]]
    rejected: list[tuple[int, int, str, str]]


def read(sources: list[Source], folder: Path, piece_bytes: int, form: NormalForm = "raw") -> Books:
    """Read sources as a run does, and gather what was written."""
    run = create_run(str(folder / "run.zarr"), make_manifest(normal_form=form))
    reads = read_all(run, sources, cut_lines(sources, piece_bytes))
    n_lines, reasons = sum(read.n_lines for read in reads), count_rejected(reads)
    run.manifest.totals = Totals(lines=n_lines, rows=1, duplicates=0, rejected=reasons)
    run.manifest.plan = TilePlan(1, 1, 1, 1)
    run.save()
    run.create_arrays(REJECTED)
    for task in REJECTED.tasks(run.manifest.shape):
        perform(run.url, NOBODY, *task)
    arrays = run.arrays()
    columns = [listed(arrays[f"rejected/{name}"][:]) for name in ("source", "line", "reason", "sample")]
    rejected = list(zip(*columns, strict=True))
    assert reasons == dict(sorted(Counter(reason for _, _, reason, _ in rejected).items()))
    return Books(n_lines, gather(run, reads, form), rejected)


def read_all(run: StoredRun, sources: list[Source], pieces: list[Piece]) -> list[PieceRead]:
    """Read all pieces, and tell what that left as their commits do."""
    bag = read_pieces(sources, list(enumerate(pieces)), run.url, NOBODY)
    figures = [each for part in SerialExecutor().compute(bag) for each in part]
    committed = [run.commits.get(task).metrics for task in run.commits.tasks("ingest")]
    assert sorted(committed, key=lambda each: each["number"]) == json.loads(json.dumps(figures))
    return sorted(map(PieceRead.of, committed))


def gather(run: StoredRun, reads: list[PieceRead], form: NormalForm = "raw") -> dict[str, tuple[int, int]]:
    """Rows of the tables that pieces left."""
    rows: dict[str, tuple[int, int]] = {}
    for piece, offset in zip(reads, line_offsets(reads).tolist(), strict=True):
        for stored in piece.tables:
            table = read_table(run.commits, INGEST, stored)
            assert stored.n_rows == table.num_rows == len(set(table["url"].to_pylist()))
            for row in table.to_pylist():
                key, *rest = row["key"].split(SEPARATOR)
                assert key == sort_key(normalize(row["url"], form) or "")
                assert len(rest) == (0 if form == "raw" else 2)
                count, position = rows.get(row["url"], (0, sys.maxsize))
                rows[row["url"]] = (count + row["count"], min(position, row["position"] + offset))
    return rows


def expect(contents: list[bytes], form: NormalForm = "raw") -> Books:
    """The same books, kept line by line."""
    rows: dict[str, tuple[int, int]] = {}
    rejected, n_lines = [], 0
    for source, content in enumerate(contents):
        raws = content.split(b"\n")
        raws[0] = raws[0].removeprefix(BOM)
        n_raws = content.count(b"\n") + (not content.endswith(b"\n") and content != b"")
        for line, raw in enumerate(each.removesuffix(b"\r") for each in raws[:n_raws]):
            text = decode_line(raw)
            if not isinstance(text, Reason) and normalize(text, form) is None:
                text = Reason.NOT_A_URL
            if isinstance(text, Reason):
                shown = raw.decode().strip().encode() if text is Reason.NOT_A_URL else raw
                rejected.append((source, line, str(text), sample_of(shown)))
            else:
                count, position = rows.get(text, (0, n_lines))
                rows[text] = (count + 1, position)
            n_lines += 1
    return Books(n_lines, rows, rejected)


def write_sources(folder: Path, contents: list[bytes]) -> list[Source]:
    for number, content in enumerate(contents):
        (folder / f"{number:03}.txt").write_bytes(content)
    return find_sources([f"{folder}/*.txt"])


def assert_balanced(books: Books) -> None:
    assert books.n_lines == sum(count for count, _ in books.rows.values()) + len(books.rejected)


CONTENTS = {
    "two files": [b"a.example\nb.example\n", b"c.example\n"],
    "no final newline": [b"a.example\nb.example", b"c.example"],
    "duplicates across files": [b"b.example\na.example\n", b"a.example\na.example\nb.example\n"],
    "crlf": [b"a.example\r\nb.example\r\n\r\n", b"a.example\r\n"],
    "lone cr": [b"a.example\rb.example\n"],
    "byte order marks": [BOM + b"a.example\n" + BOM + b"a.example\n", BOM + b"a.example\n"],
    "spaces around": [b"  a.example \t\n a b \n", b"a.example\n"],
    "rejected": [b"a.example\n\n\0\n", b"\xff\n" + b"x" * 9_000 + b"\nb.example\n \n"],
    "an empty file": [b"a.example\n", b"", b"b.example\n"],
    "only rejected": [b"\n\n\n"],
    "nothing": [b""],
    "not utf-8": ["https://bücher.example/\n".encode("latin-1"), "https://bücher.example/\n".encode()],
}


@pytest.mark.sampled
@pytest.mark.parametrize("form", ["raw", "web", "page", "template"])
@pytest.mark.parametrize("piece_bytes", [1, 7, 2**24])
@pytest.mark.parametrize("contents", CONTENTS.values(), ids=CONTENTS.keys())
def test_every_line_is_accounted_for(
    tmp_path: Path, contents: list[bytes], piece_bytes: int, form: NormalForm
) -> None:
    books = read(write_sources(tmp_path, contents), tmp_path, piece_bytes, form)
    assert books == expect(contents, form)
    assert_balanced(books)


def test_duplicates_are_counted_and_the_first_position_is_kept(tmp_path: Path) -> None:
    books = read(write_sources(tmp_path, CONTENTS["duplicates across files"]), tmp_path, 2**24)
    assert books == Books(5, {"b.example": (2, 0), "a.example": (3, 1)}, [])


def test_urls_of_one_web_form_have_one_key_and_are_read_as_they_were_written(tmp_path: Path) -> None:
    spellings = [b"HTTP://Example.org:80/a/../b", b"example.org/b", b"http://example.org/b", b"http://[bad/"]
    books = read(write_sources(tmp_path, [b"\n".join(spellings)]), tmp_path, 2**24, "web")
    assert books.rows == {url.decode(): (1, position) for position, url in enumerate(spellings[:3])}
    assert books.rejected == [(0, 3, "not-a-url", "http://[bad/")]
    urls = [url.decode() for url in spellings[:3]]
    lines = distinct(pa.table({"url": urls, "position": [0, 1, 2], "count": [1, 1, 1]}), "web")
    assert {*map(form_key, lines["key"].to_pylist())} == {f"org.example /b{SEPARATOR}http://example.org"}
    [row] = merge_spellings(lines).to_pylist()
    assert row == {
        "key": "org.example /b",
        "url": "HTTP://Example.org:80/a/../b",
        "position": 0,
        "count": 3,
        "spellings": 3,
    }


@settings(deadline=None, max_examples=25)
@given(
    contents=st.lists(
        st.lists(
            st.sampled_from([b"a.example", b"b.example", b"\n", b"\r\n", b"\0", b"\xff", BOM]), max_size=25
        ).map(b"".join),
        min_size=1,
        max_size=3,
    ),
    piece_bytes=st.integers(1, 60),
    table_bytes=st.sampled_from([1, 150, 2**24]),
)
def test_neither_pieces_nor_tables_show(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes], piece_bytes: int, table_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("books")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ingest, "TABLE_BYTES", table_bytes)
        books = read(write_sources(folder, contents), folder, piece_bytes)
    assert books == expect(contents)


@pytest.fixture(scope="module")
def bad_input(corpora: Path) -> bytes:
    """Hostile and malformed lines as bytes; a lone surrogate as UTF-8 would have it."""
    with lzma.open(corpora / "bad_input.jsonl.xz", "rt", encoding="utf-8") as lines:
        inputs = [json.loads(line)["input"] for line in lines] + ["https://\ud800.example/"]
    return b"".join(text.encode("utf-8", "surrogatepass") + b"\n" for text in inputs)


@pytest.mark.sampled
@pytest.mark.corpus
@pytest.mark.parametrize("form", ["raw", "web", "page", "template"])
@pytest.mark.parametrize(
    ("piece_bytes", "table_bytes"),
    [(2**24, 2**24), (65_537, 50_000), pytest.param(3_001, 2**24, marks=pytest.mark.long)],
)
def test_bad_input_is_accounted_for_to_the_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bad_input: bytes,
    piece_bytes: int,
    table_bytes: int,
    form: NormalForm,
) -> None:
    monkeypatch.setattr(ingest, "TABLE_BYTES", table_bytes)
    middle = len(bad_input) // 2
    contents = [bad_input[:middle], bad_input, bad_input[middle:]]
    books = read(write_sources(tmp_path, contents), tmp_path, piece_bytes, form)
    assert books == expect(contents, form)
    assert_balanced(books)
    assert {reason for _, _, reason, _ in books.rejected} >= {"blank", "nul", "invalid-utf8", "too-long"}
    assert all(sample.isascii() and sample.isprintable() for *_, sample in books.rejected)


def test_lines_are_sorted_by_key_then_url_and_counted() -> None:
    urls = ["http://b.example/", "http://a.example/", "https://a.example/", "http://a.example/"]
    lines = pa.table({"url": urls, "position": [4, 3, 2, 1], "count": [1, 2, 3, 4]})
    found = distinct(lines).select(["url", "position", "count"]).to_pydict()
    assert found == {
        "url": ["http://a.example/", "https://a.example/", "http://b.example/"],
        "position": [1, 2, 4],
        "count": [6, 3, 1],
    }
    assert distinct(lines.slice(0, 0)).num_rows == 0


def test_sampled_keys_are_as_many_as_the_bytes_however_they_are_cut(tmp_path: Path) -> None:
    lines = [b"https://%d.example/%d\n" % (i % 977, i) for i in range(40_000)]
    n_expected = sum(map(len, lines)) / ingest.BYTES_PER_KEY
    for number, n_files in enumerate((1, 400)):
        folder = tmp_path / str(number)
        folder.mkdir()
        sources = write_sources(folder, [b"".join(lines[i::n_files]) for i in range(n_files)])
        run = create_run(f"{folder}/run.zarr", make_manifest())
        reads = read_all(run, sources, cut_lines(sources))
        assert sum(len(read.keys) for read in reads) == pytest.approx(n_expected, rel=0.25)


def test_line_offsets_count_the_lines_of_the_pieces_before() -> None:
    reads = [PieceRead(number, 0, n_lines, 0, 0, [], [], {}, []) for number, n_lines in enumerate((3, 0, 5))]
    np.testing.assert_array_equal(line_offsets(reads), [0, 3, 3])
    assert line_offsets([]).tolist() == []


# Memory.

MEASURE = """
import sys
from novelty_dask.execution.executors import SerialExecutor
from novelty_dask.stages.ingest import PieceRead
from tests.support.pieces import cut_lines, read_pieces
from novelty_dask.execution.usage import forget_peak, usage
from novelty_dask.storage.runs import create_run
from tests.support.runs import make_manifest
from novelty_dask.sources.find import find_sources

def read(name):
    sources = find_sources([f"{sys.argv[1]}/{name}"])
    run = create_run(f"{sys.argv[1]}/{name}.zarr", make_manifest())
    bag = read_pieces(sources, list(enumerate(cut_lines(sources))), run.url, 0)
    return [PieceRead.of(read) for part in SerialExecutor().compute(bag) for read in part]

read("small")
before = forget_peak()
reads = read("large")
n_rejected = sum(table.n_rows for read in reads for table in read.rejected)
print(usage().peak_bytes - before.peak_bytes, sum(read.n_lines for read in reads), n_rejected)
"""


def newlines() -> Iterator[bytes]:
    yield b"\n" * 1_000_000


def one_line() -> Iterator[bytes]:
    for _ in range(50):
        yield b"x" * 10**6


def short_lines() -> Iterator[bytes]:
    for start in range(0, 1_000_000, 10_000):
        yield b"".join(b"%x\n" % number for number in range(start, start + 10_000))


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("content", "n_lines", "n_rejected", "megabytes"),
    [(newlines, 10**6, 10**6, 150), (one_line, 1, 1, 10), (short_lines, 10**6, 0, 160)],
)
def test_memory_is_bounded_whatever_the_lines(
    tmp_path: Path, content: Callable[[], Iterator[bytes]], n_lines: int, n_rejected: int, megabytes: int
) -> None:
    (tmp_path / "small").write_bytes(b"https://a.example/\n" * 1_000)
    with (tmp_path / "large").open("wb") as file:
        file.writelines(content())
    command = [sys.executable, "-c", MEASURE, str(tmp_path)]
    measured = subprocess.run(command, check=True, capture_output=True, text=True)
    growth, *counts = map(int, measured.stdout.split())
    assert counts == [n_lines, n_rejected]
    assert growth < megabytes * 10**6
