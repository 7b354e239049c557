"""Cosine similarity of small dense arrays: the definition by which the sparse kernels are tested."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg.blas import dsyrk

from novelty_dask.kernels.accelerate import compiled_loop

SAFE = 2.0**-600, 2.0**600
"""Between these, squared lengths have neither overflowed nor lost digits."""
TILE = 64
"""Rows and columns that are mirrored at once, so that both places stay in the cache."""


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
    if Y is None and x.size:
        # Half of the products, as BLAS lays them out: below the diagonal, seen by rows.
        similarities: NDArray[np.float64] = dsyrk(1.0, x.T, trans=1).T
        _mirror(similarities)
        return similarities
    return np.clip(x @ y.T, -1, 1)


@compiled_loop
def _mirror(similarities: NDArray[np.float64]) -> None:
    """Put the values below the diagonal above it, too, and all of them between -1 and 1, in place."""
    n_rows = len(similarities)
    for i in range(n_rows):
        similarities[i, i] = min(max(similarities[i, i], -1.0), 1.0)
    for first in range(0, n_rows, TILE):
        for left in range(0, first + 1, TILE):
            for j in range(left, min(left + TILE, n_rows)):
                for i in range(max(first, j + 1), min(first + TILE, n_rows)):
                    value = similarities[i, j]
                    # Rarely, so that hardly any value is written twice.
                    if abs(value) > 1:
                        value = min(max(value, -1.0), 1.0)
                        similarities[i, j] = value
                    similarities[j, i] = value


@compiled_loop
def _scale(rows: NDArray[np.float64], squares: NDArray[np.float64], scaled: NDArray[np.float64]) -> bool:
    """Divide rows by the roots of their squares; return False if a square is not to be trusted."""
    for i in range(len(rows)):
        # NaN fails every comparison.
        if not SAFE[0] < squares[i] < SAFE[1]:
            return False
        factor = 1 / np.sqrt(squares[i])
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
    """Return rows divided by their Euclidean norms, finite ones; rows of zeros stay."""
    scaled = np.empty_like(rows)
    if _scale(rows, np.einsum("ij,ij->i", rows, rows), scaled):
        return scaled
    if not np.isfinite(rows).all():
        message = f"{name} must not hold NaN or infinity"
        raise ValueError(message)
    # By the largest absolute value first, so that squares neither overflow nor underflow.
    rows = np.asarray(rows / _nonzero(np.abs(rows).max(axis=1, initial=0, keepdims=True)))
    return rows / _nonzero(np.linalg.norm(rows, axis=1, keepdims=True))


def _nonzero(divisors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return divisors with 1 for 0."""
    return np.where(divisors == 0, 1, divisors)
