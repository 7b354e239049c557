"""Exact neighbors among vectors: estimates by a matrix product rule out nearly all pairs, few are computed.

A product of matrices adds up in an order that depends on the shapes of the two, and so do its last bits.  So
it only withholds pairs.  The value that is kept is a sum in float64 in the order of columns, which depends on
the two rows and nothing else.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_fastmath_loop, compiled_loop
from novelty_dask.kernels.neighbors import insert


class Measure(NamedTuple):
    """What closeness is.

    Parameters
    ----------
    is_distance : bool
        True if it is the negative square of the distance, False if it is the product.
    is_cosine : bool
        True if it is the product of vectors of unit length, from -1 to 1 whatever rounding makes of it.
    """

    is_distance: bool
    is_cosine: bool


@compiled_loop
def keep_closest(
    estimates: NDArray[np.float64],
    slack: tuple[NDArray[np.float64], NDArray[np.float64]],
    vectors: tuple[NDArray[np.float64], NDArray[np.float64]],
    kept: tuple[NDArray[np.int64], NDArray[Any]],
    starts: tuple[int, int],
    measure: Measure,
) -> int:
    """Update the neighbors of rows with candidates, in place; return how many pairs were computed.

    Parameters
    ----------
    estimates : ndarray of shape (rows, candidates), float64
        Closeness of each pair, or nearly.
    slack : tuple of ndarray, of shapes (rows,) and (candidates,)
        The estimate of a pair is off by at most the sum of the two.
    vectors : tuple of ndarray, of shapes (rows, columns) and (candidates, columns)
    kept : tuple of ndarray of shape (rows, k)
        Ids and closeness of the neighbors so far, best first.
    starts : (int, int)
        Numbers of the first row and of the first candidate.
    measure : Measure
        What closeness is.
    """
    ids, closeness = kept
    computed = 0
    for i in range(estimates.shape[0]):
        for j in range(estimates.shape[1]):
            if starts[0] + i == starts[1] + j:
                continue
            # NaN, of numbers that overflow, rules nothing out.
            if estimates[i, j] + (slack[0][i] + slack[1][j]) < closeness[i, -1]:
                continue
            computed += 1
            value: Any = measure_closeness(vectors[0][i], vectors[1][j], measure)
            insert(ids[i], closeness[i], starts[1] + j, value)
    return computed


def _add_up(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    is_distance: bool,  # noqa: FBT001 - Numba has no keywords
) -> float:
    """Return the product of two vectors, or their squared distance, negative."""
    total = 0.0
    if is_distance:
        for p in range(x.size):
            total -= (x[p] - y[p]) * (x[p] - y[p])
        return total
    for p in range(x.size):
        total += x[p] * y[p]
    return total


# The same sum twice: in the order of columns, and in any order, which is faster and may be off by rounding.
_add_up_in_order = compiled_loop(_add_up)
estimate_closeness = compiled_fastmath_loop(_add_up)


@compiled_loop
def measure_closeness(x: NDArray[np.float64], y: NDArray[np.float64], measure: Measure) -> float:
    """Return how close two vectors are."""
    total = _add_up_in_order(x, y, measure.is_distance)
    return min(max(total, -1.0), 1.0) if measure.is_cosine else total


@compiled_loop
def keep_values(
    values: NDArray[np.float64],
    kept: tuple[NDArray[np.int64], NDArray[Any]],
    starts: tuple[int, int],
) -> None:
    """Update the neighbors of rows with candidates whose closeness is known, in place.

    Parameters
    ----------
    values : ndarray of shape (rows, candidates), float64
    kept, starts : tuple
        As for `keep_closest`.
    """
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            if starts[0] + i != starts[1] + j:
                value: Any = values[i, j]
                insert(kept[0][i], kept[1][i], starts[1] + j, value)
