"""Rows moved between tables by ranges of their key, by Dask's own shuffle.

A module of its own, as only corpora of several ranges need Dask's dataframes, which take long to import.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import dask.dataframe as dd
import pandas as pd
import pyarrow as pa

from novelty_dask.storage.tables import SortedTable

TABLE_TYPES = {"item": "str", "key": "str"} | dict.fromkeys(
    ["n_rows", "n_bytes", "length", "checksum"], "int64"
)


def shuffled(
    read: Callable[[Any], pa.Table],
    items: Sequence[Any],
    schema: pa.Schema,
    ranges: Sequence[str],
    write: Callable[[pa.Table, int], SortedTable],
) -> dd.DataFrame:
    """Tables of which each is written with the rows of one range, computed when Dask is asked to.

    Parameters
    ----------
    read : callable
        Called with an item, returns its rows.
    items : sequence
        What there is to read.
    schema : pyarrow.Schema
        That of what is read; has a column "key".
    ranges : sequence of str
        Keys that cut the rows into ranges, without the ends, ascending.
    write : callable
        Called with the rows of a range and its number, returns where they are.

    Returns
    -------
    dask.dataframe.DataFrame
        A partition for each range, with the fields of `SortedTable` as its columns.
    """
    lines = dd.from_map(load, items, read=read, meta=_frame(schema.empty_table()))
    moved = lines.set_index("key", divisions=["", *ranges, "\U0010ffff"])
    return cast("dd.DataFrame", moved.map_partitions(sort, write, meta=_described([])))


def load(item: Any, read: Callable[[Any], pa.Table]) -> pd.DataFrame:
    """The rows of an item as a frame."""
    return _frame(read(item))


def sort(
    lines: pd.DataFrame,
    write: Callable[[pa.Table, int], SortedTable],
    partition_info: dict[str, int] | None = None,
) -> pd.DataFrame:
    """Write the rows of one range."""
    rows = pa.Table.from_pandas(lines.reset_index(drop=True), preserve_index=False)
    return _described([write(rows, partition_info["number"] if partition_info else 0)])


def _frame(lines: pa.Table) -> pd.DataFrame:
    """A table as pandas has it, text still in Arrow's form."""
    types = {pa.string(): pd.StringDtype("pyarrow")}
    return cast("pd.DataFrame", lines.to_pandas(types_mapper=types.get))


def _described(tables: list[SortedTable]) -> pd.DataFrame:
    """Tables as rows of a frame."""
    return pd.DataFrame(tables, columns=list(SortedTable._fields)).astype(TABLE_TYPES)
