"""The order of the columns of a corpus, rare ones first, and the break-points between them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Columns:
    """The frozen order of the columns of a corpus, rare columns first.

    Parameters
    ----------
    rank : ndarray of shape (n_features,), int32
        New number of each column; -1 for a column that the corpus does not use.
    document_frequency : ndarray of shape (n_columns,), int64
        Number of rows that have each used column, in the new order, ascending.
    breakpoints : ndarray of shape (levels,), int32
        Ascending break-points (new numbers) at which suffix norms are kept; the last is n_columns.
    """

    rank: NDArray[np.int32]
    document_frequency: NDArray[np.int64]
    breakpoints: NDArray[np.int32]


def order_columns(document_frequency: NDArray[np.int64], levels: int = 32) -> Columns:
    """Order columns by document frequency, rare first, and place the break-points.

    Parameters
    ----------
    document_frequency : ndarray of shape (n_features,), int64
        Number of rows that have each column.
    levels : int
        Largest number of break-points.

    Returns
    -------
    Columns
        Ties are ordered by old number, so the order depends on nothing but the argument.

    Examples
    --------
    >>> columns = order_columns(np.array([5, 0, 1, 5]))
    >>> columns.rank
    array([ 1, -1,  0,  2], dtype=int32)
    >>> columns.document_frequency
    array([1, 5, 5])
    """
    used = np.flatnonzero(document_frequency)
    order = used[np.argsort(document_frequency[used], kind="stable")]
    rank = np.full(document_frequency.size, -1, np.int32)
    rank[order] = np.arange(order.size, dtype=np.int32)
    ordered = document_frequency[order].astype(np.int64)
    return Columns(rank, ordered, _place_breakpoints(ordered, levels))


def _place_breakpoints(document_frequency: NDArray[np.int64], levels: int) -> NDArray[np.int32]:
    """Return break-points at shares of the multiply-adds of a full product that grow geometrically."""
    if not document_frequency.size:
        return np.zeros(1, np.int32)
    # A column of n rows takes n² multiply-adds, most of them in the last few hundred columns.  So steps are
    # equal on a logarithmic scale, from a ten-thousandth of the product to all of it.
    products = np.cumsum(document_frequency.astype(np.float64) ** 2)
    shares = np.geomspace(1e-4, 1, levels - 1) if levels > 1 else np.zeros(1)
    breakpoints = np.searchsorted(products, products[-1] * shares)
    breakpoints[-1] = document_frequency.size
    return np.unique(breakpoints).astype(np.int32)
