"""Neighbors: the k best candidates of each row, best first.

Of two candidates the one with the higher similarity is better; of equally similar ones, the one with the
lower id.  This is a total order, so any order of insertion leaves the same bytes.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop


class Neighbors(NamedTuple):
    """The best k candidates so far of one or many rows.

    Parameters
    ----------
    ids : ndarray of shape (rows, k), int64
        Global row ids, best first; -1 where there is none.
    similarities : ndarray of shape (rows, k), float32
        Cosine similarities, 0 where there is none; of vectors how close they are, in float64, and minus
        infinity where there is none.
    """

    ids: NDArray[np.int64]
    similarities: NDArray[np.float32]

    @classmethod
    def empty(cls, rows: int, k: int) -> Self:
        """Return the neighbors of rows that have none yet.

        Examples
        --------
        >>> Neighbors.empty(rows=1, k=2)
        Neighbors(ids=array([[-1, -1]]), similarities=array([[0., 0.]], dtype=float32))
        """
        return cls(np.full((rows, k), -1, np.int64), np.zeros((rows, k), np.float32))


@compiled_loop
def insert(
    ids: NDArray[np.int64], similarities: NDArray[np.float32], row: int, similarity: np.float32
) -> None:
    """Put a candidate into one row's neighbors, in place, unless k are better or it is there already.

    Parameters
    ----------
    ids, similarities : ndarray of shape (k,)
        Best first.
    row : int
        Global id of the candidate.
    similarity : float32
        Its similarity, the same whenever the same candidate comes again; 0 is never kept.
    """
    # From the last slot upwards, where a candidate that is not kept is refused at once.
    slot = ids.size
    while slot > 0 and (
        similarities[slot - 1] < similarity or (similarities[slot - 1] == similarity and ids[slot - 1] > row)
    ):
        slot -= 1
    # A candidate that is there already comes with the same similarity: the loop has stopped right below it.
    if slot == ids.size or (slot > 0 and ids[slot - 1] == row):
        return
    for p in range(ids.size - 1, slot, -1):
        ids[p] = ids[p - 1]
        similarities[p] = similarities[p - 1]
    ids[slot] = row
    similarities[slot] = similarity


@compiled_loop
def _insert_all(into: Neighbors, other: Neighbors) -> None:
    """Insert the neighbors of one strip into another, row by row."""
    for i in range(other.ids.shape[0]):
        for p in range(other.ids.shape[1]):
            if other.ids[i, p] >= 0:
                insert(into.ids[i], into.similarities[i], other.ids[i, p], other.similarities[i, p])


def sort_neighbors(neighbors: Neighbors) -> Neighbors:
    """Return neighbors in final order: by similarity, descending, then by id; missing ones last.

    Parameters
    ----------
    neighbors : Neighbors
        In any order, without repeated ids in a row.

    Returns
    -------
    Neighbors
        New arrays.

    Examples
    --------
    >>> sort_neighbors(Neighbors(np.array([[7, -1, 3]]), np.array([[0.5, 0.0, 0.5]], np.float32))).ids
    array([[ 3,  7, -1]])
    """
    order = np.lexsort((neighbors.ids, -neighbors.similarities))
    return Neighbors(
        np.take_along_axis(neighbors.ids, order, axis=1),
        np.take_along_axis(neighbors.similarities, order, axis=1),
    )


def merge(strips: Sequence[Neighbors]) -> Neighbors:
    """Return the best k of several strips of the same rows; associative and commutative.

    Parameters
    ----------
    strips : sequence of Neighbors
        At least one, all of shape (rows, k).  An id that occurs in several strips is kept once.

    Returns
    -------
    Neighbors
        New arrays in final order.

    Raises
    ------
    ValueError
        If there is no strip, or their shapes differ.

    Examples
    --------
    >>> near = Neighbors(np.array([[4, 9]]), np.array([[0.9, 0.2]], np.float32))
    >>> far = Neighbors(np.array([[1, 4]]), np.array([[0.9, 0.9]], np.float32))
    >>> merge([near, far]).ids
    array([[1, 4]])
    """
    if len({strip.ids.shape for strip in strips}) != 1:
        raise ValueError(
            "merge needs at least one strip, all of the same shape; pass the strips of the same rows."
        )
    merged = sort_neighbors(strips[0])
    for strip in strips[1:]:
        _insert_all(merged, strip)
    return merged
