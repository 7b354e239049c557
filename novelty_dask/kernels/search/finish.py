"""Similarities themselves, and the candidates for which they are worth computing.

`similarity` is the only routine whose values are kept; why the others lose nothing is said in `topk`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_fastmath_loop, compiled_loop
from novelty_dask.kernels.neighbors import Neighbors, insert
from novelty_dask.kernels.search.bounds import SMALLEST, Rows, lowest_estimate
from novelty_dask.kernels.search.inverted import ONE, Tile
from novelty_dask.kernels.search.simd import LANES, lowest_bit, reaching


class Task(NamedTuple):
    """What is compared with what, and where the result goes.

    Parameters
    ----------
    rows, candidates : Rows
        Two blocks, or one twice.
    neighbors : Neighbors
        Of the rows, best first.
    row_start, candidate_start : int
        Global ids of the first row and the first candidate.
    seeded : int
        Candidates of which ids at most this far from a row's own have been looked at; the row itself is one.
    """

    rows: Rows
    candidates: Rows
    neighbors: Neighbors
    row_start: int
    candidate_start: int
    seeded: int


class Query(NamedTuple):
    """One row against one tile.

    Parameters
    ----------
    row : int
        Number of the row in its block.
    level : int
        Break-point at which its prefix ends.
    prefix : int
        Non-zeros of the prefix.
    norm : uint16
        Norm of its suffix, as a weight for the steps of the norms of the tile.
    least : uint16
        Sum, suffix bound included, that a candidate has to reach.
    """

    row: int
    level: int
    prefix: int
    norm: np.uint16
    least: np.uint16


class Scratch(NamedTuple):
    """Memory that every comparison uses anew; all sums and x are 0 in between.

    Parameters
    ----------
    x : ndarray of shape (n_columns,), float32
        A row, dense.
    first, last : ndarray of shape (longest row,), int32
        Where the lists of a row's prefix start and end.
    weights : ndarray of shape (longest row,), uint16
        Units of a step of each list, times 256.
    group_sums, dense_sums : ndarray of shape (groups,), uint32 and uint16
        Of the lists that aren't dense, and of those that are.
    sums : ndarray of shape (groups * LANES,), uint16
    found : ndarray of shape (groups,), int32
        Groups that may hold a neighbor.
    """

    x: NDArray[np.float32]
    first: NDArray[np.int32]
    last: NDArray[np.int32]
    weights: NDArray[np.uint16]
    group_sums: NDArray[np.uint32]
    dense_sums: NDArray[np.uint16]
    sums: NDArray[np.uint16]
    found: NDArray[np.int32]


@compiled_loop
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


@compiled_loop
def least_sum(lowest: np.float32, prefix: int) -> np.uint16:
    """Sum that a candidate of at least the lowest similarity reaches after the losses of `prefix` products.

    One unit is lost on the suffix bound, and less than one on the rounding of floats.  At least 1, so that
    a candidate without a common column never reaches it.
    """
    return np.uint16(max(int(lowest * np.float32(ONE)) - prefix - 2, 1))


@compiled_loop
def load(x: NDArray[np.float32], rows: Rows, i: int) -> None:
    """Make row i dense."""
    for p in range(rows.indptr[i], rows.indptr[i + 1]):
        x[rows.indices[p]] = rows.data[p]


@compiled_loop
def unload(x: NDArray[np.float32], rows: Rows, i: int) -> None:
    """Make x zero again after row i."""
    for p in range(rows.indptr[i], rows.indptr[i + 1]):
        x[rows.indices[p]] = 0


@compiled_loop
def seed(task: Task, x: NDArray[np.float32]) -> int:
    """Compare each row with those that follow it closely in sort order, for both; return how many pairs."""
    pairs, rows, (ids, similarities) = 0, task.rows, task.neighbors
    for i in range(ids.shape[0]):
        load(x, rows, i)
        for j in range(i + 1, min(i + 1 + task.seeded, ids.shape[0])):
            a, b = rows.indptr[j], rows.indptr[j + 1]
            value = similarity(x, rows.indices[a:b], rows.data[a:b])
            if value > 0:
                insert(ids[i], similarities[i], task.row_start + j, value)
                insert(ids[j], similarities[j], task.row_start + i, value)
            pairs += 1
        unload(x, rows, i)
    return pairs


@compiled_fastmath_loop
def _sum_of_products(
    x: NDArray[np.float32], indices: NDArray[np.int32], data: NDArray[np.float32], start: int, end: int
) -> np.float32:
    """Float32 sum in any order; unsigned numbers, for which the loop vectorizes."""
    total = np.float32(0)
    for p in range(np.uint64(start), np.uint64(end)):
        total += x[np.uint64(indices[p])] * data[p]
    return total


@compiled_loop
def _is_seeded(task: Task, i: int, j: int) -> bool:
    """Whether candidate j is row i, or has been compared with it by `seed`."""
    return abs(task.candidate_start + j - task.row_start - i) <= task.seeded


@compiled_loop
def _insert_with_copies(task: Task, i: int, j: int, value: np.float32, tile: Tile) -> None:
    """Insert candidate j and its copies, which are as similar, into the neighbors of row i.

    Ids ascend along the copies, so that none is better than one before it.
    """
    ids, similarities = task.neighbors.ids[i], task.neighbors.similarities[i]
    while j >= 0:
        row = task.candidate_start + j
        if value < similarities[-1] or (value == similarities[-1] and ids[-1] < row):
            return
        if not _is_seeded(task, i, j):
            insert(ids, similarities, row, value)
        j = int(tile.copies[j - tile.first])


@compiled_loop
def finish_groups(task: Task, i: int, found: NDArray[np.int32], tile: Tile, x: NDArray[np.float32]) -> int:
    """Insert the rows of some groups that are similar enough to row i; return how many were looked at."""
    candidates, similarities, finished = task.candidates, task.neighbors.similarities[i], 0
    nonzeros = task.rows.indptr[i + 1] - task.rows.indptr[i]
    for group in found:
        for j in tile.distinct[group * LANES : (group + 1) * LANES]:
            if _is_seeded(task, i, j) and tile.copies[j - tile.first] < 0:
                continue
            a, b = candidates.indptr[j], candidates.indptr[j + 1]
            estimate = _sum_of_products(x, candidates.indices, candidates.data, a, b)
            if estimate >= lowest_estimate(similarities[-1], nonzeros):
                value = similarity(x, candidates.indices[a:b], candidates.data[a:b])
                _insert_with_copies(task, i, j, value, tile)
            finished += 1
    return finished


@compiled_loop
def finish_rows(task: Task, query: Query, found: NDArray[np.int32], tile: Tile, scratch: Scratch) -> int:
    """Insert the rows of some groups that are similar enough to a row; return how many had sums for it."""
    candidates, x, i, finished = task.candidates, scratch.x, query.row, 0
    similarities = task.neighbors.similarities[i]
    nonzeros = task.rows.indptr[i + 1] - task.rows.indptr[i]
    bounds, least = tile.norms[query.level], query.least
    for group in found:
        at = np.uint64(group) * np.uint64(LANES)
        bits = reaching(scratch.sums, bounds, at, query.norm, least)
        while bits != 0:
            slot = at + lowest_bit(bits)
            bits &= bits - np.uint64(1)
            j = int(tile.distinct[slot])
            if _is_seeded(task, i, j) and tile.copies[j - tile.first] < 0:
                continue
            a, b = candidates.indptr[j], candidates.indptr[j + 1]
            middle = a + candidates.starts[j, query.level]
            estimate = _sum_of_products(x, candidates.indices, candidates.data, middle, b)
            estimate += np.float32(np.int64(scratch.sums[slot]) + query.prefix + 1) * np.float32(1 / ONE)
            if estimate >= lowest_estimate(similarities[-1], nonzeros):
                value = similarity(x, candidates.indices[a:b], candidates.data[a:b])
                _insert_with_copies(task, i, j, value, tile)
                least = least_sum(similarities[-1], query.prefix)
            finished += 1
    return finished
