"""All that a search among vectors reads and writes, made before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from novelty_dask.kernels.vectors.integers import OFFSET, IntegerRows
from novelty_dask.kernels.vectors.products import ROWS, aligned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.kernels.vectors.closeness import Measure

CHUNK = 40 * ROWS
"""Rows that pass a panel one after the other, while it is in the cache."""
NEVER = 2.0**30
"""A limit that no value is over; all values are over its negative."""
WAITING = 16
"""Candidates that are estimated together, when they have come to the cache."""
LEAST_CAPACITY = 128
"""Candidates of a row that are remembered, at least."""


class Bounds(NamedTuple):
    """Numbers that turn thresholds of closeness into limits of values.

    Parameters
    ----------
    unit : float
        What values are divided by, so that none is too large for float32.
    longest : float
        Length of the longest candidate.
    rounding : float
        Relative error of all sums in float64.
    value_error : float
        Most that a value is off in float32.
    measure : Measure
    """

    unit: float
    longest: float
    rounding: float
    value_error: float
    measure: Measure


class Panels(NamedTuple):
    """Candidates, ready to be multiplied.

    Parameters
    ----------
    bytes : ndarray of int8
        Their integers, by panels.
    parts : (ndarray of int32, ndarray of float32, ndarray of float32)
        Where the sums of candidates start, their scales, and where their values start.
    width : int
        Candidates of a panel.
    """

    bytes: NDArray[np.int8]
    parts: tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]
    width: int


class Found(NamedTuple):
    """Candidates of the rows of a chunk that may be among the closest.

    Parameters
    ----------
    best : ndarray of shape (rows, k), float64
        The best estimates of candidates so far.
    candidates : ndarray of shape (rows, capacity), int32
        Numbers in their block.
    estimates : ndarray of shape (rows, capacity), float64
        Closeness, but for the rounding of a sum.
    counts : ndarray of shape (rows,), int32
        Candidates that are remembered.
    slacks : ndarray of shape (rows,), float64
        Most that a sum in float64, in whatever order, is off.
    thresholds : ndarray of shape (rows,), float64
        A candidate must have an estimate that is not below.
    limits : ndarray of shape (rows,), float32
        A candidate must have a value that is over.
    over_limit : ndarray of int64
        Candidates of one tile that have.
    waiting : ndarray of shape (pairs, 2), int64
        Rows of the chunk and candidates that are not estimated yet.
    """

    best: NDArray[np.float64]
    candidates: NDArray[np.int32]
    estimates: NDArray[np.float64]
    counts: NDArray[np.int32]
    slacks: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    limits: NDArray[np.float32]
    over_limit: NDArray[np.int64]
    waiting: NDArray[np.int64]


class Search(NamedTuple):
    """All that a search of one block among another one reads and writes.

    Parameters
    ----------
    vectors : tuple of ndarray, of shapes (rows, columns) and (candidates, columns), float64
    integers : IntegerRows
        The rows.
    scales : ndarray of float32
        Of the rows, padded.
    panels : Panels
        The candidates.
    bounds : Bounds
    kept : tuple of ndarray of shape (rows, k)
        Ids and closeness of the neighbors so far, best first.
    starts : (int, int)
        Numbers of the first row and of the first candidate.
    found : Found
    """

    vectors: tuple[NDArray[np.float64], NDArray[np.float64]]
    integers: IntegerRows
    scales: NDArray[np.float32]
    panels: Panels
    bounds: Bounds
    kept: tuple[NDArray[np.int64], NDArray[Any]]
    starts: tuple[int, int]
    found: Found


def padded(values: NDArray[Any], size: int, rest: float) -> NDArray[np.float32]:
    """Return values in float32, and the same number for those that are missing."""
    result: NDArray[np.float32] = aligned(size, np.float32)
    result.fill(rest)
    result[: len(values)] = values
    return result


def make_panels(candidates: IntegerRows, scales: NDArray[Any], begin: NDArray[np.float64]) -> Panels:
    """Return candidates, ready to be multiplied."""
    size = -(-len(scales) // candidates.panel_rows) * candidates.panel_rows
    sums: NDArray[np.int32] = aligned(size, np.int32)
    # Rows have an offset, which the sum of a candidate's integers takes away again.
    sums[: len(scales)] = -OFFSET * candidates.sums
    parts = (sums, padded(scales, size, 0), padded(begin, size, -2 * NEVER))
    return Panels(candidates.panels, parts, candidates.panel_rows)


def make_found(n_rows: int, k: int, panel_rows: int) -> Found:
    """Return room for the candidates of a chunk."""
    rows, capacity = min(CHUNK, -(-n_rows // ROWS) * ROWS), max(LEAST_CAPACITY, 4 * k)
    return Found(
        best=np.empty((rows, k)),
        candidates=np.empty((rows, capacity), np.int32),
        estimates=np.empty((rows, capacity)),
        counts=np.empty(rows, np.int32),
        slacks=np.empty(rows),
        thresholds=np.empty(rows),
        limits=np.empty(rows, np.float32),
        over_limit=np.empty(ROWS, np.int64),
        waiting=np.empty((WAITING + ROWS * panel_rows, 2), np.int64),
    )
