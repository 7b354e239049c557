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

SINGLES = 128
"""Products that are added up in float32."""
SINGLE_ERROR = 2.0**-16
"""Most that their sum is off, of the product of lengths: 128 sums, a product and two factors each.

Each is off by 2**-24 of itself, and by the inequality of Cauchy and Schwarz the absolute values of products
add up to at most the product of lengths.
"""


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
) -> None:
    """Update the neighbors of rows with candidates, in place.

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
    for i in range(estimates.shape[0]):
        for j in range(estimates.shape[1]):
            if starts[0] + i == starts[1] + j:
                continue
            # NaN, of numbers that overflow, rules nothing out.
            if estimates[i, j] + (slack[0][i] + slack[1][j]) < closeness[i, -1]:
                continue
            value: Any = measure_closeness(vectors[0][i], vectors[1][j], measure)
            insert(ids[i], closeness[i], starts[1] + j, value)


@compiled_fastmath_loop
def _add_up_singles(x: NDArray[np.float32], y: NDArray[np.float32]) -> np.float32:
    """Return the product of two short vectors, in any order."""
    total = np.float32(0)
    for p in range(x.size):
        total += x[p] * y[p]
    return total


@compiled_loop
def estimate_product(x: NDArray[np.float32], y: NDArray[np.float32]) -> float:
    """Return the product of two vectors, off by at most `SINGLE_ERROR` of the product of their lengths.

    Values may be off by 2**-24 of themselves already.
    """
    total = 0.0
    for start in range(0, x.size, SINGLES):
        total += float(_add_up_singles(x[start : start + SINGLES], y[start : start + SINGLES]))
    return total


@compiled_loop
def measure_closeness(x: NDArray[np.float64], y: NDArray[np.float64], measure: Measure) -> float:
    """Return how close two vectors are."""
    return measure_four(x, (y, y, y, y), measure)[0]


@compiled_loop
def measure_four(
    x: NDArray[np.float64], others: tuple[NDArray[np.float64], ...], measure: Measure
) -> tuple[float, float, float, float]:
    """Return how close a vector is to four others.

    Each sum has to wait for each of its products in turn; four of them wait together.
    """
    first, second, third, fourth = others
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    if measure.is_distance:
        for p in range(x.size):
            a -= (x[p] - first[p]) * (x[p] - first[p])
            b -= (x[p] - second[p]) * (x[p] - second[p])
            c -= (x[p] - third[p]) * (x[p] - third[p])
            d -= (x[p] - fourth[p]) * (x[p] - fourth[p])
        return a, b, c, d
    for p in range(x.size):
        a += x[p] * first[p]
        b += x[p] * second[p]
        c += x[p] * third[p]
        d += x[p] * fourth[p]
    if measure.is_cosine:
        return _bounded(a), _bounded(b), _bounded(c), _bounded(d)
    return a, b, c, d


@compiled_loop
def _bounded(cosine: float) -> float:
    """Return a cosine as it is without rounding: at least -1, and at most 1."""
    return min(max(cosine, -1.0), 1.0)


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
