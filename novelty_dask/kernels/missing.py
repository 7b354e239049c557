"""Neighbors that are missing, as few rows share anything with a row, for those who want as many of each."""

import numpy as np
from numpy.typing import NDArray


def fill_missing(ids: NDArray[np.int64], itself: NDArray[np.int64]) -> None:
    """Put the lowest other numbers into free slots, as rows that share nothing are equally far.

    Parameters
    ----------
    ids : ndarray of shape (rows, k), int64
        Neighbors, best first, and -1 from some slot on.
    itself : ndarray of shape (rows,), int64
        The number of each row, which is no neighbor of its own; -1 for none.

    Examples
    --------
    >>> ids = np.array([[2, -1, -1]])
    >>> fill_missing(ids, np.array([0]))
    >>> ids
    array([[2, 1, 3]])
    """
    k = ids.shape[1]
    for row in np.flatnonzero(ids[:, -1] < 0) if k else ():
        found = ids[row, ids[row] >= 0]
        free = np.setdiff1d(np.arange(k + 1), [*found, itself[row]])
        ids[row, len(found) :] = free[: k - len(found)]
