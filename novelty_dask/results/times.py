"""Times of rows as columns: when each was seen first and last, and which of its neighbors was first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from novelty_dask.storage.tables import TIMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.results.results import Results


def time_columns(
    results: Results, block: int, kept: slice | NDArray[np.int64], ids: NDArray[np.int64]
) -> dict[str, pa.Array]:
    """Return when rows of a block were seen, and which of their neighbors was first, and when.

    Parameters
    ----------
    results : Results
    block : int
    kept : slice or ndarray
        Rows of the block.
    ids : ndarray of int64, shape (rows, k)
        Their neighbors; -1 where there is none.

    Returns
    -------
    dict of str to pyarrow.Array
        Columns first_seen, last_seen, first_url and first_url_seen, times as ISO 8601 in UTC; of neighbors
        that were seen first at one time, the most similar.  Null where there is none.
    """
    columns = {name: _text(results.read(f"rows/{name}", block)[kept]) for name in TIMES}
    times = _read_first_seen(results, ids)
    if not times.size:
        return columns | dict.fromkeys(("first_url", "first_url_seen"), pa.array([], pa.string()))
    # The first of equal ones is the most similar, as neighbors are in that order.
    rows, slots = np.arange(len(ids)), times.argmin(axis=1)
    first, seen = ids[rows, slots], times[rows, slots]
    urls = pa.array(results.urls(first).tolist(), pa.string(), mask=first < 0)
    return {**columns, "first_url": urls, "first_url_seen": _text(seen, first >= 0)}


def _read_first_seen(results: Results, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return when neighbors were first seen; the last of all times where there is none."""
    times = np.full(ids.shape, np.iinfo(np.int64).max)
    blocks = np.where(ids < 0, -1, ids // results.block_rows)
    for block in np.unique(blocks[blocks >= 0]).tolist():
        is_here = blocks == block
        times[is_here] = results.read("rows/first_seen", block)[ids[is_here] - block * results.block_rows]
    return times


def _text(times: NDArray[np.int64], is_there: NDArray[np.bool_] | None = None) -> pa.Array:
    """Return times as text, null where there is none."""
    # Of one width, so that they sort as the times do.
    texts = np.datetime_as_string(times.astype("datetime64[us]"), timezone="UTC")
    return pa.array(texts.tolist(), pa.string(), mask=None if is_there is None else ~is_there)
