"""Finishing: the few candidates that integer sums could not rule out are compared for good.

A candidate is first estimated in float32, and its exact similarity is computed only if the estimate, which is
never too low by more than a known error, reaches the threshold.  `topk` says why nothing is lost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.neighbors import Neighbors, insert
from novelty_dask.kernels.search.bounds import Rows, minimum_estimate
from novelty_dask.kernels.search.lists import ONE
from novelty_dask.kernels.search.simd import LANES, find_reaching, lowest_bit
from novelty_dask.kernels.search.similarity import clear_row, estimate_product, load_row, similarity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.kernels.search.inverted import InvertedTile
    from novelty_dask.kernels.search.scratch import Scratch


class Comparison(NamedTuple):
    """Two blocks that are compared, and the neighbors that result.

    Parameters
    ----------
    rows, candidates : Rows
        Two blocks, or one twice.
    neighbors : Neighbors
        Of the rows, best first.
    row_start, candidate_start : int
        Global ids of the first row and the first candidate.
    adjacent : int
        Largest distance of ids at which a row and a candidate have been compared by `compare_adjacent`.  It
        is 0 if none have: a row is never its own neighbor.
    row_groups, candidate_groups : ndarray of shape (rows,) and (candidates,), int64
        Group of each: a candidate of its own group is no neighbor of a row.  Equal rows are of one group.
        Both are empty where there are no groups.
    """

    rows: Rows
    candidates: Rows
    neighbors: Neighbors
    row_start: int
    candidate_start: int
    adjacent: int
    row_groups: NDArray[np.int64]
    candidate_groups: NDArray[np.int64]


class Query(NamedTuple):
    """One row as it is compared with one tile.

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
    minimum_sum : uint16
        Sum, suffix bound included, that a candidate has to reach.
    """

    row: int
    level: int
    prefix: int
    norm: np.uint16
    minimum_sum: np.uint16


@compiled_loop
def minimum_sum(threshold: np.float32, prefix: int) -> np.uint16:
    """Return the least sum of a candidate that reaches the threshold, after `prefix` products."""
    # Each product loses less than a unit, as it is rounded down, and so does that of the suffix norms.  One
    # unit more covers the rounding of all floats on the way: those of weights, norms and the threshold
    # itself.
    #
    # It is at least 1.  A neighbor without a column of the prefix doesn't exist (its suffix bound is below
    # the threshold), and one with such a column has a sum of at least 1, because `open_lists` then makes
    # every weight at least 256.
    return np.uint16(max(int(threshold * np.float32(ONE)) - prefix - 2, 1))


@compiled_loop
def compare_adjacent(comparison: Comparison, x: NDArray[np.float32]) -> int:
    """Compare each row with those that follow it closely in sort order, for both; return how many pairs.

    Most of a row's neighbors are here, so thresholds are high from the first tile on.
    """
    pairs, rows, (ids, similarities) = 0, comparison.rows, comparison.neighbors
    for i in range(ids.shape[0]):
        load_row(x, rows, i)
        for j in range(i + 1, min(i + 1 + comparison.adjacent, ids.shape[0])):
            if _is_left_out(comparison, i, j):
                continue
            a, b = rows.indptr[j], rows.indptr[j + 1]
            value = similarity(x, rows.indices[a:b], rows.data[a:b])
            if value > 0:
                insert(ids[i], similarities[i], comparison.row_start + j, value)
                insert(ids[j], similarities[j], comparison.row_start + i, value)
            pairs += 1
        clear_row(x, rows, i)
    return pairs


@compiled_loop
def compare_near(comparison: Comparison, places: NDArray[np.int64], x: NDArray[np.float32]) -> int:
    """Compare each row with the candidates on either side of its place; return how many pairs.

    Rows that are not candidates themselves have no adjacent rows.  But sorted among the candidates, they
    would stand beside those that are most like them.

    Parameters
    ----------
    comparison : Comparison
        Its neighbors are updated in place; `adjacent` is the number of candidates on either side.
    places : ndarray of shape (rows,), int64
        Global id of the candidate before which each row belongs.
    x : ndarray of shape (n_columns,), float32
        All zero, before and after.
    """
    pairs, candidates, (ids, similarities) = 0, comparison.candidates, comparison.neighbors
    for i in range(places.size):
        place = places[i] - comparison.candidate_start
        first = max(place - comparison.adjacent, 0)
        last = min(place + comparison.adjacent, candidates.indptr.size - 1)
        if first < last:
            load_row(x, comparison.rows, i)
            for j in range(first, last):
                a, b = candidates.indptr[j], candidates.indptr[j + 1]
                value = similarity(x, candidates.indices[a:b], candidates.data[a:b])
                if value > 0 and _precedes(comparison, j, i):
                    insert(ids[i], similarities[i], comparison.candidate_start + j, value)
                pairs += 1
            clear_row(x, comparison.rows, i)
    return pairs


@compiled_loop
def finish_groups(
    comparison: Comparison, i: int, survivors: NDArray[np.int32], tile: InvertedTile, x: NDArray[np.float32]
) -> int:
    """Insert the rows of some groups that are similar enough to row i; return how many were looked at."""
    candidates, similarities, finished = comparison.candidates, comparison.neighbors.similarities[i], 0
    nonzeros = comparison.rows.indptr[i + 1] - comparison.rows.indptr[i]
    for group in survivors:
        # The last group may have fewer rows than lanes: the slice ends with the array.
        for j in tile.distinct[group * LANES : (group + 1) * LANES]:
            if is_known(comparison, i, j, tile):
                continue
            a, b = candidates.indptr[j], candidates.indptr[j + 1]
            estimate = estimate_product(x, candidates.indices, candidates.data, a, b)
            # Written out here and in `finish_rows`: in a function for both it makes a search take an eighth
            # more.
            if estimate >= minimum_estimate(similarities[-1], nonzeros):
                insert_candidate(comparison, i, j, tile, x)
            finished += 1
    return finished


@compiled_loop
def finish_rows(
    comparison: Comparison, query: Query, survivors: NDArray[np.int32], tile: InvertedTile, scratch: Scratch
) -> int:
    """Insert the rows of some groups that are similar enough to a row; return how many had sums for it."""
    candidates, x, i, finished = comparison.candidates, scratch.x, query.row, 0
    similarities = comparison.neighbors.similarities[i]
    nonzeros = comparison.rows.indptr[i + 1] - comparison.rows.indptr[i]
    bounds, least = tile.norms[query.level], query.minimum_sum
    for group in survivors:
        at = np.uint64(group) * np.uint64(LANES)
        bits = find_reaching(scratch.sums, bounds, at, query.norm, least)
        while bits != 0:
            slot = at + lowest_bit(bits)
            bits &= bits - np.uint64(1)
            j = int(tile.distinct[slot])
            if is_known(comparison, i, j, tile):
                continue
            # The sum of the prefix is known already, but for up to a unit lost on each product: with these
            # added, it is never too low.  Only the suffix is multiplied out, from the candidate's own
            # break-point on.
            start = candidates.indptr[j] + candidates.starts[j, query.level]
            estimate = estimate_product(
                x, candidates.indices, candidates.data, start, candidates.indptr[j + 1]
            )
            estimate += np.float32(np.int64(scratch.sums[slot]) + query.prefix + 1) * np.float32(1 / ONE)
            if estimate >= minimum_estimate(similarities[-1], nonzeros):
                insert_candidate(comparison, i, j, tile, x)
                # The threshold may have risen, and fewer of the next groups' rows are worth a look.
                least = minimum_sum(similarities[-1], query.prefix)
            finished += 1
    return finished


@compiled_loop
def is_known(comparison: Comparison, i: int, j: int, tile: InvertedTile) -> bool:
    """Return whether nothing is left to do for candidate j and the rows that equal it.

    It is left out, and so are these; or no row equals it, and it was compared before or was not seen before.
    """
    if _is_left_out(comparison, i, j):
        return True
    is_done = _is_adjacent(comparison, i, j) or not _precedes(comparison, j, i)
    return is_done and tile.next_equal[j - tile.first] < 0


@compiled_loop
def _precedes(comparison: Comparison, j: int, i: int) -> bool:
    """Return whether candidate j was seen before row i, or times are no matter."""
    times = comparison.candidates.times
    return times.size == 0 or times[j] < comparison.rows.times[i]


@compiled_loop
def _is_left_out(comparison: Comparison, i: int, j: int) -> bool:
    """Return whether candidate j can be no neighbor of row i, however similar."""
    groups = comparison.row_groups
    return groups.size > 0 and groups[i] == comparison.candidate_groups[j]


@compiled_loop
def _is_adjacent(comparison: Comparison, i: int, j: int) -> bool:
    """Return whether candidate j is row i, or has been compared with it by `compare_adjacent`."""
    return abs(comparison.candidate_start + j - comparison.row_start - i) <= comparison.adjacent


@compiled_loop
def insert_candidate(
    comparison: Comparison, i: int, j: int, tile: InvertedTile, x: NDArray[np.float32]
) -> None:
    """Insert candidate j, and the rows that equal it, into the neighbors of row i, which is x."""
    start, end = comparison.candidates.indptr[j], comparison.candidates.indptr[j + 1]
    value = similarity(x, comparison.candidates.indices[start:end], comparison.candidates.data[start:end])
    ids, similarities = comparison.neighbors.ids[i], comparison.neighbors.similarities[i]
    while j >= 0:
        row = comparison.candidate_start + j
        # Ids ascend along equal rows, and of two equally similar ones the lower id is better: where one is
        # not kept, none after it is.  A row repeated ten thousand times costs about k insertions.
        if value < similarities[-1] or (value == similarities[-1] and ids[-1] < row):
            return
        if not _is_adjacent(comparison, i, j) and _precedes(comparison, j, i):
            insert(ids, similarities, row, value)
        j = int(tile.next_equal[j - tile.first])
