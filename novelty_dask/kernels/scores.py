"""Scores: one novelty for each row, from the similarities of its nearest neighbors.

A missing neighbor counts as similarity 0, but no row can have more neighbors than there are other rows.
Where nothing can be compared, the novelty is undefined, not 1.
"""

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.choices import Score


def novelty_scores(
    similarities: NDArray[np.float32], n_rows: int, has_features: NDArray[np.bool_], score: Score = "mean"
) -> NDArray[np.float64]:
    """Return the novelty of each row: its distance from its nearest neighbors.

    With the similarities ``s[0] >= s[1] >= ...`` of a row and ``m = min(k, n_rows - 1)``, the novelty is

    - "mean": ``1 - (s[0] + ... + s[m - 1]) / m``,
    - "nearest": ``1 - s[0]``,
    - "kth": ``1 - s[m - 1]``,

    clipped to [0, 1].  Sums run in float64 and in rank order, so that the novelty of a row is the same bytes
    however the rows are cut into blocks.

    Parameters
    ----------
    similarities : ndarray of float32, shape (rows, k)
        Cosine similarities of the k nearest neighbors, most similar first, 0 where a neighbor is missing.
    n_rows : int
        Number of rows of the corpus that the neighbors come from, the row itself included.
    has_features : ndarray of bool, shape (rows,)
        True for rows that have any feature.
    score : {"mean", "nearest", "kth"}, default "mean"
        Similarity that is subtracted from 1 to give the novelty.

    Returns
    -------
    ndarray of float64, shape (rows,)
        Novelty from 0 to 1; NaN for a row without features and for the only row of a corpus.

    Examples
    --------
    >>> similarities = np.array([[0.75, 0.25], [0.5, 0.0]], np.float32)
    >>> novelty_scores(similarities, 10, np.array([True, True]))
    array([0.5 , 0.75])
    >>> novelty_scores(similarities, 10, np.array([True, False]), "nearest")
    array([0.25,  nan])
    """
    n_possible = min(similarities.shape[1], n_rows - 1)
    if n_possible < 1:
        return np.full(len(similarities), np.nan)
    novelty = np.clip(1 - _similarity(similarities[:, :n_possible], score), 0, 1)
    return np.where(has_features, novelty, np.nan)


def _similarity(similarities: NDArray[np.float32], score: Score) -> NDArray[np.float64]:
    """Return the similarity of each row from which its score is computed."""
    if score == "mean":
        return _row_means(similarities)
    return np.asarray(similarities[:, 0 if score == "nearest" else -1], np.float64)


def _row_means(similarities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the mean of each row."""
    # Column by column, as the order in which np.sum adds depends on the shape and layout of the array.
    means = np.zeros(len(similarities))
    for column in similarities.T:
        means += column
    means /= similarities.shape[1]
    return means
