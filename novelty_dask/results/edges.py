"""Edges from rows to their neighbors, as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import polars
    from numpy.typing import NDArray


class Edges(NamedTuple):
    """Edges of some rows, in the order of rows and ranks.

    Parameters
    ----------
    row, neighbor : ndarray of int64
        Where each begins and ends.
    rank : ndarray of int32
        1 for the closest neighbor of a row, and 0 for the row itself.
    weight : ndarray of float32 or float64
        Similarities, or distances.
    """

    row: NDArray[np.int64]
    neighbor: NDArray[np.int64]
    rank: NDArray[np.int32]
    weight: NDArray[Any]


def edge_schema(weight: str, dtype: np.dtype[Any]) -> pa.Schema:
    """Return the schema of edges, whose weights have a name and a type."""
    columns = {
        "row": pa.int64(),
        "neighbor": pa.int64(),
        "rank": pa.int32(),
        weight: pa.from_numpy_dtype(dtype),
    }
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


def make_edges(
    rows: NDArray[np.int64], ids: NDArray[np.int64], weights: NDArray[Any], itself: float | None
) -> Edges:
    """Return the edges of some rows to their neighbors.

    Parameters
    ----------
    rows : ndarray of shape (rows,), int64
        Their numbers.
    ids : ndarray of shape (rows, k), int64
        Their neighbors, -1 where there is none.
    weights : ndarray of shape (rows, k)
    itself : float, optional
        Weight of an edge from each row to itself, before the others; without one, there is none.
    """
    first = 1 if itself is None else 0
    own = np.full((len(rows), 1), itself or 0, weights.dtype)
    to = np.hstack([rows[:, None], ids])[:, first:]
    ranks = np.arange(first, ids.shape[1] + 1, dtype=np.int32)
    # Rows may have fewer neighbors than there is room for.
    exists = to >= 0
    return Edges(
        np.broadcast_to(rows[:, None], to.shape)[exists],
        to[exists],
        np.broadcast_to(ranks, to.shape)[exists],
        np.hstack([own, weights])[:, first:][exists],
    )


def scan_edges(schema: pa.Schema, stream: Callable[[], Iterator[pa.RecordBatch]]) -> polars.LazyFrame:
    """Return edges as a lazy frame of polars, which streams them anew for each query.

    Raises
    ------
    ImportError
        polars is not installed.
    """
    import polars  # noqa: PLC0415 - needed for this alone
    from polars.io.plugins import register_io_source  # noqa: PLC0415

    def read(
        columns: list[str] | None, predicate: Any, n_rows: int | None, _batch_size: int | None
    ) -> Iterator[polars.DataFrame]:
        left = n_rows
        for batch in stream():
            frame: Any = polars.from_arrow(batch)
            # A predicate may need columns that are not asked for.  Polars counts rows before it.
            frame = frame if left is None else frame.head(left)
            left = None if left is None else left - len(frame)
            frame = frame if predicate is None else frame.filter(predicate)
            yield frame if columns is None else frame.select(columns)
            if left == 0:
                return

    return register_io_source(read, schema=polars.Schema(polars.from_arrow(schema.empty_table()).schema))
