"""Rows of equal content, represented by the first of them.

Distinct URLs can have the same features, by letter case or by a scheme that is not counted, and machines make
such URLs by the thousand.  Equal rows are equally similar to any other, so a search needs to look at one of
them; which of them are kept is a matter of ids alone.
"""

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled, compiled_loop
from novelty_dask.kernels.search.bounds import Rows

_ODD = np.uint64(0x9E3779B97F4A7C15)
"""The odd number nearest to 2**64 divided by the golden ratio; multiples of it are spread evenly."""


@compiled
def find_equal_rows(rows: Rows, first: int, last: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the distinct ones among consecutive rows, and links from each row to the next that equals it.

    Parameters
    ----------
    rows : Rows
        All rows of a block.
    first, last : int
        Rows first to last - 1 are looked at.

    Returns
    -------
    distinct : ndarray, int32
        Ascending numbers of the rows that equal none before them.
    next_equal : ndarray of shape (last - first,), int32
        Number of the next row that equals each row, -1 after the last of them.
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
    return distinct[:count].copy(), next_equal


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
