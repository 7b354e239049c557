"""Tables of distinct lines to sorted tables of distinct rows, by Dask's own shuffle."""

from collections.abc import Generator, Sequence
from functools import partial
from typing import cast

import dask.dataframe as dd
import pandas as pd
import pyarrow as pa

from novelty_dask.execution.executors import Executor
from novelty_dask.execution.ingest import LINES, SAMPLE_BYTES, PieceRead, distinct, line_offsets
from novelty_dask.storage.tables import Table, create_folder, read_table, write_table

TABLE_TYPES = {"url": "str", "n_rows": "int64", "n_bytes": "int64"}
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
        # What fits in one range needs no shuffle.
        yield from executor.map("sort", partial(_sort_few, folder), [numbered])
        return
    for frame in executor.compute(_shuffled(numbered, ranges, folder)):
        yield from (Table(*row) for row in frame.itertuples(index=False))


def _sort_few(folder: str, numbered: list[tuple[str, int]]) -> Table:
    """Write the rows of a few tables of lines."""
    return _sort(pd.concat(map(_load, numbered)), folder, 0)


def _shuffled(numbered: list[tuple[str, int]], ranges: list[str], folder: str) -> dd.DataFrame:
    """A frame of which each partition moves and sorts the rows of one range, and describes their table."""
    lines = dd.from_map(_load, numbered, meta=_frame(LINES.empty_table()))
    moved = lines.set_index("key", divisions=["", *ranges, "\U0010ffff"])
    return cast("dd.DataFrame", moved.map_partitions(sort, folder, meta=_described([])))


def sort(lines: pd.DataFrame, folder: str, partition_info: dict[str, int] | None = None) -> pd.DataFrame:
    """Write the rows of one range, distinct and in order."""
    return _described([_sort(lines, folder, partition_info["number"] if partition_info else 0)])


def _sort(lines: pd.DataFrame, folder: str, number: int) -> Table:
    """Write rows, distinct and in order."""
    rows = distinct(pa.Table.from_pandas(lines.reset_index(drop=True), preserve_index=False))
    return write_table(f"{folder}/rows/{number:06d}.parquet", rows)


def _load(table: tuple[str, int]) -> pd.DataFrame:
    """A table of lines, with positions counted from the first line of the corpus."""
    url, offset = table
    frame = _frame(read_table(url))
    return frame.assign(position=frame["position"] + offset)


def _frame(lines: pa.Table) -> pd.DataFrame:
    """A table as pandas has it, text still in Arrow's form."""
    types = {pa.string(): pd.StringDtype("pyarrow")}
    return cast("pd.DataFrame", lines.to_pandas(types_mapper=types.get))


def _described(tables: list[Table]) -> pd.DataFrame:
    """Tables as rows of a frame."""
    return pd.DataFrame(tables, columns=list(Table._fields)).astype(TABLE_TYPES)
