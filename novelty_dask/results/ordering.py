"""Rows of a run in another order than that of storage, in bounded memory.

This is a distribution sort: a sample of the keys gives boundaries, one pass over the blocks
distributes their rows to buckets on disk, and each bucket is sorted by itself.  Rows are compared
by key and then by number, so that a bucket stays small however many keys tie.
"""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from novelty_dask.results.buckets import (
    BUCKET_BYTES,
    PART_ROWS,
    distribute,
    keys_of,
    read_tables,
    sort_by_key,
    with_key,
)
from novelty_dask.results.results import Results

SAMPLED_KEYS = 200_000
OTHER_BYTES = 64
"""Bytes of a row besides its text."""

ReadPart = Callable[[int, NDArray[np.int64]], pa.Table]
"""Function that reads some rows of a block, counted from its first."""
Key = Callable[[Results, int], NDArray[Any]]
"""Function that returns a sort key for each row of a block."""
Kept = NDArray[np.bool_] | None
"""Whether each row of a run is wanted; None for all."""


def position_key(results: Results, block: int) -> NDArray[np.int64]:
    """Return the position where each row was first read."""
    return results.read("rows/position", block)


def view_key(name: str, sign: int, results: Results, block: int) -> NDArray[np.float64]:
    """Return a view of each row, with a sign, as keys ascend; where it is undefined, it comes last."""
    view = results.read(name, block)
    return np.where(np.isnan(view), np.inf, sign * view)


ORDERS = ("input", *Results.views)


def choose_key(order: str, *, least: bool = False) -> Key:
    """Return the key of an order: the highest of a view come first, or the lowest."""
    return position_key if order == "input" else partial(view_key, order, 1 if least else -1)


def tables_in_order(
    results: Results,
    read: ReadPart,
    key: Key,
    urls_per_row: float,
    *,
    folder: Path | None = None,
    kept: Kept = None,
) -> Iterator[pa.Table]:
    """Yield rows in an order, as consecutive tables, one at least.

    Parameters
    ----------
    results : Results
        A complete run.
    read : callable
        ``read(block, within)`` gives the table of some rows of a block.
    key : callable
        Made by `choose_key`; ties are by row.
    urls_per_row : float
        URLs in a row of the table, on average; the number of buckets depends on it.
    folder : Path, optional
        Folder for the buckets; the system's temporary folder by default.
    kept : ndarray of bool, shape (n_rows,), optional
        Rows that are wanted; all by default.

    Yields
    ------
    pyarrow.Table
        The next rows, of about `BUCKET_BYTES` bytes at most.
    """
    # Buckets of about equal bytes, so that each can be sorted in memory, whatever the length of the URLs.
    # Without URLs in the rows, the mean is not asked for: it takes reading all URLs.
    text_bytes = urls_per_row and urls_per_row * results.mean_url_bytes() + results.places.mean_name_bytes
    row_bytes = OTHER_BYTES + text_bytes
    # Of the wanted rows alone, as each bucket becomes a group of rows of its own in Parquet.
    n_rows = results.n_rows if kept is None else int(np.count_nonzero(kept))
    n_buckets = max(1, round(n_rows * row_bytes / BUCKET_BYTES))
    parts = _keyed_parts(results, read, key, kept)
    if n_buckets == 1:
        yield sort_by_key([table for table, _ in parts])
        return
    keys, rows = _boundaries(results, key, kept, n_buckets)
    with tempfile.TemporaryDirectory(prefix="novelty-", dir=folder) as temporary:
        for table, numbers in parts:
            buckets = bucket_numbers(keys_of(table), numbers, keys, rows)
            if len(buckets):
                distribute(table, buckets, Path(temporary))
        for bucket in sorted(Path(temporary).iterdir()):
            yield sort_by_key(read_tables(bucket))
            bucket.unlink()


def bucket_numbers(
    keys: NDArray[Any], rows: NDArray[np.int64], bound_keys: NDArray[Any], bound_rows: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the bucket of each row: the number of boundaries at or before it, by key and then by row.

    >>> bucket_numbers(np.array([5, 5, 1]), np.array([7, 8, 9]), np.array([2, 5]), np.array([0, 8]))
    array([1, 2, 0])
    """
    order = np.lexsort((np.concatenate([bound_rows, rows]), np.concatenate([bound_keys, keys])))
    buckets = np.empty(len(order), np.int64)
    # Sorted together with the rows, each boundary begins the next bucket.
    buckets[order] = np.cumsum(order < len(bound_rows))
    return buckets[len(bound_rows) :]


def _boundaries(
    results: Results, key: Key, kept: Kept, n_buckets: int
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return keys and rows that divide the wanted rows into about equal buckets, from an even sample."""
    step = -(-(results.n_rows if kept is None else np.count_nonzero(kept)) // SAMPLED_KEYS)
    samples, n_seen = [], 0
    for block in range(results.n_blocks):
        within = _wanted(results, kept, block)
        # The stride goes on from block to block: small blocks would all be sampled at their first row
        # otherwise.
        sampled = within[-n_seen % step :: step]
        samples.append((key(results, block)[sampled], block * results.block_rows + sampled))
        n_seen += len(within)
    keys, rows = map(np.concatenate, zip(*samples, strict=True))
    order = np.lexsort((rows, keys))
    chosen = order[np.linspace(0, len(order), n_buckets + 1).astype(np.int64)[1:-1]]
    return keys[chosen], rows[chosen]


def _wanted(results: Results, kept: Kept, block: int) -> NDArray[np.int64]:
    """Return the rows of a block that are wanted, counted from its first."""
    start = block * results.block_rows
    stop = min(start + results.block_rows, results.n_rows)
    return np.arange(stop - start) if kept is None else np.flatnonzero(kept[start:stop])


def _keyed_parts(
    results: Results, read: ReadPart, key: Key, kept: Kept
) -> Iterator[tuple[pa.Table, NDArray[np.int64]]]:
    """Yield tables of wanted rows as stored, with keys, and numbers of rows; the first may be empty."""
    for block in range(results.n_blocks):
        rows = _wanted(results, kept, block)
        if block and not len(rows):
            continue
        keys = key(results, block)
        # Of the first block in any case, so that there are columns.
        for start in range(0, max(len(rows), 1), PART_ROWS):
            within = rows[start : start + PART_ROWS]
            table = with_key(read(block, within), keys[within])
            yield table, block * results.block_rows + within
