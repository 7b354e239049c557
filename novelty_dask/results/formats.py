"""Writers of CSV, JSON lines, Parquet, Arrow and npz, a table or block at a time."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from novelty_dask.results.outputs import Stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.results.checks import Format
    from novelty_dask.results.results import Results

FORMULA = r"^[\s\pZ\pC]*[=+\-@\x{ff0b}\x{ff0d}\x{ff1d}\x{ff20}]|^[\t\r\x00]"
"""Beginnings of cells that a spreadsheet would run as a formula (OWASP ASVS 1.2.10)."""
# The signs occur in narrow and in wide characters.  Some spreadsheets skip spaces and invisible characters
# before them.
BATCH_ROWS = 4_096
EXPORT_GROUP_ROWS = 65_536
STORED = {
    "position": "rows/position",
    "count": "rows/count",
    "spellings": "rows/spellings",
    "novelty": "novelty",
    "neighbor_ids": "neighbors/ids",
    "neighbor_similarities": "neighbors/similarities",
}
"""Arrays of the run by their names in an npz file, in which the other views follow."""


def write_tables(
    tables: Iterable[pa.Table],
    file: IO[bytes],
    format: Format,  # noqa: A002
    *,
    raw: bool,
) -> None:
    """Write tables of equal columns in a format, compressed as it says."""
    writers = {
        "csv": partial(write_csv, tables, raw=raw),
        "tsv": partial(write_csv, tables, raw=raw, delimiter="\t"),
        "jsonl": partial(write_jsonl, tables),
        "parquet": partial(write_parquet, tables),
        "arrow": partial(write_arrow, tables),
    }
    with compressed(file, format.compression) as stream:
        writers[format.name](stream)


@contextmanager
def compressed(file: IO[bytes], compression: str | None) -> Iterator[IO[bytes]]:
    """Yield a file that compresses what is written to it; the file behind it stays open."""
    if compression is None:
        yield file
        return
    # Arrow states no time of the file, so that the bytes are always the same.
    with pa.CompressedOutputStream(Stream(file), compression) as stream:
        yield stream


def write_csv(tables: Iterable[pa.Table], file: IO[bytes], *, raw: bool, delimiter: str = ",") -> None:
    """Write tables as CSV with a header; guard text that looks like a formula, unless raw."""
    header = True
    for table in tables:
        options = pyarrow.csv.WriteOptions(include_header=header, delimiter=delimiter)
        pyarrow.csv.write_csv(table if raw else _guarded(table), file, options)
        header = False


def _guarded(table: pa.Table) -> pa.Table:
    """Return a table with an apostrophe before each text that begins like a formula."""
    # An attacker chooses the URLs of a crawl, and the spreadsheet runs on the computer of who looks at them.
    for number, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            cells = table[number]
            quoted = pc.binary_join_element_wise("'", cells, "")
            guarded = pc.if_else(pc.match_substring_regex(cells, FORMULA), quoted, cells)
            table = table.set_column(number, field.name, guarded)
    return table


def write_jsonl(tables: Iterable[pa.Table], file: IO[bytes]) -> None:
    """Write tables as one JSON object a line."""
    for table in tables:
        for batch in table.to_batches(max_chunksize=BATCH_ROWS):
            lines = (f"{json.dumps(row, ensure_ascii=False)}\n" for row in to_objects(batch))
            file.write("".join(lines).encode())


def to_objects(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Return rows as objects, with similarities in as few digits as identify them."""
    # JSON has but one kind of number, which Python writes as a double: 0.7 in single precision would become
    # 0.699999988079071.
    short = {name: _shortest(batch[name]) for name in batch.schema.names}
    rows: list[dict[str, Any]] = pa.RecordBatch.from_pydict(short).to_pylist()
    return rows


def _shortest(column: pa.Array) -> pa.Array:
    """Return a column with the doubles that print as its single-precision numbers do; others as they are."""
    if pa.types.is_list(column.type):
        # A part of a table keeps the offsets of the whole.
        offsets = pc.subtract(column.offsets, column.offsets[0])
        return pa.ListArray.from_arrays(offsets, _shortest(column.flatten()))
    if pa.types.is_float32(column.type):
        return pc.cast(pc.cast(column, pa.string()), pa.float64())
    return column


def write_parquet(tables: Iterable[pa.Table], file: IO[bytes]) -> None:
    """Write tables as Parquet."""
    tables = iter(tables)
    first = next(tables)
    with pq.ParquetWriter(file, first.schema, compression="zstd") as writer:
        writer.write_table(first, EXPORT_GROUP_ROWS)
        for table in tables:
            writer.write_table(table, EXPORT_GROUP_ROWS)


def write_arrow(tables: Iterable[pa.Table], file: IO[bytes]) -> None:
    """Write tables as an Arrow file, which is version 2 of Feather too."""
    tables = iter(tables)
    first = next(tables)
    # The compression that Feather has by default, and so the one that most programs can read.
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_file(file, first.schema, options=options) as writer:
        for table in chain([first], tables):
            writer.write_table(table, EXPORT_GROUP_ROWS)


def write_npz(results: Results, file: IO[bytes]) -> None:
    """Write the arrays of a run, with its URLs, or labels, as bytes and offsets."""
    # An array of strings could only be loaded with pickle, which runs whatever a file contains.  Not written
    # by `numpy.savez`, which would hold all rows in memory.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, source in _stored(results).items():
            shape = results.arrays[source].shape
            blocks = (results.read(source, block) for block in range(results.n_blocks))
            _write_member(archive, name, shape, blocks)
        if results.has_urls:
            _write_places(archive, results)
        if not results.has_texts:
            return
        name = results.name
        _write_member(archive, f"{name}_offsets", (results.n_rows + 1,), _offsets(results))
        # The header of an array states its length, so the texts are read once before they are written.
        n_bytes = sum(len(text) for text, _ in _texts(results))
        texts = (np.frombuffer(text, np.uint8) for text, _ in _texts(results))
        _write_member(archive, f"{name}_bytes", (n_bytes,), texts)


def _stored(results: Results) -> dict[str, str]:
    """Return the arrays of a run by their names in an npz file."""
    if not results.has_urls:
        names = sorted(name for name in results.arrays.layout.specs if name.startswith("neighbors/"))
        views = {name: name for name in results.views}
        labels = {"label": "rows/label"} if results.name and not results.has_texts else {}
        return {**labels, **views, **{name.replace("neighbors/", "neighbor_"): name for name in names}}
    names = [*results.views, *(["known"] if results.is_against else [])]
    others = {name: name for name in names if name not in STORED}
    others |= {name: f"rows/{name}" for name in ("first_seen", "last_seen") if results.is_in_time}
    return {**STORED, **others}


def _write_places(archive: zipfile.ZipFile, results: Results) -> None:
    """Write the number of the source and the line of each row, and the names of the sources."""
    for part, name in enumerate(("source", "line")):
        found = (
            results.places.find(results.read("rows/position", block))[part]
            for block in range(results.n_blocks)
        )
        _write_member(archive, name, (results.n_rows,), found)
    names = [name.encode() for name in results.places.names]
    ends = np.cumsum([0, *map(len, names)], dtype=np.int64)
    _write_member(archive, "source_offsets", ends.shape, iter([ends]))
    text = np.frombuffer(b"".join(names), np.uint8)
    _write_member(archive, "source_bytes", text.shape, iter([text]))


def _write_member(
    archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], parts: Iterator[NDArray[Any]]
) -> None:
    """Write one array as the consecutive parts of its rows."""
    first = next(parts)
    header = {"descr": np.lib.format.dtype_to_descr(first.dtype), "fortran_order": False, "shape": shape}
    # A member must state before it is written whether it may grow beyond 4 GiB.
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, header)
        for part in chain([first], parts):
            member.write(np.ascontiguousarray(part).data)


def _texts(results: Results) -> Iterator[tuple[bytes, NDArray[np.int64]]]:
    """Yield the URLs, or labels, of each block as UTF-8, joined, and their ends."""
    for block in range(results.n_blocks):
        urls = [url.encode() for url in results.read(f"rows/{results.name}", block)]
        yield b"".join(urls), np.cumsum([len(url) for url in urls])


def _offsets(results: Results) -> Iterator[NDArray[np.int64]]:
    """Yield the start of the first text and the ends of all, a block at a time."""
    end = np.zeros(1, np.int64)
    yield end
    for _, ends in _texts(results):
        yield end + ends
        end = end + ends[-1:]
