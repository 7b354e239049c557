"""Dense products, for long rows that are nearly equal: bounds rule out none of their pairs.

Rows of thousands of columns that differ in a few are all similar.  Whatever the prefix, the bounds of `scan`
leave nearly all candidates, and each would be multiplied out column by column.  A matrix product does the
same a dozen times as fast.  So where a tile has long rows, a few of each stretch of long rows are scanned
first; if too many candidates are left of these, the columns that many rows of the tile share become a dense
matrix, and the rest of the stretch is multiplied with it.  The other columns have lists, as short as they are
rare.  Short rows are scanned, as they can't be near twins of long ones.

A sum is an estimate in float32 of all products of a pair, in some order, as those of `finish` are.  So
`minimum_estimate` covers its rounding, and nothing is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from novelty_dask.kernels.accelerate import compiled, compiled_loop
from novelty_dask.kernels.search.bounds import Rows, minimum_estimate
from novelty_dask.kernels.search.finish import Comparison, insert_candidate, is_known
from novelty_dask.kernels.search.inverted import LONG, InvertedTile
from novelty_dask.kernels.search.scan import NO_MARKS, scan_tile
from novelty_dask.kernels.search.simd import LANES
from novelty_dask.kernels.search.similarity import clear_row, load_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from novelty_dask.kernels.search.scratch import Scratch

SHARED = 16
"""A column is dense that at least every sixteenth row has: the others take less time in lists."""

STRETCH, PROBE = 1_024, 16
"""Long rows that are treated alike, and those of them, evenly spread, which tell how."""

SPEED = 16
"""Multiply-adds of a matrix product in the time of one of a row that is finished, or of a list."""

DENSE_BYTES = 2**24
"""Bytes of a dense matrix of candidates: a tile has several, one after the other."""

QUERIES = 64
"""Rows that are multiplied at once."""


class DensePart(NamedTuple):
    """Consecutive distinct rows of a tile, dense where columns are shared.

    Parameters
    ----------
    rows : ndarray of shape (rows,), int32
        Their numbers in the block.
    numbers : ndarray of shape (n_columns,), int32
        Number of each column that many rows of the tile have, -1 for all others.
    shared : ndarray of shape (rows, shared columns), float32
        Their weights of these columns.
    indptr : ndarray of shape (n_columns + 1,), int32
        First entry of each other column's list.
    members : ndarray of shape (entries,), int32
        Row of each entry, as a number in `rows`.
    weights : ndarray of shape (entries,), float32
        Its weight.
    """

    rows: NDArray[np.int32]
    numbers: NDArray[np.int32]
    shared: NDArray[np.float32]
    indptr: NDArray[np.int32]
    members: NDArray[np.int32]
    weights: NDArray[np.float32]


def has_long_rows(candidates: Rows, tile: InvertedTile) -> bool:
    """Return whether the rows of a tile are so long that `scan_long_rows` may be faster."""
    return _count_nonzeros(candidates.indptr, tile.distinct) >= LONG * tile.distinct.size


@compiled_loop
def _count_nonzeros(indptr: NDArray[np.int64], distinct: NDArray[np.int32]) -> int:
    """Return how many non-zeros some rows have."""
    # Compiled, as it is asked for each stretch of rows and tile: NumPy would fill arrays first.
    nonzeros = 0
    for i in distinct:
        nonzeros += indptr[i + 1] - indptr[i]
    return nonzeros


def scan_long_rows(
    comparison: Comparison, rows: NDArray[np.int32], tile: InvertedTile, scratch: Scratch
) -> tuple[int, int, int]:
    """Update the neighbors of some rows with one tile; takes and returns what `scan_tile` does."""
    frequencies = _count_rows(comparison.candidates, tile.distinct, scratch.x.size)
    numbers, dense_steps = _choose_shared(frequencies, tile.distinct.size)
    length = frequencies.sum() / tile.distinct.size
    is_long = np.diff(comparison.rows.indptr)[rows] >= LONG
    counts, dense = np.array(_scan(comparison, rows[~is_long], tile, scratch)), []
    long_rows = rows[is_long]
    for first in range(0, long_rows.size, STRETCH):
        stretch = long_rows[first : first + STRETCH]
        probed = slice(None, None, max(stretch.size // PROBE, 1))
        probe, rest = _scan(comparison, stretch[probed], tile, scratch), np.delete(stretch, probed)
        counts += probe
        if probe[2] * length > stretch[probed].size * dense_steps:
            dense.append(rest)
        else:
            counts += _scan(comparison, rest, tile, scratch)
    for part in _dense_parts(comparison.candidates, tile, numbers) if dense else ():
        counts += _multiply(comparison, np.concatenate(dense), part, tile, scratch)
    multiply_adds, slots, finished = counts.tolist()
    return multiply_adds, slots, finished


def _scan(
    comparison: Comparison, rows: NDArray[np.int32], tile: InvertedTile, scratch: Scratch
) -> tuple[int, int, int]:
    """Update the neighbors of some rows by the lists of a tile, all of its pieces."""
    return scan_tile(comparison, rows, tile, scratch, NO_MARKS)


@compiled
def _count_rows(candidates: Rows, distinct: NDArray[np.int32], n_columns: int) -> NDArray[np.int32]:
    """Return how many of some rows have each column."""
    counts = np.zeros(n_columns, np.int32)
    for i in distinct:
        for p in range(candidates.indptr[i], candidates.indptr[i + 1]):
            counts[candidates.indices[p]] += 1
    return counts


def _choose_shared(frequencies: NDArray[np.int32], n_rows: int) -> tuple[NDArray[np.int32], float]:
    """Return a number for each column that many rows have, -1 for the others, and the steps of each row."""
    is_shared = frequencies * SHARED >= n_rows
    numbers = np.where(is_shared, np.cumsum(is_shared) - 1, -1).astype(np.int32)
    # A row like those of the tile has a column with a chance of df / n_rows, and then adds df weights.
    in_lists = float((frequencies[~is_shared].astype(np.float64) ** 2).sum()) / n_rows
    return numbers, is_shared.sum() * n_rows / SPEED + in_lists


def _dense_parts(candidates: Rows, tile: InvertedTile, numbers: NDArray[np.int32]) -> Iterator[DensePart]:
    """Yield the distinct rows of a tile in parts of bounded memory."""
    n_shared = int(numbers.max(initial=-1)) + 1
    n_rows = max(DENSE_BYTES // (4 * max(n_shared, 1)), 1)
    for first in range(0, tile.distinct.size, n_rows):
        rows = tile.distinct[first : first + n_rows]
        shared = _fill_shared(candidates, rows, numbers, n_shared)
        yield DensePart(rows, numbers, shared, *_invert(candidates, rows, numbers))


@compiled
def _fill_shared(
    source: Rows, rows: NDArray[np.int32], numbers: NDArray[np.int32], n_shared: int
) -> NDArray[np.float32]:
    """Return the shared columns of some rows as a dense matrix."""
    shared = np.zeros((rows.size, n_shared), np.float32)
    for row, i in enumerate(rows):
        for p in range(source.indptr[i], source.indptr[i + 1]):
            number = numbers[source.indices[p]]
            if number >= 0:
                shared[row, number] = source.data[p]
    return shared


@compiled
def _invert(
    candidates: Rows, rows: NDArray[np.int32], numbers: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Return the lists of the columns that are not shared."""
    indptr = np.zeros(numbers.size + 1, np.int32)
    for i in rows:
        for p in range(candidates.indptr[i], candidates.indptr[i + 1]):
            column = candidates.indices[p]
            indptr[column + 1] += numbers[column] < 0
    for column in range(numbers.size):
        indptr[column + 1] += indptr[column]
    end = indptr[:-1].copy()
    members, weights = np.empty(indptr[-1], np.int32), np.empty(indptr[-1], np.float32)
    for row, i in enumerate(rows):
        for p in range(candidates.indptr[i], candidates.indptr[i + 1]):
            column = candidates.indices[p]
            if numbers[column] < 0:
                members[end[column]], weights[end[column]] = row, candidates.data[p]
                end[column] += 1
    return indptr, members, weights


def _multiply(
    comparison: Comparison, rows: NDArray[np.int32], part: DensePart, tile: InvertedTile, scratch: Scratch
) -> tuple[int, int, int]:
    """Update the neighbors of some rows with a part of a tile; the result is as that of `scan_tile`."""
    multiply_adds = slots = finished = 0
    for first in range(0, rows.size, QUERIES):
        queries = rows[first : first + QUERIES]
        shared = _fill_shared(comparison.rows, queries, part.numbers, part.shared.shape[1])
        sums = shared @ part.shared.T
        multiply_adds += sums.size * part.shared.shape[1] // LANES
        slots += sums.size
        added, kept = _finish(comparison, queries, sums, part, tile, scratch.x)
        multiply_adds, finished = multiply_adds + added, finished + kept
    return multiply_adds, slots, finished


@compiled_loop
def _finish(
    comparison: Comparison,
    queries: NDArray[np.int32],
    sums: NDArray[np.float32],
    part: DensePart,
    tile: InvertedTile,
    x: NDArray[np.float32],
) -> tuple[int, int]:
    """Add the columns that are not shared, and insert the candidates that are similar enough."""
    rows, added, finished = comparison.rows, 0, 0
    for query in range(sums.shape[0]):
        i, estimates = queries[query], sums[query]
        for p in range(rows.indptr[i], rows.indptr[i + 1]):
            column = rows.indices[p]
            if part.numbers[column] < 0:
                start, stop = part.indptr[column], part.indptr[column + 1]
                for entry in range(start, stop):
                    estimates[part.members[entry]] += rows.data[p] * part.weights[entry]
                added += stop - start
        load_row(x, rows, i)
        similarities, nonzeros = comparison.neighbors.similarities[i], rows.indptr[i + 1] - rows.indptr[i]
        for member in range(estimates.size):
            if estimates[member] >= minimum_estimate(similarities[-1], nonzeros):
                j = int(part.rows[member])
                if not is_known(comparison, i, j, tile):
                    insert_candidate(comparison, i, j, tile, x)
                    finished += 1
        clear_row(x, rows, i)
    return added, finished
