"""Scores: the novelty of each row, from the similarities of its nearest neighbors.

A missing neighbor counts as similarity 0, but no row can have more neighbors than there are other rows.
Where nothing can be compared, the novelty is undefined, not 1.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Novelty(NamedTuple):
    """Novelty of rows, by three measures.

    Parameters
    ----------
    mean, nearest, kth : ndarray of shape (rows,), float64
        1 minus the mean similarity of the neighbors, minus that of the nearest, minus that of the last.
    """

    mean: NDArray[np.float64]
    nearest: NDArray[np.float64]
    kth: NDArray[np.float64]


def novelty_scores(
    similarities: NDArray[np.float32], n_possible: int, has_features: NDArray[np.bool_]
) -> Novelty:
    """Return the novelty of each row: its distance from its nearest neighbors.

    With the similarities ``s[0] >= s[1] >= ...`` of a row and ``m = min(k, n_possible)``, the novelty is

    - by the mean: ``1 - (s[0] + ... + s[m - 1]) / m``,
    - by the nearest: ``1 - s[0]``,
    - by the k-th: ``1 - s[m - 1]``,

    clipped to [0, 1].  Sums run in float64 and in rank order, so that the novelty of a row is the same bytes
    however the rows are cut into blocks.

    Parameters
    ----------
    similarities : ndarray of float32, shape (rows, k)
        Cosine similarities of the k nearest neighbors, most similar first, 0 where a neighbor is missing.
    n_possible : int
        Most neighbors that a row can have: the number of rows that they come from, without the row itself.
    has_features : ndarray of bool, shape (rows,)
        True for rows that have any feature.

    Returns
    -------
    Novelty
        From 0 to 1; NaN for a row without features and for the only row of a corpus.

    Examples
    --------
    >>> similarities = np.array([[0.75, 0.25], [0.5, 0.0]], np.float32)
    >>> novelty_scores(similarities, 9, np.array([True, True])).mean
    array([0.5 , 0.75])
    >>> novelty_scores(similarities, 9, np.array([True, False])).nearest
    array([0.25,  nan])
    """
    possible = similarities[:, :n_possible]
    if not possible.shape[1]:
        return Novelty(*(np.full(len(similarities), np.nan) for _ in Novelty._fields))
    subtracted = row_means(possible), possible[:, 0], possible[:, -1]
    distances = (np.clip(1 - np.asarray(each, np.float64), 0, 1) for each in subtracted)
    return Novelty(*(np.where(has_features, each, np.nan) for each in distances))


def row_means(similarities: NDArray[np.float32] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean of each row, added up in the order of columns, in float64."""
    # Column by column, as the order in which np.sum adds depends on the shape and layout of the array.
    means = np.zeros(len(similarities))
    for column in similarities.T:
        means += column
    means /= similarities.shape[1]
    return means
