"""Tables of distinct lines to sorted tables of distinct rows, by Dask's own shuffle."""

from collections.abc import Generator, Sequence
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from novelty_dask.execution.executors import Executor
from novelty_dask.execution.ingest import LINES, SAMPLE_BYTES, PieceRead, distinct, line_offsets
from novelty_dask.storage.tables import Table, create_folder, read_table, write_table

PARTITION_BYTES = 8 * 2**20
"""Text aimed at in one range of the sort key."""


def key_ranges(keys: Sequence[str], partition_bytes: int) -> list[str]:
    """Keys that cut the corpus into ranges of about equal bytes, without its ends.

    >>> key_ranges([f"org.example.{i:03d}" for i in range(10)], partition_bytes=4 * SAMPLE_BYTES)
    ['org.example.003', 'org.example.007']
    """
    step = partition_bytes // SAMPLE_BYTES
    return sorted(set(sorted(keys)[step - 1 :: step]))


def sort_rows(executor: Executor, reads: Sequence[PieceRead], folder: str) -> Generator[Table, None, None]:
    """Sort the distinct lines of all pieces into tables of distinct rows.

    Yields
    ------
    Table
        As they come; the order of their URLs is that of their rows.
    """
    numbered = [
        (table.url, int(offset))
        for read, offset in zip(reads, line_offsets(reads), strict=True)
        for table in read.tables
    ]
    create_folder(f"{folder}/rows")
    ranges = key_ranges([key for read in reads for key in read.keys], PARTITION_BYTES)
    if not ranges:
        # What fits in one range needs no shuffle, nor what is imported for it.
        yield from executor.map("sort", partial(_sort_few, folder), [numbered])
        return
    from novelty_dask.execution.shuffle import shuffled  # noqa: PLC0415

    for frame in executor.compute(shuffled(_load, numbered, LINES, ranges, partial(_sort, folder))):
        yield from (Table(*row) for row in frame.itertuples(index=False))


def _sort_few(folder: str, numbered: list[tuple[str, int]]) -> Table:
    """Write the rows of a few tables of lines."""
    return _sort(folder, pa.concat_tables(map(_load, numbered)), 0)


def _sort(folder: str, lines: pa.Table, number: int) -> Table:
    """Write the rows of one range, distinct and in order."""
    return write_table(f"{folder}/rows/{number:06d}.parquet", distinct(lines))


def _load(table: tuple[str, int]) -> pa.Table:
    """A table of lines, with positions counted from the first line of the corpus."""
    url, offset = table
    lines = read_table(url)
    column = lines.schema.get_field_index("position")
    return lines.set_column(column, "position", pc.add(lines["position"], offset))
