"""First pass over the lists of a tile: which groups may hold a neighbor of a row.

The lists of a row's rare columns, its prefix, are added up for groups.  A group whose sum plus suffix bound
stays below what the k-th best similarity asks for holds no neighbor; in most tiles no group is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.search.bounds import Rows, minimum_estimate
from novelty_dask.kernels.search.coarse import width_of_piece
from novelty_dask.kernels.search.directory import number_column
from novelty_dask.kernels.search.finish import Comparison, Query, minimum_sum
from novelty_dask.kernels.search.lists import STEPS, UNITS, Lists
from novelty_dask.kernels.search.simd import LANES, add_lanes, find_reaching_both, lowest_bit, prefetch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.kernels.search.scratch import Scratch

DEPTH = np.float32(0.8)
"""The prefix ends where the suffix bound is below this share of the limit: longer lists, fewer survivors."""


@compiled_loop
def choose_vectors(marks: np.uint64, scratch: Scratch) -> int:
    """Put the vectors of the groups of marked pieces of a tile into scratch; return how many."""
    n_groups, count = np.uint64(scratch.group_sums.size), 0
    width = np.uint64(width_of_piece(scratch.group_sums.size))
    while marks != 0:
        first = lowest_bit(marks) * width
        marks &= marks - np.uint64(1)
        # The last piece of a tile may have fewer groups than the others.
        for at in range(first, min(first + width, n_groups), np.uint64(LANES)):
            scratch.vectors[count] = at
            count += 1
    return count


@compiled_loop
def choose_all_vectors(scratch: Scratch) -> None:
    """Put the vectors of all groups of a tile into scratch."""
    for number in range(scratch.vectors.size):
        scratch.vectors[number] = number * LANES


@compiled_loop
def open_lists(comparison: Comparison, i: int, lists: Lists, scratch: Scratch) -> tuple[Query, int]:
    """Choose the prefix of row i for a tile; return the query and how many lists of it are in scratch."""
    rows, threshold = comparison.rows, comparison.neighbors.similarities[i, -1]
    limit = DEPTH * minimum_estimate(threshold, rows.indptr[i + 1] - rows.indptr[i])
    level = _choose_level(rows.norms[i], lists.highest, limit)
    prefix = int(np.int64(rows.starts[i, level]))
    # One is added as the conversion rounds down, and a bound must not be too low.
    norm = np.uint16(rows.norms[i, level] * lists.highest[level] * (UNITS / np.float32(STEPS))) + np.uint16(1)
    least = minimum_sum(threshold, prefix)
    # A minimum of 1 says nothing but that a column is shared.  A product could be rounded down to 0 then;
    # with a weight of 256, one unit a step, a shared column is never lost.
    lightest = np.uint16(256) if least == 1 else np.uint16(1)
    n_lists = _gather_lists(rows, i, prefix, lightest, lists, scratch)
    return Query(i, level, prefix, np.uint16(norm), least), n_lists


@compiled_loop
def _choose_level(norms: NDArray[np.float32], highest: NDArray[np.float32], limit: np.float32) -> int:
    """Return the first break-point from which on no candidate of the tile reaches the limit."""
    # It ends: at the last break-point, after all columns, norms are 0, and limits are above 0.
    level = 0
    while norms[level] * highest[level] >= limit:
        level += 1
    return level


@compiled_loop
def _gather_lists(
    rows: Rows, i: int, prefix: int, lightest: np.uint16, lists: Lists, scratch: Scratch
) -> int:
    """Put ends and weight of each list of the prefix of row i into scratch; return how many aren't empty."""
    n_lists = 0
    start = np.uint64(rows.indptr[i])
    for p in range(start, start + np.uint64(prefix)):
        number, occurs = number_column(lists.occurring, lists.before, np.uint64(rows.indices[p]))
        first = lists.indptr[number]
        # Entries are read only after all lists are known; until then they are on their way to the cache.
        prefetch(lists.groups, np.uint64(first))
        prefetch(lists.maxima, np.uint64(first))
        scratch.first[n_lists], scratch.last[n_lists] = first, lists.indptr[number + np.uint64(1)]
        # Rounded up: a step times this weight is at least the product of the two weights in units, times 256.
        weight = np.uint16(rows.data[p] * lists.scales[number] * UNITS) + np.uint16(1)
        scratch.weights[n_lists] = max(np.uint16(weight), lightest)
        # No branch: what was written of a column that is missing is written over.  Most are, in a tile.
        n_lists += int(occurs)
    return n_lists


@compiled_loop
def add_maxima(n_lists: int, vectors: NDArray[np.uint64], lists: Lists, scratch: Scratch) -> int:
    """Add the largest weights of the groups to their sums; return the number of steps."""
    groups, maxima, sums, steps = lists.groups, lists.maxima, scratch.group_sums, 0
    for number in range(n_lists):
        first, last, weight = scratch.first[number], scratch.last[number], np.uint32(scratch.weights[number])
        if last - first >> lists.shift:
            dense = lists.dense_numbers[first >> lists.shift]
            steps += _add_dense(dense, np.uint16(weight), vectors, lists, scratch)
            continue
        # These sums have 32 bits, as scalar additions don't saturate.  They can't overflow: of the at most
        # `MOST_NONZEROS` products of a row, each is below 256 units more than its exact value, and these add
        # up to at most ONE times the root of their number.
        for entry in range(np.uint64(first), np.uint64(last)):
            sums[groups[entry]] += np.uint32(maxima[entry]) * weight >> np.uint32(8)
        steps += last - first
    return steps


@compiled_loop
def _add_dense(
    number: int, weight: np.uint16, vectors: NDArray[np.uint64], lists: Lists, scratch: Scratch
) -> int:
    """Add the largest weights of the groups of vectors in a dense list; return the number of steps."""
    # Sums of their own, of 16 bits: sixteen of them are added at once, and saturate.
    sums = scratch.dense_sums
    start = np.uint64(number) * np.uint64(sums.size)
    for at in vectors:
        add_lanes(sums, at, lists.dense, start + at, weight)
    return vectors.size


@compiled_loop
def find_survivors(query: Query, vectors: NDArray[np.uint64], lists: Lists, scratch: Scratch) -> int:
    """Put the groups whose sum and bound reach the minimum into scratch; return how many."""
    sums, bounds, count = scratch.group_sums, lists.norms[query.level], 0
    for at in vectors:
        bits = find_reaching_both(sums, scratch.dense_sums, bounds, at, query.norm, query.minimum_sum)
        # Each turn takes the lowest bit that is set: mostly there is none at all.
        while bits != 0:
            scratch.survivors[count] = at + lowest_bit(bits)
            count += 1
            bits &= bits - np.uint64(1)
    return count


@compiled_loop
def clear_sums(scratch: Scratch) -> None:
    """Set the sums of groups to 0."""
    scratch.group_sums[:] = 0
    scratch.dense_sums[:] = 0
