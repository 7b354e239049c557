"""Cosine similarity of small dense arrays: the definition by which the sparse kernels are tested."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from novelty_dask.kernels.accelerate import compiled_fastmath_loop

SAFE = 2.0**-600, 2.0**600
"""Between these, squared lengths have neither overflowed nor lost digits."""


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
    x = _unit_rows(_real_matrix(X, "X"), "X")
    y = x if Y is None else _unit_rows(_real_matrix(Y, "Y"), "Y")
    if x.shape[1] != y.shape[1]:
        message = f"X and Y must have the same number of columns, not {x.shape[1]} and {y.shape[1]}"
        raise ValueError(message)
    # Of a matrix with its own transpose, NumPy computes half of the products.
    similarities: NDArray[np.float64] = x @ y.T
    if Y is None:
        # 0 for rows of zeros, else 1.
        own = similarities.ravel()[:: len(x) + 1]
        np.rint(own, out=own)
    return similarities


@compiled_fastmath_loop
def _scale(rows: NDArray[np.float64], scaled: NDArray[np.float64], length: float) -> bool:
    """Scale rows to a length; return False if a squared length is not to be trusted."""
    for i in range(rows.shape[0]):
        square = 0.0
        for p in range(rows.shape[1]):
            square += rows[i, p] * rows[i, p]
        # NaN fails every comparison.
        if not SAFE[0] < square < SAFE[1]:
            return False
        factor = length / np.sqrt(square)
        for p in range(rows.shape[1]):
            scaled[i, p] = rows[i, p] * factor
    return True


def _real_matrix(array: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return an array in float64, which may be the array itself; refuse all but real matrices."""
    values = np.asarray(array)
    if values.ndim != 2 or values.dtype.kind not in "biuf":
        message = (
            f"{name} must be a dense 2-D array of real numbers, not a {values.ndim}-D array of {values.dtype}"
        )
        raise ValueError(message)
    return np.ascontiguousarray(values, np.float64)


def _unit_rows(rows: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Return rows divided by their Euclidean norms, finite ones; rows of zeros stay.

    They are shorter than 1 by what rounding may add to a product, so that none is above 1.
    """
    scaled, length = np.empty_like(rows), 1 - (rows.shape[1] + 8) * 2.0**-53
    if _scale(rows, scaled, length):
        return scaled
    if not np.isfinite(rows).all():
        message = f"{name} must not hold NaN or infinity"
        raise ValueError(message)
    # By the largest absolute value first, so that squares neither overflow nor underflow.
    rows = np.asarray(rows / _nonzero(np.abs(rows).max(axis=1, initial=0, keepdims=True)))
    unit: NDArray[np.float64] = rows * (length / _nonzero(np.linalg.norm(rows, axis=1, keepdims=True)))
    return unit


def _nonzero(divisors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return divisors with 1 for 0."""
    return np.where(divisors == 0, 1, divisors)
