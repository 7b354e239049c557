"""Rows moved between tables by ranges of their key, by Dask's own shuffle.

Only corpora of several ranges need Dask's dataframes, which take long to import, so this is a module of its
own that is imported on demand.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import dask.dataframe as dd
import pandas as pd
import pyarrow as pa


def shuffle(
    read: Callable[[Any], pa.Table],
    items: Sequence[Any],
    schema: pa.Schema,
    ranges: Sequence[str],
    write: Callable[[pa.Table, int], Sequence[Any]],
    types: Mapping[str, str],
) -> dd.DataFrame:
    """Return a lazy frame whose partitions write the rows of one range each.

    Parameters
    ----------
    read : callable
        Called with an item, returns its rows.
    items : sequence
        The arguments of `read`.
    schema : pyarrow.Schema
        The schema of the rows; it has a column "key".
    ranges : sequence of str
        Ascending keys that split the rows into ranges, without the two ends.
    write : callable
        Called with the rows of a range and its number; returns one row that describes the written table.
    types : mapping of str to str
        Names and pandas dtypes of the columns of that row.

    Returns
    -------
    dask.dataframe.DataFrame
        A partition for each range, with one row each.
    """
    described = partial(_describe, types=types)
    lines = dd.from_map(load, items, read=read, meta=_frame(schema.empty_table()))
    # Every key lies between the empty text and the last character of Unicode, so no row is left out.
    moved = lines.set_index("key", divisions=["", *ranges, "\U0010ffff"])
    return cast("dd.DataFrame", moved.map_partitions(sort, write, described, meta=described([])))


def load(item: Any, read: Callable[[Any], pa.Table]) -> pd.DataFrame:
    """Return the rows of an item as a frame."""
    return _frame(read(item))


def sort(
    lines: pd.DataFrame,
    write: Callable[[pa.Table, int], Sequence[Any]],
    describe: Callable[[list[Sequence[Any]]], pd.DataFrame],
    partition_info: dict[str, int] | None = None,
) -> pd.DataFrame:
    """Write the rows of one range."""
    rows = pa.Table.from_pandas(lines.reset_index(), preserve_index=False)
    return describe([write(rows, partition_info["number"] if partition_info else 0)])


def _frame(lines: pa.Table) -> pd.DataFrame:
    """Return a table as a pandas frame."""
    # Text stays in Arrow's form: as Python objects it would take several times the memory.
    types = {pa.string(): pd.StringDtype("pyarrow")}
    return cast("pd.DataFrame", lines.to_pandas(types_mapper=types.get))


def _describe(rows: list[Sequence[Any]], types: Mapping[str, str]) -> pd.DataFrame:
    """Return a frame of rows, with a dtype for each column."""
    return pd.DataFrame(rows, columns=list(types)).astype(dict(types))
