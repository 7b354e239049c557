"""Inverted tiles: the inverted lists of a few thousand rows, sixteen rows in one entry.

Consecutive rows in sort order share most of their columns.  So an inverted list does not name rows but
*groups* of sixteen consecutive rows.  Besides what `lists` says of it, each entry has the sixteen weights in
the same steps.  That is 19 bytes, and a few vector instructions add them to the sums of sixteen rows.  The
suffix norms of the rows are kept in 8-bit steps as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from novelty_dask.kernels.accelerate import compiled
from novelty_dask.kernels.search.directory import list_columns, number_column
from novelty_dask.kernels.search.equal_rows import Distinct, find_equal_rows
from novelty_dask.kernels.search.lists import SMALLEST_NORMAL, STEPS, Lists, choose_shift, spread_dense
from novelty_dask.kernels.search.simd import LANES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.kernels.search.bounds import Rows

LONG = 512
"""Mean non-zeros of rows from which it may be worth to multiply them as dense matrices (`dense`)."""


class InvertedTile(NamedTuple):
    """Inverted lists of the distinct ones among consecutive rows of a block, in groups of `LANES`.

    Parameters
    ----------
    first : int
        Number of the first row in its block.
    distinct : ndarray of shape (distinct rows,), int32
        Ascending numbers of the rows that have lanes.
    next_equal : ndarray of shape (rows,), int32
        Number of the next row that equals each of the consecutive rows, -1 if there is none; only the first
        of equal rows has lanes.
    lists : Lists
        Of the groups of these.
    lanes : ndarray of shape (entries * LANES,), uint8
        Steps of the weights of the rows of the group, 0 where a row lacks the column.
    norms : ndarray of shape (levels, groups * LANES), uint8
        Steps of the suffix norms of each row, a step being a 255th of `lists.highest`.
    dense_groups : ndarray of shape (dense lists * words,), uint64
        A bit for each group, set if it occurs in the dense list, in words of 64.
    dense_before : ndarray of shape (dense lists * words,), uint16
        How many groups of the dense list occur before each word.
    """

    first: int
    distinct: NDArray[np.int32]
    next_equal: NDArray[np.int32]
    lists: Lists
    lanes: NDArray[np.uint8]
    norms: NDArray[np.uint8]
    dense_groups: NDArray[np.uint64]
    dense_before: NDArray[np.uint16]


def invert_by_length(rows: Rows, found: Distinct, n_columns: int) -> list[InvertedTile]:
    """Return a tile of consecutive rows, or one of the short rows and one of the long ones among them.

    They are two where most non-zeros are in long rows: these are compared in another way than short ones.
    """
    distinct = found.rows
    # Equal rows are of equal length, and thus in the same tile.
    lengths = rows.indptr[distinct + 1] - rows.indptr[distinct]
    is_long = lengths >= LONG
    is_cut = not is_long.all() and 2 * lengths[is_long].sum() >= lengths.sum() > 0
    parts = [distinct[~is_long], distinct[is_long]] if is_cut else [distinct]
    return [_invert(rows, found._replace(rows=part), n_columns) for part in parts]


def invert(rows: Rows, first: int, last: int, n_columns: int) -> InvertedTile:
    """Return a tile of consecutive rows.

    Parameters
    ----------
    rows : Rows
        All rows of a block.
    first, last : int
        The rows of the tile are first to last - 1.
    n_columns : int
        Columns of the corpus.

    Returns
    -------
    InvertedTile

    Raises
    ------
    ValueError
        If the rows have more non-zeros than 32 bits can number.
    """
    return _invert(rows, find_distinct(rows, first, last), n_columns)


def find_distinct(rows: Rows, first: int, last: int) -> Distinct:
    """Return the distinct ones of the rows of a tile; refuse more non-zeros than 32 bits can number."""
    nonzeros = rows.indptr[last] - rows.indptr[first]
    if nonzeros > np.iinfo(np.int32).max:
        raise ValueError(
            f"A tile has {nonzeros:,} non-zeros, which is too many; prepare with smaller tile_rows."
        )
    return find_equal_rows(rows, first, last)


def _invert(rows: Rows, found: Distinct, n_columns: int) -> InvertedTile:
    """Return a tile of distinct rows."""
    first, distinct, next_equal = found
    columns = list_columns(rows, distinct, n_columns)
    largest, indptr = _count_entries(rows, distinct, *columns)
    # Not 0 for a column that occurs, however small its weights, as `_fill_lists` divides by it.
    scales = np.maximum(largest / np.float32(STEPS), np.float32(SMALLEST_NORMAL))
    # But 0 at the end, where columns behind the last one are looked up: a weight times the smallest float is
    # subnormal, which costs about 150 cycles.
    scales[-1] = 0
    groups, maxima, lanes = _fill_lists(rows, distinct, *columns, indptr, scales)
    norms, group_norms, highest = _round_norms(rows.norms, distinct)
    n_groups = group_norms.shape[1]
    shift = choose_shift(n_groups)
    dense = spread_dense(indptr, groups, maxima, shift, n_groups)
    lists = Lists(*columns, indptr, groups, maxima, scales, group_norms, highest, shift, *dense)
    return InvertedTile(first, distinct, next_equal, lists, lanes, norms, *_list_groups(dense[1], n_groups))


@compiled
def _count_entries(
    rows: Rows, distinct: NDArray[np.int32], occurring: NDArray[np.uint64], before: NDArray[np.int32]
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return the largest weight of each list, and its first entry, with an empty list at the end."""
    # Groups come in ascending order, so that the latest group of a list tells whether an entry is new.
    lists = before[-1]
    largest = np.zeros(lists + 1, np.float32)
    latest = np.full(lists, -1, np.int32)
    indptr = np.zeros(lists + 2, np.int32)
    for slot, i in enumerate(distinct):
        group = slot // LANES
        for p in range(rows.indptr[i], rows.indptr[i + 1]):
            number, _ = number_column(occurring, before, np.uint64(rows.indices[p]))
            largest[number] = max(largest[number], rows.data[p])
            if latest[number] != group:
                latest[number] = group
                indptr[number + np.uint64(1)] += 1
    for each in range(lists + 1):
        indptr[each + 1] += indptr[each]
    return largest, indptr


@compiled
def _fill_lists(
    rows: Rows,
    distinct: NDArray[np.int32],
    occurring: NDArray[np.uint64],
    before: NDArray[np.int32],
    indptr: NDArray[np.int32],
    scales: NDArray[np.float32],
) -> tuple[NDArray[np.uint16], NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the groups, maxima and lanes of all lists."""
    latest = np.full(scales.size, -1, np.int32)
    end = indptr[:-1].copy()
    groups = np.empty(indptr[-1], np.uint16)
    maxima = np.zeros(indptr[-1], np.uint8)
    lanes = np.zeros(np.int64(indptr[-1]) * LANES, np.uint8)
    for slot, i in enumerate(distinct):
        group, lane = slot // LANES, slot % LANES
        for p in range(rows.indptr[i], rows.indptr[i + 1]):
            number, _ = number_column(occurring, before, np.uint64(rows.indices[p]))
            if latest[number] != group:
                latest[number] = group
                groups[end[number]] = group
                end[number] += 1
            # Times 16, the number of an entry may need more than 32 bits.
            entry = np.int64(end[number] - 1)
            # Rounded up, also where the division is exact: one step too many costs a little, one too few
            # would lose a neighbor.  The largest weight is `STEPS` steps, but for the rounding of floats.
            step = np.uint8(min(STEPS, int(rows.data[p] / scales[number]) + 1))
            lanes[entry * LANES + lane] = step
            maxima[entry] = max(maxima[entry], step)
    return groups, maxima, lanes


@compiled
def _list_groups(dense: NDArray[np.uint8], n_groups: int) -> tuple[NDArray[np.uint64], NDArray[np.uint16]]:
    """Return bits of the groups of each dense list, and how many of them are before each word of 64."""
    words = -(-n_groups // 64)
    lists = dense.size // max(n_groups, 1)
    bits, before = np.zeros(lists * words, np.uint64), np.zeros(lists * words, np.uint16)
    for number in range(lists):
        count = 0
        for group in range(n_groups):
            word = number * words + group // 64
            if group % 64 == 0:
                before[word] = count
            # Maxima of groups that occur are at least 1, as weights are rounded up.
            if dense[number * n_groups + group] > 0:
                bits[word] |= np.uint64(1) << np.uint64(group % 64)
                count += 1
    return bits, before


@compiled
def _round_norms(
    norms: NDArray[np.float32], distinct: NDArray[np.int32]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]:
    """Return the suffix norms of rows and of groups in steps, rounded up, and the largest of each level."""
    levels, n_groups = norms.shape[1], -(-distinct.size // LANES)
    highest = np.zeros(levels, np.float32)
    for i in distinct:
        for level in range(levels):
            highest[level] = max(highest[level], norms[i, level])
    # Each level has a step of its own: the further back the break-point, the smaller all norms.
    steps = np.maximum(highest / np.float32(STEPS), np.float32(SMALLEST_NORMAL))
    rounded = np.zeros((levels, n_groups * LANES), np.uint8)
    of_groups = np.zeros((levels, -(-n_groups // LANES) * LANES), np.uint8)
    for slot, i in enumerate(distinct):
        for level in range(levels):
            # All norms but 0 are rounded up: a row without a suffix can have nothing more in common.
            if norms[i, level] > 0:
                step = np.uint8(min(STEPS, int(norms[i, level] / steps[level]) + 1))
                rounded[level, slot] = step
                of_groups[level, slot // LANES] = max(of_groups[level, slot // LANES], step)
    return rounded, of_groups, highest
