"""Connected components of rows, kept as links to earlier rows; the first row of a component is its root."""

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop


@compiled_loop
def connect(links: NDArray[np.int64], rows: NDArray[np.int64], others: NDArray[np.int64]) -> None:
    """Connect each row with another, in place.

    Parameters
    ----------
    links : ndarray of shape (all rows,), int64
        Of each row itself, or one before it in its component; at first ``np.arange``.
    rows, others : ndarray of shape (pairs,), int64
    """
    for pair in range(rows.size):
        first, second = _find_root(links, rows[pair]), _find_root(links, others[pair])
        # To the earlier one, so that the root of a component is its first row, whatever the order of pairs.
        links[max(first, second)] = min(first, second)


@compiled_loop
def find_roots(links: NDArray[np.int64]) -> None:
    """Replace the link of each row by the first row of its component.

    >>> links = np.arange(5)
    >>> connect(links, np.array([3, 1]), np.array([4, 3]))
    >>> find_roots(links)
    >>> links
    array([0, 1, 2, 1, 1])
    """
    # Links lead to earlier rows, whose roots are known by then.
    for row in range(links.size):
        links[row] = links[links[row]]


@compiled_loop
def _find_root(links: NDArray[np.int64], row: int) -> int:
    """Return the row that its links lead to, and halve the way to it."""
    while links[row] != row:
        links[row] = links[links[row]]
        row = links[row]
    return row
