"""A span of rows against one cache tile: two passes over the inverted lists, and what they leave to finish.

The lists of a row's rare columns, its prefix, are added up for groups first.  A group whose sum plus suffix
bound stays below what the k-th best similarity asks for holds no neighbor; in most tiles no group is left.
If few are left, their rows are finished one by one.  If more are left, the same lists are added once more,
for all rows, sixteen at once, and only rows whose own sum and bound are high enough are finished.
"""

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.search.bounds import Rows, lowest_estimate
from novelty_dask.kernels.search.finish import (
    Query,
    Scratch,
    Task,
    finish_groups,
    finish_rows,
    least_sum,
    load,
    unload,
)
from novelty_dask.kernels.search.inverted import STEPS, UNITS, Tile
from novelty_dask.kernels.search.simd import LANES, add_lanes, lowest_bit, prefetch, reaching_both

DEPTH = np.float32(0.8)
"""The prefix ends where the suffix bound is below this share of the limit: longer lists, fewer survivors."""

GROUP_COST = 1000
"""Steps of adding to sums in the time in which the rows of one group are finished."""

AHEAD = 16
"""Entries of a list whose lanes are asked for two lists ahead; further on the processor does so itself."""


def scratch_for(rows: Rows, tile: Tile) -> Scratch:
    """Memory to compare rows with a tile."""
    n_groups, longest = tile.group_norms.shape[1], int(np.diff(rows.indptr).max(initial=0))
    return Scratch(
        x=np.zeros(tile.scales.size, np.float32),
        first=np.zeros(longest + 1, np.int32),
        last=np.zeros(longest + 1, np.int32),
        weights=np.zeros(longest + 1, np.uint16),
        group_sums=np.zeros(n_groups, np.uint32),
        dense_sums=np.zeros(n_groups, np.uint16),
        sums=np.zeros(n_groups * LANES, np.uint16),
        found=np.zeros(n_groups, np.int32),
    )


@compiled_loop
def compare(task: Task, span: tuple[int, int], tile: Tile, scratch: Scratch) -> tuple[int, int, int]:
    """Update the neighbors of a span of rows with one tile.

    Parameters
    ----------
    task : Task
    span : tuple of int
        First row and the one after the last.
    tile : Tile
        Of the candidates.
    scratch : Scratch

    Returns
    -------
    multiply_adds, slots, finished : int
        As in `Work`.
    """
    multiply_adds = slots = finished = 0
    for i in range(span[0], span[1]):
        query, lists = _open(task, i, tile, scratch)
        if lists == 0:
            continue
        steps = _add_maxima(lists, tile, scratch)
        multiply_adds += steps
        slots += scratch.group_sums.size
        found = scratch.found[: _find(query, tile, scratch)]
        scratch.group_sums[:] = 0
        scratch.dense_sums[:] = 0
        if found.size == 0:
            continue
        load(scratch.x, task.rows, i)
        if found.size * GROUP_COST <= steps:
            finished += finish_groups(task, i, found, tile, scratch.x)
        else:
            multiply_adds += _add_rows(lists, tile, scratch)
            slots += found.size * LANES
            finished += finish_rows(task, query, found, tile, scratch)
            scratch.sums[:] = 0
        unload(scratch.x, task.rows, i)
    return multiply_adds, slots, finished


@compiled_loop
def _open(task: Task, i: int, tile: Tile, scratch: Scratch) -> tuple[Query, int]:
    """Choose the prefix of row i for a tile; return the query and how many lists of it are in scratch."""
    rows, lowest = task.rows, task.neighbors.similarities[i, -1]
    limit = DEPTH * lowest_estimate(lowest, rows.indptr[i + 1] - rows.indptr[i])
    level = _level(rows.norms[i], tile.highest, limit)
    prefix = int(np.int64(rows.starts[i, level]))
    norm = np.uint16(rows.norms[i, level] * tile.highest[level] * (UNITS / np.float32(STEPS))) + np.uint16(1)
    least = least_sum(lowest, prefix)
    # Where the least sum is 1, a common column must not count less.
    lightest = np.uint16(256) if least == 1 else np.uint16(1)
    return Query(i, level, prefix, np.uint16(norm), least), _lists(rows, i, prefix, lightest, tile, scratch)


@compiled_loop
def _level(norms: NDArray[np.float32], highest: NDArray[np.float32], limit: np.float32) -> int:
    """First break-point from which on no candidate of the tile reaches the limit; the norms end with 0."""
    level = 0
    while norms[level] * highest[level] >= limit:
        level += 1
    return level


@compiled_loop
def _lists(rows: Rows, i: int, prefix: int, lightest: np.uint16, tile: Tile, scratch: Scratch) -> int:
    """Put place and weight of each list of the prefix of row i into scratch; return how many aren't empty."""
    lists = 0
    start = np.uint64(rows.indptr[i])
    for p in range(start, start + np.uint64(prefix)):
        column = np.uint64(rows.indices[p])
        first, last = tile.indptr[column], tile.indptr[column + np.uint64(1)]
        prefetch(tile.groups, np.uint64(first))
        prefetch(tile.maxima, np.uint64(first))
        scratch.first[lists], scratch.last[lists] = first, last
        weight = np.uint16(rows.data[p] * tile.scales[column] * UNITS) + np.uint16(1)
        scratch.weights[lists] = max(np.uint16(weight), lightest)
        lists += last > first
    return lists


@compiled_loop
def _add_maxima(lists: int, tile: Tile, scratch: Scratch) -> int:
    """Add the largest weights of the groups to their sums; return the number of steps."""
    groups, maxima, sums, steps = tile.groups, tile.maxima, scratch.group_sums, 0
    for number in range(lists):
        first, last, weight = scratch.first[number], scratch.last[number], np.uint32(scratch.weights[number])
        if last - first >> tile.shift:
            steps += _add_dense(tile.dense_numbers[first >> tile.shift], np.uint16(weight), tile, scratch)
            continue
        for entry in range(np.uint64(first), np.uint64(last)):
            sums[groups[entry]] += np.uint32(maxima[entry]) * weight >> np.uint32(8)
        steps += last - first
    return steps


@compiled_loop
def _add_dense(number: int, weight: np.uint16, tile: Tile, scratch: Scratch) -> int:
    """Add the largest weights of all groups in a dense list to their sums; return the number of steps."""
    sums = scratch.dense_sums
    start = np.uint64(number) * np.uint64(sums.size)
    for at in range(np.uint64(0), np.uint64(sums.size), np.uint64(LANES)):
        add_lanes(sums, at, tile.dense, start + at, weight)
    return sums.size // LANES


@compiled_loop
def _add_rows(lists: int, tile: Tile, scratch: Scratch) -> int:
    """Add the weights of all rows to their sums; return the number of steps."""
    groups, lanes, sums, width, steps = tile.groups, tile.lanes, scratch.sums, np.uint64(LANES), 0
    for number in range(lists):
        weight, soon = scratch.weights[number], min(number + 2, lists - 1)
        for entry in range(0, AHEAD, 64 // LANES):
            prefetch(lanes, (np.uint64(scratch.first[soon]) + np.uint64(entry)) * width)
        for entry in range(np.uint64(scratch.first[number]), np.uint64(scratch.last[number])):
            add_lanes(sums, np.uint64(groups[entry]) * width, lanes, entry * width, weight)
        steps += scratch.last[number] - scratch.first[number]
    return steps


@compiled_loop
def _find(query: Query, tile: Tile, scratch: Scratch) -> int:
    """Put the groups whose sum and bound reach the least into scratch; return how many."""
    sums, bounds, found, count = scratch.group_sums, tile.group_norms[query.level], scratch.found, 0
    for at in range(np.uint64(0), np.uint64(sums.size), np.uint64(LANES)):
        bits = reaching_both(sums, scratch.dense_sums, bounds, at, query.norm, query.least)
        while bits != 0:
            found[count] = at + lowest_bit(bits)
            count += 1
            bits &= bits - np.uint64(1)
    return count
