"""Local outlier factor: the density around the neighbors of a row, as a multiple of that around the row.

Breunig, Kriegel, Ng and Sander (2000), LOF: identifying density-based local outliers, with the cosine
distance, and densities as scikit-learn's `LocalOutlierFactor` computes them.
"""

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop

SMALLEST_DISTANCE = 2.0**-22
"""Distance below which two rows are at the same place: similarities are rounded to single precision."""
SMOOTHING = 1e-10
"""Added to the mean reachability distance of each row, which is 0 among equal rows."""
GREATEST_FACTOR = 1 / SMOOTHING
"""Factor of a row without any neighbor: the greatest that two densities can have."""


@compiled_loop
def gather(values: NDArray[np.float64], start: int, ids: NDArray[np.int64], out: NDArray[np.float64]) -> None:
    """Write the values of those neighbors that are among some consecutive rows.

    Parameters
    ----------
    values : ndarray of shape (rows,), float64
        One for each of the consecutive rows.
    start : int
        Id of the first of them.
    ids, out : ndarray of shape (rows, k)
        Neighbors, and the places for their values.
    """
    for i in range(ids.shape[0]):
        for p in range(ids.shape[1]):
            j = ids[i, p] - start
            if 0 <= j < values.size:
                out[i, p] = values[j]


@compiled_loop
def reachability_densities(
    ids: NDArray[np.int64],
    distances: NDArray[np.float64],
    kth_distances: NDArray[np.float64],
    densities: NDArray[np.float64],
    smallest: float = SMALLEST_DISTANCE,
) -> None:
    """Write the local reachability density of each row: the inverse of its mean reachability distance.

    The reachability distance of a row from a neighbor is their distance, but at least the distance of the
    neighbor from its own k-th.  A missing neighbor is at distance 1, the largest.

    Parameters
    ----------
    ids, distances : ndarray of shape (rows, m)
        Neighbors; -1 where one is missing, although there are more than m rows.
    kth_distances : ndarray of shape (rows, m), float64
        Distance of each neighbor from its k-th.
    densities : ndarray of shape (rows,), float64
        Written.
    smallest : float
        Distance below which rows are at the same place.
    """
    for i in range(ids.shape[0]):
        total = 0.0
        for p in range(ids.shape[1]):
            if ids[i, p] < 0:
                total += 1.0
            else:
                reach = max(distances[i, p], kth_distances[i, p])
                total += reach if reach >= smallest else 0.0
        densities[i] = 1 / (total / ids.shape[1] + SMOOTHING)


@compiled_loop
def outlier_factors(
    ids: NDArray[np.int64],
    neighbor_densities: NDArray[np.float64],
    densities: NDArray[np.float64],
    factors: NDArray[np.float64],
) -> None:
    """Write the local outlier factor of each row: the mean density of its neighbors over its own.

    Missing neighbors are left out of the mean; without any neighbor the factor is `GREATEST_FACTOR`.

    Parameters
    ----------
    ids, neighbor_densities : ndarray of shape (rows, m)
        Neighbors, -1 where one is missing, and their densities.
    densities, factors : ndarray of shape (rows,), float64
        Of the rows; the factors are written.
    """
    for i in range(ids.shape[0]):
        total, n_there = 0.0, 0
        for p in range(ids.shape[1]):
            if ids[i, p] >= 0:
                total += neighbor_densities[i, p] / densities[i]
                n_there += 1
        factors[i] = total / n_there if n_there else GREATEST_FACTOR
