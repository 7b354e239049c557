"""Scan of one inverted tile for some rows: two passes over its lists, and the rows left to finish.

The lists of a row's rare columns, its prefix, are added up for groups first.  A group whose sum plus suffix
bound stays below what the k-th best similarity asks for holds no neighbor; in most tiles no group is left.
If few are left, their rows are finished one by one.  If more are left, the same lists are added once more,
for all rows, sixteen at once, and only rows whose own sum and bound are high enough are finished.
"""

# Three habits of the compiled code below.
#
# Indices are unsigned.  Numba lets a signed index count from the end of an array, and pays for it with a
# comparison at each access.  Unsigned and signed numbers together become float64, hence the np.uint64(1).
#
# Small unsigned numbers are cast again after each operation, as Numba does arithmetic in 64 bits.
#
# Nothing is allocated, and slices are views: the functions run once for each row and tile, and Numba counts
# no references in them.

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.search.bounds import Rows, minimum_estimate
from novelty_dask.kernels.search.directory import number_column
from novelty_dask.kernels.search.finish import (
    Comparison,
    Query,
    Scratch,
    finish_groups,
    finish_rows,
    minimum_sum,
)
from novelty_dask.kernels.search.inverted import STEPS, UNITS, InvertedTile
from novelty_dask.kernels.search.simd import (
    LANES,
    add_lanes,
    count_bits,
    find_reaching_both,
    lowest_bit,
    prefetch,
)
from novelty_dask.kernels.search.similarity import clear_row, load_row

DEPTH = np.float32(0.8)
"""The prefix ends where the suffix bound is below this share of the limit: longer lists, fewer survivors."""

GROUP_COST = 1000
"""Steps of adding to sums in the time in which the rows of one group are finished."""

SKIPPING = 2
"""Entries that are added in the time in which one surviving group is found in a dense list and added."""

AHEAD = 16
"""Entries of a list whose lanes are asked for two lists ahead; further on the processor does so itself."""


def allocate_scratch(rows: Rows, n_columns: int, n_groups: int) -> Scratch:
    """Return the memory in which rows are compared with tiles, all zero."""
    longest = int(np.diff(rows.indptr).max(initial=0))
    return Scratch(
        x=np.zeros(n_columns, np.float32),
        first=np.zeros(longest + 1, np.int32),
        last=np.zeros(longest + 1, np.int32),
        weights=np.zeros(longest + 1, np.uint16),
        group_sums=np.zeros(n_groups, np.uint32),
        dense_sums=np.zeros(n_groups, np.uint16),
        sums=np.zeros(n_groups * LANES, np.uint16),
        survivors=np.zeros(n_groups, np.int32),
        marked=np.zeros(-(-n_groups // 64), np.uint64),
    )


def fit_scratch(scratch: Scratch, tile: InvertedTile) -> Scratch:
    """Return the part of the memory that a tile needs."""
    n_groups = tile.group_norms.shape[1]
    return scratch._replace(
        group_sums=scratch.group_sums[:n_groups],
        dense_sums=scratch.dense_sums[:n_groups],
        sums=scratch.sums[: n_groups * LANES],
        survivors=scratch.survivors[:n_groups],
        marked=scratch.marked[: -(-n_groups // 64)],
    )


@compiled_loop
def scan_tile(
    comparison: Comparison, rows: NDArray[np.int32], tile: InvertedTile, scratch: Scratch
) -> tuple[int, int, int]:
    """Update the neighbors of some rows with one tile.

    Parameters
    ----------
    comparison : Comparison
    rows : ndarray, int32
        Their numbers in the block.
    tile : InvertedTile
        Of the candidates.
    scratch : Scratch

    Returns
    -------
    multiply_adds, slots, finished : int
        As in `SearchCounts`.
    """
    multiply_adds = slots = finished = 0
    # All rows pass by one tile, so that its lists stay in the cache from row to row.
    for i in rows:
        query, lists = _open_lists(comparison, i, tile, scratch)
        if lists == 0:
            continue
        steps = _add_maxima(lists, tile, scratch)
        multiply_adds += steps
        slots += scratch.group_sums.size
        survivors = scratch.survivors[: _find_survivors(query, tile, scratch)]
        scratch.group_sums[:] = 0
        scratch.dense_sums[:] = 0
        if survivors.size == 0:
            continue
        load_row(scratch.x, comparison.rows, i)
        # The second pass takes at least as many steps as the first, however few groups are left.  It pays
        # only where finishing all rows of these groups takes longer.
        if survivors.size * GROUP_COST <= steps:
            finished += finish_groups(comparison, i, survivors, tile, scratch.x)
        else:
            multiply_adds += _add_rows(lists, survivors, tile, scratch)
            slots += survivors.size * LANES
            finished += finish_rows(comparison, query, survivors, tile, scratch)
            scratch.sums[:] = 0
        clear_row(scratch.x, comparison.rows, i)
    return multiply_adds, slots, finished


@compiled_loop
def _open_lists(comparison: Comparison, i: int, tile: InvertedTile, scratch: Scratch) -> tuple[Query, int]:
    """Choose the prefix of row i for a tile; return the query and how many lists of it are in scratch."""
    rows, threshold = comparison.rows, comparison.neighbors.similarities[i, -1]
    limit = DEPTH * minimum_estimate(threshold, rows.indptr[i + 1] - rows.indptr[i])
    level = _choose_level(rows.norms[i], tile.highest, limit)
    prefix = int(np.int64(rows.starts[i, level]))
    # One is added as the conversion rounds down, and a bound must not be too low.
    norm = np.uint16(rows.norms[i, level] * tile.highest[level] * (UNITS / np.float32(STEPS))) + np.uint16(1)
    least = minimum_sum(threshold, prefix)
    # A minimum of 1 says nothing but that a column is shared.  A product could be rounded down to 0 then;
    # with a weight of 256, one unit a step, a shared column is never lost.
    lightest = np.uint16(256) if least == 1 else np.uint16(1)
    n_lists = _gather_lists(rows, i, prefix, lightest, tile, scratch)
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
    rows: Rows, i: int, prefix: int, lightest: np.uint16, tile: InvertedTile, scratch: Scratch
) -> int:
    """Put ends and weight of each list of the prefix of row i into scratch; return how many aren't empty."""
    lists = 0
    start = np.uint64(rows.indptr[i])
    for p in range(start, start + np.uint64(prefix)):
        number, occurs = number_column(tile.occurring, tile.before, np.uint64(rows.indices[p]))
        first = tile.indptr[number]
        # Entries are read only after all lists are known; until then they are on their way to the cache.
        prefetch(tile.groups, np.uint64(first))
        prefetch(tile.maxima, np.uint64(first))
        scratch.first[lists], scratch.last[lists] = first, tile.indptr[number + np.uint64(1)]
        # Rounded up: a step times this weight is at least the product of the two weights in units, times 256.
        weight = np.uint16(rows.data[p] * tile.scales[number] * UNITS) + np.uint16(1)
        scratch.weights[lists] = max(np.uint16(weight), lightest)
        # No branch: what was written of a column that is missing is written over.  Most are, in a tile.
        lists += int(occurs)
    return lists


@compiled_loop
def _add_maxima(lists: int, tile: InvertedTile, scratch: Scratch) -> int:
    """Add the largest weights of the groups to their sums; return the number of steps."""
    groups, maxima, sums, steps = tile.groups, tile.maxima, scratch.group_sums, 0
    for number in range(lists):
        first, last, weight = scratch.first[number], scratch.last[number], np.uint32(scratch.weights[number])
        if last - first >> tile.shift:
            steps += _add_dense(tile.dense_numbers[first >> tile.shift], np.uint16(weight), tile, scratch)
            continue
        # These sums have 32 bits, as scalar additions don't saturate.  They can't overflow: of the at most
        # `MOST_NONZEROS` products of a row, each is below 256 units more than its exact value, and these add
        # up to at most ONE times the root of their number.
        for entry in range(np.uint64(first), np.uint64(last)):
            sums[groups[entry]] += np.uint32(maxima[entry]) * weight >> np.uint32(8)
        steps += last - first
    return steps


@compiled_loop
def _add_dense(number: int, weight: np.uint16, tile: InvertedTile, scratch: Scratch) -> int:
    """Add the largest weights of all groups in a dense list to their sums; return the number of steps."""
    # Sums of their own, of 16 bits: sixteen of them are added at once, and saturate.
    sums = scratch.dense_sums
    start = np.uint64(number) * np.uint64(sums.size)
    for at in range(np.uint64(0), np.uint64(sums.size), np.uint64(LANES)):
        add_lanes(sums, at, tile.dense, start + at, weight)
    return sums.size // LANES


@compiled_loop
def _add_rows(lists: int, survivors: NDArray[np.int32], tile: InvertedTile, scratch: Scratch) -> int:
    """Add the weights of all rows of the groups that are left to their sums; return the number of steps."""
    # Entries of other groups are added too, except where a dense list has many times as many: to look whether
    # one is needed costs nearly what it saves.
    groups, lanes, sums, width, steps = tile.groups, tile.lanes, scratch.sums, np.uint64(LANES), 0
    _mark(survivors, scratch.marked)
    for number in range(lists):
        weight, soon = scratch.weights[number], min(number + 2, lists - 1)
        first, last = scratch.first[number], scratch.last[number]
        # The lanes of a tile are megabytes, too many for the nearest caches.  Four entries of 16 bytes are
        # one cache line of 64.
        for entry in range(0, AHEAD, 64 // LANES):
            prefetch(lanes, (np.uint64(scratch.first[soon]) + np.uint64(entry)) * width)
        if last - first >> tile.shift and last - first >= SKIPPING * survivors.size:
            steps += _add_marked(first, weight, tile, scratch)
            continue
        for entry in range(np.uint64(first), np.uint64(last)):
            add_lanes(sums, np.uint64(groups[entry]) * width, lanes, entry * width, weight)
        steps += last - first
    scratch.marked[:] = 0
    return steps


@compiled_loop
def _mark(survivors: NDArray[np.int32], marked: NDArray[np.uint64]) -> None:
    """Set the bits of some groups."""
    for group in survivors:
        marked[np.uint64(group) >> np.uint64(6)] |= np.uint64(1) << (np.uint64(group) & np.uint64(63))


@compiled_loop
def _add_marked(first: np.int32, weight: np.uint16, tile: InvertedTile, scratch: Scratch) -> int:
    """Add the weights of the rows of marked groups in a dense list; return the number of steps."""
    marked, width, steps = scratch.marked, np.uint64(LANES), 0
    start = np.uint64(tile.dense_numbers[first >> tile.shift]) * np.uint64(marked.size)
    for word in range(np.uint64(0), np.uint64(marked.size)):
        occurring = tile.dense_groups[start + word]
        both, at = occurring & marked[word], np.uint64(first) + np.uint64(tile.dense_before[start + word])
        while both != 0:
            bit = lowest_bit(both)
            both &= both - np.uint64(1)
            entry = at + count_bits(occurring & ((np.uint64(1) << bit) - np.uint64(1)))
            group = (word << np.uint64(6)) + bit
            add_lanes(scratch.sums, group * width, tile.lanes, entry * width, weight)
            steps += 1
    return steps


@compiled_loop
def _find_survivors(query: Query, tile: InvertedTile, scratch: Scratch) -> int:
    """Put the groups whose sum and bound reach the minimum into scratch; return how many."""
    sums, bounds, count = scratch.group_sums, tile.group_norms[query.level], 0
    for at in range(np.uint64(0), np.uint64(sums.size), np.uint64(LANES)):
        bits = find_reaching_both(sums, scratch.dense_sums, bounds, at, query.norm, query.minimum_sum)
        # Each turn takes the lowest bit that is set: mostly there is none at all.
        while bits != 0:
            scratch.survivors[count] = at + lowest_bit(bits)
            count += 1
            bits &= bits - np.uint64(1)
    return count
