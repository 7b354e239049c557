"""All that a search among vectors reads and writes, made before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from novelty_dask.kernels.vectors.instructions import GROUP
from novelty_dask.kernels.vectors.products import ROWS, aligned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from novelty_dask.kernels.vectors.closeness import Measure
    from novelty_dask.kernels.vectors.integers import IntegerRows

NEVER = 2.0**30
"""A limit that no value is over; all values are over its negative."""
WAITING = 16
"""Pairs that are estimated together, when what they need has come to the cache."""
MORE = 22
"""Candidates of a row that are remembered beyond its k best, as they may be as close but for rounding."""
FOUND_BYTES = 2**24
"""Bytes of the candidates of all rows of a stretch that are remembered."""
MOST_ROWS = 2**14
"""Most rows of a stretch."""


class Block(NamedTuple):
    """Consecutive rows, with their neighbors so far.

    Parameters
    ----------
    vectors : ndarray of shape (rows, columns), float64
    integers : IntegerRows
        The same rows, less a common vector where distances are measured.
    first : int
        Number of the first row.
    ids, closeness : ndarray of shape (rows, k)
        Neighbors so far, best first, which are updated; k is 0 where none are looked for.
    """

    vectors: NDArray[np.float64]
    integers: IntegerRows
    first: int
    ids: NDArray[np.int64]
    closeness: NDArray[Any]


class Bounds(NamedTuple):
    """Numbers that turn thresholds of closeness into limits of values.

    Parameters
    ----------
    unit : float
        What values are divided by, so that none is too large for float32.
    value_error : float
        Most that a value is off in float32.
    measure : Measure
    """

    unit: float
    value_error: float
    measure: Measure


class Found(NamedTuple):
    """Candidates of rows that may be among the closest.

    Parameters
    ----------
    candidates : ndarray of shape (rows, capacity), int32
        Numbers in their stretch, best first.
    estimates : ndarray of shape (rows, capacity), float64
        Closeness, or nearly.
    counts : ndarray of shape (rows,), int32
        Candidates that are remembered.
    thresholds : ndarray of shape (rows,), float64
        A candidate must have an estimate that is not below.
    limits : ndarray of float32
        A candidate must have a value that is over; padded.
    """

    candidates: NDArray[np.int32]
    estimates: NDArray[np.float64]
    counts: NDArray[np.int32]
    thresholds: NDArray[np.float64]
    limits: NDArray[np.float32]


class Side(NamedTuple):
    """Some rows of a block, as rows and as candidates, and what is found for them.

    Parameters
    ----------
    first : int
        Number of the first row.
    vectors : ndarray of shape (rows, columns), float64
    singles : ndarray of shape (rows, columns), float32
        The same, less a common vector perhaps, in units of `factors`.
    factors, squares, slacks : ndarray of shape (rows,), float64
        Scales, squared lengths, and the most that estimates are off, or closeness by rounding.
    bytes, panels : ndarray of uint8 and int8
        Integers, by rows and by panels.
    sums : ndarray of int32
        Where the sums of candidates start; padded, as all that follow.
    scales : ndarray of float32
        What products are multiplied with.
    starts : ndarray of float32
        Where values start, in which both rows of a pair have a part.
    ids, closeness : ndarray of shape (rows, k)
        Neighbors so far, best first.
    found : Found
    """

    first: int
    vectors: NDArray[np.float64]
    singles: NDArray[np.float32]
    factors: NDArray[np.float64]
    squares: NDArray[np.float64]
    slacks: NDArray[np.float64]
    bytes: NDArray[np.uint8]
    panels: NDArray[np.int8]
    sums: NDArray[np.int32]
    scales: NDArray[np.float32]
    starts: NDArray[np.float32]
    ids: NDArray[np.int64]
    closeness: NDArray[Any]
    found: Found


class Search(NamedTuple):
    """All that a search of some rows among others reads and writes.

    Parameters
    ----------
    rows, candidates : Side
    bounds : Bounds
    is_same, is_both : bool
        True if candidates are the rows themselves, and if neighbors of candidates are looked for as well.
    n_groups, width : int
        Groups of four columns of a row, and candidates of a panel.
    over_limit : ndarray of int64
        Candidates of one tile that may be close.
    waiting : ndarray of shape (pairs, 2), int64
        Rows and candidates that are not estimated yet.
    """

    rows: Side
    candidates: Side
    bounds: Bounds
    is_same: bool
    is_both: bool
    n_groups: int
    width: int
    over_limit: NDArray[np.int64]
    waiting: NDArray[np.int64]


class Values(NamedTuple):
    """Numbers of all rows of a block that depend on the other block.

    Parameters
    ----------
    scales, starts, slacks : ndarray of shape (rows,), float64
        As in `Side`.
    """

    scales: NDArray[np.float64]
    starts: NDArray[np.float64]
    slacks: NDArray[np.float64]


def stretches(block: Block) -> Iterator[slice]:
    """Yield rows of a block that are searched together, so few that what is found for them has room."""
    n_rows, width, k = len(block.vectors), block.integers.instructions.columns, block.ids.shape[1]
    most = min(MOST_ROWS, FOUND_BYTES // (12 * (k + MORE))) if k else n_rows
    step = max(1, -(-most // width)) * width
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def make_side(block: Block, values: Values, part: slice) -> Side:
    """Return some rows of a block, whose first one begins a panel."""
    integers, row_bytes = block.integers, GROUP * block.integers.n_groups
    width = integers.instructions.columns
    n_rows = part.stop - part.start
    n_padded = -(-n_rows // width) * width
    # As many rows more as a tile may have beyond the last.
    size = n_padded + ROWS
    return Side(
        block.first + part.start,
        block.vectors[part],
        integers.singles[part],
        integers.scales[part],
        integers.squares[part],
        values.slacks[part],
        integers.rows[part.start * row_bytes :],
        integers.panels[part.start * row_bytes : (part.start + n_padded) * row_bytes],
        padded(integers.sums[part], size, 0, np.int32),
        padded(values.scales[part], size, 0),
        # Values of what is padded are below all limits.
        padded(values.starts[part], size, -2 * NEVER),
        block.ids[part],
        block.closeness[part],
        _make_found(n_rows, block.ids.shape[1], size),
    )


def _make_found(n_rows: int, k: int, size: int) -> Found:
    """Return room for the candidates of rows."""
    capacity = k + MORE if k else 0
    return Found(
        candidates=np.empty((n_rows, capacity), np.int32),
        estimates=np.empty((n_rows, capacity)),
        counts=np.empty(n_rows, np.int32),
        thresholds=np.full(n_rows, np.inf),
        limits=padded(np.empty(0), size, NEVER),
    )


def make_search(rows: Side, candidates: Side, bounds: Bounds, integers: IntegerRows) -> Search:
    """Return a search of some rows among others."""
    width = integers.instructions.columns
    return Search(
        rows,
        candidates,
        bounds,
        is_same=rows is candidates,
        is_both=candidates.ids.shape[1] > 0,
        n_groups=integers.n_groups,
        width=width,
        over_limit=np.empty(ROWS, np.int64),
        waiting=np.empty((WAITING + ROWS * width, 2), np.int64),
    )


def padded(values: NDArray[Any], size: int, rest: float, dtype: Any = np.float32) -> NDArray[Any]:
    """Return values in another type, and the same number for those that are missing."""
    result = aligned(size, dtype)
    result[: len(values)] = values
    result[len(values) :] = rest
    return result
