"""Cosine similarity of small dense arrays: the definition by which the sparse kernels are tested."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def cosine_similarity(X: ArrayLike, Y: ArrayLike | None = None) -> NDArray[np.float64]:
    """Return the cosine similarity of each row of `X` to each row of `Y`.

    ``cos(x, y) = x @ y / (|x| |y|)``, and 0 where x or y is zero.  Everything is computed in float64.

    Parameters
    ----------
    X : array_like of real numbers, shape (n_x, n_features)
        Finite values.
    Y : array_like of real numbers, shape (n_y, n_features), optional
        Finite values.  By default the rows of `X` are compared with one another.

    Returns
    -------
    ndarray of float64, shape (n_x, n_y)
        Similarities from -1 to 1.

    Raises
    ------
    ValueError
        If an array is not two-dimensional, real and finite, or if the numbers of features differ.

    Examples
    --------
    >>> cosine_similarity([[1, 0], [0, 0]], [[1, 0], [3, 4]])
    array([[1. , 0.6],
           [0. , 0. ]])
    """
    x = _unit_rows(X, "X")
    y = x if Y is None else _unit_rows(Y, "Y")
    if x.shape[1] != y.shape[1]:
        message = f"X and Y must have the same number of columns, not {x.shape[1]} and {y.shape[1]}"
        raise ValueError(message)
    return np.clip(x @ y.T, -1, 1)


def _unit_rows(array: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return the rows of a checked array, each divided by its Euclidean norm; zero rows stay zero."""
    rows = _real_matrix(array, name)
    # Scaled by the largest absolute value first, so that squares neither overflow nor underflow.
    rows = rows / _nonzero(np.abs(rows).max(axis=1, initial=0, keepdims=True))
    return rows / _nonzero(np.linalg.norm(rows, axis=1, keepdims=True))


def _real_matrix(array: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return an array in float64; refuse all but finite real matrices."""
    values = np.asarray(array)
    if values.ndim != 2 or values.dtype.kind not in "biuf":
        message = (
            f"{name} must be a dense 2-D array of real numbers, not a {values.ndim}-D array of {values.dtype}"
        )
        raise ValueError(message)
    rows = values.astype(np.float64)
    if not np.isfinite(rows).all():
        message = f"{name} must not hold NaN or infinity"
        raise ValueError(message)
    return rows


def _nonzero(divisors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return divisors with 1 for 0."""
    return np.where(divisors == 0, 1, divisors)
