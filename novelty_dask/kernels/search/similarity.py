"""Similarities of two rows: the exact value, which alone is ever kept, and a fast estimate of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from novelty_dask.kernels.accelerate import compiled_fastmath_loop, compiled_loop
from novelty_dask.kernels.search.bounds import SMALLEST, Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray


@compiled_loop
def similarity(x: NDArray[np.float32], indices: NDArray[np.int32], data: NDArray[np.float32]) -> np.float32:
    """Return the cosine similarity of two rows of unit norm.

    Parameters
    ----------
    x : ndarray of shape (n_columns,), float32
        One row, dense.
    indices, data : ndarray of shape (nnz,)
        The other row, columns ascending.

    Returns
    -------
    float32
        The float64 sum of the products in ascending order of columns, rounded once.  At most 1; 0 if it is
        below `SMALLEST`.
    """
    # The product of two float32 numbers is exact in float64, and the order of the sum is fixed.  So the
    # result is the same whichever of the two rows is dense, and whatever tile, block or worker they meet in.
    total = 0.0
    for p in range(indices.size):
        total += np.float64(x[indices[p]]) * np.float64(data[p])
    rounded = np.float32(min(total, 1.0))
    return rounded if rounded >= SMALLEST else np.float32(0)


@compiled_fastmath_loop
def estimate_product(
    x: NDArray[np.float32], indices: NDArray[np.int32], data: NDArray[np.float32], start: int, end: int
) -> np.float32:
    """Return the float32 sum of the products of a dense row with non-zeros start to end - 1 of another."""
    # Any order of summation will do, as `minimum_estimate` covers its rounding: fast math lets the compiler
    # add up several products at once.
    total = np.float32(0)
    for p in range(np.uint64(start), np.uint64(end)):
        total += x[np.uint64(indices[p])] * data[p]
    return total


@compiled_loop
def load_row(x: NDArray[np.float32], rows: Rows, i: int) -> None:
    """Write row i into x, which is all zero, as a dense row."""
    for p in range(rows.indptr[i], rows.indptr[i + 1]):
        x[rows.indices[p]] = rows.data[p]


@compiled_loop
def clear_row(x: NDArray[np.float32], rows: Rows, i: int) -> None:
    """Make x all zero again after row i; only the columns of the row are touched."""
    for p in range(rows.indptr[i], rows.indptr[i + 1]):
        x[rows.indices[p]] = 0
