"""Rows of equal content, of which one stands for all.

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
def find_copies(rows: Rows, first: int, last: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The distinct among consecutive rows, and the copies of each.

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
    copies : ndarray of shape (last - first,), int32
        Number of the next row that equals each row, -1 after the last of them.
    """
    slots = 1
    while slots < 2 * (last - first):
        slots *= 2
    # One place for each content: the row that was there first, and the latest that equals it.
    leaders, latest = np.full(slots, -1, np.int32), np.full(slots, -1, np.int32)
    distinct, copies = np.empty(last - first, np.int32), np.full(last - first, -1, np.int32)
    count = 0
    for i in range(first, last):
        place = _hash(rows, i) & np.uint64(slots - 1)
        while leaders[place] >= 0 and not _equal(rows, leaders[place], i):
            place = (place + np.uint64(1)) & np.uint64(slots - 1)
        if leaders[place] < 0:
            leaders[place] = distinct[count] = i
            count += 1
        else:
            copies[latest[place] - first] = i
        latest[place] = i
    return distinct[:count].copy(), copies


@compiled_loop
def _hash(rows: Rows, i: int) -> np.uint64:
    """A number that equal rows share and others hardly ever."""
    bits, total = rows.data.view(np.uint32), np.uint64(0)
    for p in range(rows.indptr[i], rows.indptr[i + 1]):
        pair = np.uint64(rows.indices[p]) << np.uint64(32) | np.uint64(bits[p])
        total = (total ^ pair) * _ODD
        total ^= total >> np.uint64(29)
    return total


@compiled_loop
def _equal(rows: Rows, i: int, j: int) -> bool:
    """Whether two rows have the same weights in the same columns."""
    a, b = rows.indptr[i], rows.indptr[j]
    length = rows.indptr[i + 1] - a
    if rows.indptr[j + 1] - b != length:
        return False
    for p in range(length):
        if rows.indices[a + p] != rows.indices[b + p] or rows.data[a + p] != rows.data[b + p]:
            return False
    return True
