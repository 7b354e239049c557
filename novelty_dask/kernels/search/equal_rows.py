"""Rows of equal content, represented by the first of them.

Distinct URLs can have the same features, by letter case or by a scheme that is not counted, and machines make
such URLs by the thousand.  Equal rows are equally similar to any other, so a search needs to look at one of
them; which of them are kept is a matter of ids alone.

That is so on both sides.  A row that equals an earlier one, its *leader*, has the same neighbors but for
itself and its leader, which change places.  `follow` finds the rows for which that is so, and only their
leaders are compared with candidates beyond the stretch of both; `share` hands on what these found.

Why it is exact.  Whether a candidate is kept depends on how many neighbors are better, and better is a matter
of similarity first, then of id.  A row follows if its neighbors have the similarities of its leader's, place
by place, and the same ids but for places where both are rows of the stretch.  A candidate outside the stretch
lies before all its rows or behind them all: it is better than both neighbors of a place, or than none.  So it
is kept for both rows or for none, and what the leader keeps of such candidates is all that its follower can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from novelty_dask.kernels.accelerate import compiled, compiled_loop
from novelty_dask.kernels.neighbors import Neighbors, insert

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.kernels.search.bounds import Rows


class Distinct(NamedTuple):
    """The distinct ones among consecutive rows of a block.

    Parameters
    ----------
    first : int
        Number of the first of the consecutive rows.
    rows : ndarray, int32
        Ascending numbers of the rows that equal none before them.
    next_equal : ndarray of shape (consecutive rows,), int32
        Number of the next row that equals each row, -1 after the last of them.
    """

    first: int
    rows: NDArray[np.int32]
    next_equal: NDArray[np.int32]


_ODD = np.uint64(0x9E3779B97F4A7C15)
"""The odd number nearest to 2**64 divided by the golden ratio; multiples of it are spread evenly."""


@compiled
def find_equal_rows(rows: Rows, first: int, last: int) -> Distinct:
    """Return the distinct ones among consecutive rows, and links from each row to the next that equals it.

    Parameters
    ----------
    rows : Rows
        All rows of a block.
    first, last : int
        Rows first to last - 1 are looked at.

    Returns
    -------
    Distinct
    """
    # A hash table with open addressing, at most half full, so that runs of taken slots stay short.  A power
    # of two, so that a mask takes the remainder.
    slots = 1
    while slots < 2 * (last - first):
        slots *= 2
    # Of each slot: the first row of its content, and the latest, from which the next one is linked.
    leaders, latest = np.full(slots, -1, np.int32), np.full(slots, -1, np.int32)
    distinct, next_equal = np.empty(last - first, np.int32), np.full(last - first, -1, np.int32)
    count = 0
    for i in range(first, last):
        slot = _hash_row(rows, i) & np.uint64(slots - 1)
        while leaders[slot] >= 0 and not _are_equal(rows, leaders[slot], i):
            slot = (slot + np.uint64(1)) & np.uint64(slots - 1)
        if leaders[slot] < 0:
            leaders[slot] = distinct[count] = i
            count += 1
        else:
            next_equal[latest[slot] - first] = i
        latest[slot] = i
    return Distinct(first, distinct[:count].copy(), next_equal)


@compiled_loop
def _hash_row(rows: Rows, i: int) -> np.uint64:
    """Return a number that equal rows share and different ones hardly ever."""
    # Zeros of different sign would be hashed apart: these rows count as different, which costs time only.
    bits, total = rows.data.view(np.uint32), np.uint64(0)
    for p in range(rows.indptr[i], rows.indptr[i + 1]):
        pair = np.uint64(rows.indices[p]) << np.uint64(32) | np.uint64(bits[p])
        # The product carries each bit upwards only; the shift brings the high ones down to the mask's bits.
        total = (total ^ pair) * _ODD
        total ^= total >> np.uint64(29)
    return total


@compiled_loop
def _are_equal(rows: Rows, i: int, j: int) -> bool:
    """Return whether two rows have the same weights in the same columns."""
    a, b = rows.indptr[i], rows.indptr[j]
    length = rows.indptr[i + 1] - a
    if rows.indptr[j + 1] - b != length:
        return False
    for p in range(length):
        if rows.indices[a + p] != rows.indices[b + p] or rows.data[a + p] != rows.data[b + p]:
            return False
    return True


@compiled_loop
def follow(neighbors: Neighbors, found: Distinct, row_start: int, leaders: NDArray[np.int32]) -> None:
    """Write for each row of a stretch which row is to be searched for it: its leader, or the row itself.

    Parameters
    ----------
    neighbors : Neighbors
        Of all rows of the block.
    found : Distinct
        The distinct ones of the stretch.
    row_start : int
        Global id of the first row of the block.
    leaders : ndarray of shape (rows of the stretch,), int32
    """
    first, last = found.first, found.first + found.next_equal.size
    for leader in found.rows:
        row = int(leader)
        while row >= 0:
            agrees = _agree(neighbors, row, leader, row_start + first, row_start + last)
            leaders[row - first] = leader if agrees else row
            row = int(found.next_equal[row - first])


@compiled_loop
def share(neighbors: Neighbors, leaders: NDArray[np.int32], first: int, row_start: int) -> None:
    """Insert what the leaders found beyond their stretch, whose first row is `first`, for their followers."""
    start, end = row_start + first, row_start + first + leaders.size
    ids, similarities = neighbors
    for number in range(leaders.size):
        leader, row = leaders[number], first + number
        # Mostly nothing was found, and they still agree.
        if leader == row or _agree(neighbors, row, leader, start, end):
            continue
        for p in range(ids.shape[1]):
            if similarities[leader, p] > 0 and not start <= ids[leader, p] < end:
                insert(ids[row], similarities[row], ids[leader, p], similarities[leader, p])


@compiled_loop
def _agree(neighbors: Neighbors, i: int, j: int, start: int, end: int) -> bool:
    """Return whether two rows have the same neighbors but for rows from id `start` to `end` - 1."""
    ids, similarities = neighbors
    for p in range(ids.shape[1]):
        if similarities[i, p] != similarities[j, p]:
            return False
        a, b = ids[i, p], ids[j, p]
        if a != b and not (start <= a < end and start <= b < end):
            return False
    return True
