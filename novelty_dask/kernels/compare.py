"""The inner loops: a span of rows against one cache tile of candidates, and against each other in sort order.

`similarity` is the only routine whose values are kept; why the others lose nothing is said in `topk`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled, compiled_fastmath
from novelty_dask.kernels.blocks import Rows, Tile
from novelty_dask.kernels.bounds import SMALLEST, lowest_estimate
from novelty_dask.kernels.neighbors import Neighbors, insert

CHUNK = 128
"""Accumulators that are scanned at once."""


class Task(NamedTuple):
    """What is compared with what, and where the result goes."""

    rows: Rows
    candidates: Rows
    neighbors: Neighbors
    row_start: int
    candidate_start: int


@compiled
def similarity(x: NDArray[np.float32], indices: NDArray[np.int32], data: NDArray[np.float32]) -> np.float32:
    """Cosine similarity of two rows of unit norm: the routine whose values are kept.

    Parameters
    ----------
    x : ndarray of shape (n_columns,), float32
        One row, dense.
    indices, data : ndarray of shape (nnz,)
        The other row, columns ascending.

    Returns
    -------
    float32
        The float64 sum of the products in ascending order of columns, rounded once.  At most 1; 0 if it is
        below `SMALLEST`.
    """
    total = 0.0
    for p in range(indices.size):
        total += np.float64(x[indices[p]]) * np.float64(data[p])
    rounded = np.float32(min(total, 1.0))
    return rounded if rounded >= SMALLEST else np.float32(0)


@compiled
def seed(task: Task, n_columns: int) -> int:
    """Compare each row with the k that follow it in sort order, for both; return the number of pairs."""
    x = np.zeros(n_columns, np.float32)
    pairs, last, (ids, similarities) = 0, task.rows.indptr.size - 1, task.neighbors
    for i in range(last):
        _load(x, task.rows, i)
        for j in range(i + 1, min(i + 1 + ids.shape[1], last)):
            value = _similarity_to(x, task.rows, j)
            if value > 0:
                insert(ids[i], similarities[i], task.row_start + j, value)
                insert(ids[j], similarities[j], task.row_start + i, value)
            pairs += 1
        _unload(x, task.rows, i)
    return pairs


@compiled
def _load(x: NDArray[np.float32], rows: Rows, i: int) -> None:
    """Make row i dense."""
    for p in range(rows.indptr[i], rows.indptr[i + 1]):
        x[rows.indices[p]] = rows.data[p]


@compiled
def _unload(x: NDArray[np.float32], rows: Rows, i: int) -> None:
    """Make x zero again after row i."""
    for p in range(rows.indptr[i], rows.indptr[i + 1]):
        x[rows.indices[p]] = 0


@compiled
def _similarity_to(x: NDArray[np.float32], rows: Rows, j: int) -> np.float32:
    """Similarity of a dense row to row j."""
    a, b = rows.indptr[j], rows.indptr[j + 1]
    return similarity(x, rows.indices[a:b], rows.data[a:b])


@compiled
def compare(task: Task, span: tuple[int, int], tile: Tile) -> tuple[int, int, int]:
    """Update the neighbors of a span of rows with one tile; return multiply-adds, slots and finished."""
    x = np.zeros(tile.indptr.size - 1, np.float32)
    sums = np.zeros(tile.norms.shape[1], np.float32)
    multiply_adds = slots = finished = 0
    for i in range(span[0], span[1]):
        level = _level(task.rows.norms[i], tile.highest, _limit(task, i))
        scattered = _scatter(sums, task.rows, i, level, tile)
        if scattered > 0:
            multiply_adds += scattered
            slots += sums.size
            finished += _scan(task, i, level, tile, sums, x)
            sums[:] = 0
    return multiply_adds, slots, finished


@compiled
def _limit(task: Task, i: int) -> np.float32:
    """Estimate that a candidate of row i has to reach."""
    return lowest_estimate(task.neighbors.similarities[i, -1], task.rows.indptr[i + 1] - task.rows.indptr[i])


@compiled
def _level(norms: NDArray[np.float32], highest: NDArray[np.float32], limit: np.float32) -> int:
    """First break-point from which on no candidate of the tile reaches the limit; the norms end with 0."""
    level = 0
    while norms[level] * highest[level] >= limit:
        level += 1
    return level


@compiled
def _scatter(sums: NDArray[np.float32], rows: Rows, i: int, level: int, tile: Tile) -> int:
    """Add the inverted lists of the columns of row i before the break-point; return their length."""
    scattered, start = 0, rows.indptr[i]
    for p in range(start, start + rows.starts[i, level]):
        a, b = tile.indptr[rows.indices[p]], tile.indptr[rows.indices[p] + 1]
        _add(sums, tile.ids[a:b], tile.values[a:b], rows.data[p])
        scattered += b - a
    return scattered


@compiled_fastmath
def _add(
    sums: NDArray[np.float32], ids: NDArray[np.uint16], values: NDArray[np.float32], weight: np.float32
) -> None:
    """Add one inverted list."""
    for q in range(ids.size):
        sums[ids[q]] += weight * values[q]


@compiled
def _scan(
    task: Task, i: int, level: int, tile: Tile, sums: NDArray[np.float32], x: NDArray[np.float32]
) -> int:
    """Finish the candidates whose estimate reaches the limit of row i; return how many."""
    limit, finished = _limit(task, i), 0
    bounds, norm, own = (
        tile.norms[level],
        task.rows.norms[i, level],
        task.row_start + i - task.candidate_start,
    )
    for a in range(0, sums.size, CHUNK):
        b = min(a + CHUNK, sums.size)
        if _reaching(sums[a:b], bounds[a:b], norm, limit) == 0:
            continue
        for q in range(a, b):
            if sums[q] + norm * bounds[q] >= limit and tile.first + q != own:
                if finished == 0:
                    _load(x, task.rows, i)
                finished += 1
                if sums[q] + _suffix_sum(x, task.candidates, tile.first + q, level) >= limit:
                    _show(task, i, tile.first + q, x)
                    limit = _limit(task, i)
    if finished > 0:
        _unload(x, task.rows, i)
    return finished


@compiled_fastmath
def _reaching(
    sums: NDArray[np.float32], bounds: NDArray[np.float32], norm: np.float32, limit: np.float32
) -> int:
    """Count the estimates that reach the limit; counting is a loop that vectorizes."""
    count = 0
    for q in range(sums.size):
        if sums[q] + norm * bounds[q] >= limit:
            count += 1
    return count


@compiled
def _show(task: Task, i: int, j: int, x: NDArray[np.float32]) -> None:
    """Insert candidate j into the neighbors of row i, which is x, if it is among the best."""
    value = _similarity_to(x, task.candidates, j)
    if value > 0:
        insert(task.neighbors.ids[i], task.neighbors.similarities[i], task.candidate_start + j, value)


@compiled
def _suffix_sum(x: NDArray[np.float32], rows: Rows, j: int, level: int) -> np.float32:
    """Sum of the products with row j from a break-point on, in any order."""
    a, b = rows.indptr[j] + rows.starts[j, level], rows.indptr[j + 1]
    return _sum_of_products(x, rows.indices[a:b], rows.data[a:b])


@compiled_fastmath
def _sum_of_products(
    x: NDArray[np.float32], indices: NDArray[np.int32], data: NDArray[np.float32]
) -> np.float32:
    """Float32 products of a dense and a sparse row, added in any order."""
    total = np.float32(0)
    for p in range(indices.size):
        total += x[indices[p]] * data[p]
    return total
