"""Inverted lists of groups: the groups of rows that have a column, and the largest of their weights.

A group is whatever is ruled out at once: sixteen rows of a tile (`inverted`), or a piece of it (`coarse`).
Each entry has its weight as a step of a 255th of the column's largest weight, rounded up.  The norms of
suffixes are kept in such steps as well.

The lists in which at least every eighth group occurs are few, but hold most entries that a search meets.
They are kept once more as *dense* lists, with a number for every group: sixteen groups at a time are added up
in the time of two entries.

Sums are integers in units of ``1 / ONE``.  Weights are rounded up, products down: a sum over m columns is
less than m units below the exact one, whatever the weights.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled

ONE = 1 << 15
"""Similarity 1 in units of a sum."""
# As large as 16-bit sums allow.  They saturate just below 2 * ONE, and no candidate needs more than ONE: a
# sum that saturates is too low, but never too low for a neighbor.

STEPS = 255
"""Steps from 0 to the largest weight of a column, or to the largest norm: what 8 bits hold."""

DENSE = 8
"""A list in which at least one group in eight occurs is dense; rounded to a power of 2."""

SMALLEST_NORMAL = float(np.finfo(np.float32).tiny)
"""The least step: smaller floats have fewer digits, and nothing can be divided by 0."""

UNITS = np.float32(256 * ONE)
"""Units in a product of two weights, times the 256 that integer products are divided by."""
# A weight of 1 is thus a 256th of a unit for each step: to round a weight up adds less than a unit to a
# product.


class Lists(NamedTuple):
    """Inverted lists of groups.

    Parameters
    ----------
    occurring : ndarray of shape (n_columns // 64 + 1,), uint64
    before : ndarray of shape (n_columns // 64 + 2,), int32
        The columns that occur, by which they are numbered: see `directory`.
    indptr : ndarray of shape (occurring columns + 2,), int32
        Number of the first entry of each list; the last two are the number of all entries.
    groups : ndarray of shape (entries,), uint16
        Group of each entry, ascending in each list.
    maxima : ndarray of shape (entries,), uint8
        Steps of the largest weight of the group.
    scales : ndarray of shape (occurring columns + 1,), float32
        Weight of a step of each list; 0 at the end.
    norms : ndarray of shape (levels, groups), uint8
        Steps of the largest suffix norm of each group, a step being a 255th of `highest`.  Groups are filled
        up to a multiple of LANES, with 0.
    highest : ndarray of shape (levels,), float32
        The largest suffix norm of all groups.
    shift : int
        A list of at least ``1 << shift`` entries is dense.
    dense_numbers : ndarray of shape (entries >> shift + 1,), int32
        At ``start >> shift``, the number of the dense list whose first entry is `start`.
    dense : ndarray of shape (dense lists * groups,), uint8
        The maxima of the dense lists, 0 where a group does not occur.
    """

    occurring: NDArray[np.uint64]
    before: NDArray[np.int32]
    indptr: NDArray[np.int32]
    groups: NDArray[np.uint16]
    maxima: NDArray[np.uint8]
    scales: NDArray[np.float32]
    norms: NDArray[np.uint8]
    highest: NDArray[np.float32]
    shift: int
    dense_numbers: NDArray[np.int32]
    dense: NDArray[np.uint8]

    @property
    def n_groups(self) -> int:
        """Number of groups, filled up."""
        return int(self.norms.shape[1])


def choose_shift(n_groups: int) -> int:
    """Return the power of 2 from which on a list of that many entries is dense."""
    # A power of 2, since each list of each row is asked: a shift takes no time, a division dozens of cycles.
    return (max(n_groups // DENSE, 1) - 1).bit_length()


@compiled
def spread_dense(
    indptr: NDArray[np.int32],
    groups: NDArray[np.uint16],
    maxima: NDArray[np.uint8],
    shift: int,
    n_groups: int,
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Return the numbers of the dense lists, and their maxima spread over all groups."""
    # A dense list has at least ``1 << shift`` entries, so that no two start in the same stretch of as many:
    # ``start >> shift`` names it.
    numbers, lists = np.zeros((indptr[-1] >> shift) + 1, np.int32), 0
    for column in range(indptr.size - 1):
        lists += (indptr[column + 1] - indptr[column]) >> shift > 0
    dense, number = np.zeros(lists * n_groups, np.uint8), 0
    for column in range(indptr.size - 1):
        first, last = indptr[column], indptr[column + 1]
        if (last - first) >> shift > 0:
            numbers[first >> shift] = number
            for entry in range(first, last):
                dense[number * n_groups + groups[entry]] = maxima[entry]
            number += 1
    return numbers, dense
