"""Shares of the features of a URL in its numbers, which add up to them.

The squared weights of a row add up to 1, and so 1 minus a similarity is a sum over features, too: the square
of a weight, minus its product with the weight of the neighbor.  All columns but lof follow from that.
"""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.results.lookup import Standing


class Shares(NamedTuple):
    """The parts of numbers that come from each feature of a URL.

    Parameters
    ----------
    products : ndarray of shape (n_neighbors, n), float64
        Parts of the similarities.
    views : dict of str to ndarray of shape (n,), float64
        Parts of the columns of a row.
    rests : dict of str to float
        What is not due to features.
    """

    products: NDArray[np.float64]
    views: dict[str, NDArray[np.float64]]
    rests: dict[str, float]


def share(
    own: NDArray[np.float64], weights: NDArray[np.float64], standing: Standing, n_possible: int
) -> Shares:
    """Return the parts of all numbers that come from each feature.

    Parameters
    ----------
    own : ndarray of shape (n,), float64
        Weights of the features of the URL.
    weights : ndarray of shape (n_neighbors, n), float64
        Those of its neighbors.
    standing : Standing
    n_possible : int
        Neighbors that it could have; a missing one has nothing in common with it.
    """
    products, similarities = weights * own, np.array(standing.similarities, np.float64)
    # A similarity is the sum of the products, rounded to single precision: they share the difference.
    # No sum is 0, as a row without a column in common is no neighbor.
    products *= (similarities / products.sum(axis=1))[:, None]
    if not own.size or not n_possible:
        return Shares(products, {name: np.zeros(own.size) for name in standing.views}, {})
    squares = own * own / (own * own).sum()
    nearest, last = (products[place] if place < len(products) else 0 for place in (0, n_possible - 1))
    novelty = squares - products.sum(axis=0) / n_possible
    # The factor is the mean density of the neighbors times the mean distance that is reached, which is at
    # least the mean distance.  What it is beyond that comes from where the neighbors are, and from no
    # feature.  It is a difference, as densities may be so huge that any other sum would be off.
    density = standing.views["lof"] * standing.density
    beyond = standing.views["lof"] - fsum((density * novelty).tolist())
    views = {
        "novelty": novelty,
        "novelty_nearest": squares - nearest,
        "novelty_kth": squares - last,
        "uncovered": np.where((weights > 0).any(axis=0), 0, squares),
        "lof": density * novelty,
    }
    return Shares(products, views, {"lof": beyond})
