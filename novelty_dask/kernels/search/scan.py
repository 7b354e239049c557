"""Scan of one inverted tile for some rows: two passes over its lists, and the rows left to finish.

The first pass, `survivors`, rules out most groups of rows.  If few are left, their rows are finished one by
one.  If more are left, the lists of the prefix are added once more, for all rows, sixteen at once, and only
rows whose own sum and bound are high enough are finished.
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

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.search.finish import Comparison, finish_groups, finish_rows
from novelty_dask.kernels.search.simd import LANES, add_lanes, count_bits, lowest_bit, prefetch
from novelty_dask.kernels.search.similarity import clear_row, load_row
from novelty_dask.kernels.search.survivors import (
    add_maxima,
    choose_all_vectors,
    choose_vectors,
    clear_sums,
    find_survivors,
    open_lists,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.kernels.search.inverted import InvertedTile
    from novelty_dask.kernels.search.scratch import Scratch

NO_MARKS = np.zeros(0, np.uint64)
"""Marks that leave no piece of a tile out."""

GROUP_COST = 1000
"""Steps of adding to sums in the time in which the rows of one group are finished."""

SKIPPING = 2
"""Entries that are added in the time in which one surviving group is found in a dense list and added."""

AHEAD = 16
"""Entries of a list whose lanes are asked for two lists ahead; further on the processor does so itself."""


@compiled_loop
def scan_tile(
    comparison: Comparison,
    rows: NDArray[np.int32],
    tile: InvertedTile,
    scratch: Scratch,
    marks: NDArray[np.uint64],
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
    marks : ndarray of shape (rows,), uint64
        A bit for each piece of the tile that may hold a neighbor of the row; `NO_MARKS` if that is not known.

    Returns
    -------
    multiply_adds, slots, finished : int
        As in `SearchCounts`.
    """
    multiply_adds = slots = finished = 0
    n_vectors = scratch.vectors.size
    choose_all_vectors(scratch)
    # All rows pass by one tile, so that its lists stay in the cache from row to row.
    for number in range(rows.size):
        i = rows[number]
        if marks.size > 0:
            n_vectors = choose_vectors(marks[number], scratch)
        query, n_lists = open_lists(comparison, i, tile.lists, scratch)
        if n_lists == 0:
            continue
        vectors = scratch.vectors[:n_vectors]
        steps = add_maxima(n_lists, vectors, tile.lists, scratch)
        count = find_survivors(query, vectors, tile.lists, scratch)
        multiply_adds, slots = multiply_adds + steps, slots + n_vectors * LANES
        clear_sums(scratch)
        if count == 0:
            continue
        survivors = scratch.survivors[:count]
        load_row(scratch.x, comparison.rows, i)
        # The second pass takes at least as many steps as the first, however few groups are left.  It pays
        # only where finishing all rows of these groups takes longer.
        if count * GROUP_COST <= steps:
            finished += finish_groups(comparison, i, survivors, tile, scratch.x)
        else:
            multiply_adds += _add_rows(n_lists, survivors, tile, scratch)
            slots += count * LANES
            finished += finish_rows(comparison, query, survivors, tile, scratch)
            scratch.sums[:] = 0
        clear_row(scratch.x, comparison.rows, i)
    return multiply_adds, slots, finished


@compiled_loop
def _add_rows(n_lists: int, survivors: NDArray[np.int32], tile: InvertedTile, scratch: Scratch) -> int:
    """Add the weights of all rows of the groups that are left to their sums; return the number of steps."""
    # Entries of other groups are added too, except where a dense list has many times as many: to look whether
    # one is needed costs nearly what it saves.
    lists, lanes, sums, width, steps = tile.lists, tile.lanes, scratch.sums, np.uint64(LANES), 0
    _mark(survivors, scratch.marked)
    for number in range(n_lists):
        weight, soon = scratch.weights[number], min(number + 2, n_lists - 1)
        first, last = scratch.first[number], scratch.last[number]
        # The lanes of a tile are megabytes, too many for the nearest caches.  Four entries of 16 bytes are
        # one cache line of 64.
        for entry in range(0, AHEAD, 64 // LANES):
            prefetch(lanes, (np.uint64(scratch.first[soon]) + np.uint64(entry)) * width)
        if last - first >> lists.shift and last - first >= SKIPPING * survivors.size:
            steps += _add_marked(first, weight, tile, scratch)
            continue
        for entry in range(np.uint64(first), np.uint64(last)):
            add_lanes(sums, np.uint64(lists.groups[entry]) * width, lanes, entry * width, weight)
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
    start = np.uint64(tile.lists.dense_numbers[first >> tile.lists.shift]) * np.uint64(marked.size)
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
