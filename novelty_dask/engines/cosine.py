"""The exact engine for nonnegative sparse rows of any length, with columns in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from novelty_dask.engines.products import row_numbers, row_squares, unit_rows
from novelty_dask.engines.sparse import SparseEngine
from novelty_dask.kernels.search.columns import order_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.kernels.neighbors import Neighbors
    from novelty_dask.kernels.search.block import Block

UNIT = 2.0**-22
"""How far the squared length of a float32 row may be from 1 by rounding alone."""


class CosineEngine:
    """Finder of the k most similar rows of each row, by the engine of a run.

    Parameters
    ----------
    frequency : ndarray of shape (columns,), int64
        Number of rows of the corpus that have each column.
    """

    def __init__(self, frequency: NDArray[np.int64]) -> None:
        columns = order_columns(frequency)
        self._rank = columns.rank
        # One column more, before all others: what a row has in columns that the corpus lacks.
        self._engine = SparseEngine(columns.breakpoints + np.int32(1))

    def prepare(self, X: sp.csr_matrix) -> Block:
        """Return rows of finite, nonnegative values, ready to be compared."""
        rows = unit_weights(X)
        known = self._rank[rows.indices] >= 0
        numbers = row_numbers(rows)
        foreign = np.sqrt(np.bincount(numbers[~known], rows.data[~known].astype(float) ** 2, rows.shape[0]))
        # The columns that no row of the corpus has make no product, and count in the length of the row alone.
        starts = np.concatenate([[0], np.cumsum(np.bincount(numbers[known], minlength=rows.shape[0]))])
        ranked = sp.csr_matrix(
            (rows.data[known], self._rank[rows.indices[known]], starts),
            shape=(rows.shape[0], self._engine.n_columns - 1),
        )
        # It has the lowest number, and so stays first when columns are sorted.
        joined = sp.hstack([sp.csr_matrix(foreign.astype(np.float32)[:, None]), ranked], "csr", np.float32)
        joined.sort_indices()
        return self._engine.prepare(sp.csr_matrix(joined))

    def search(
        self, rows: Block, candidates: Block, neighbors: Neighbors, *, row_start: int, candidate_start: int
    ) -> dict[str, int]:
        """Update the neighbors of rows with candidates, in place; return the counts of the search."""
        return self._engine.search(
            rows, candidates, neighbors, row_start=row_start, candidate_start=candidate_start
        )


def unit_weights(X: sp.csr_matrix) -> sp.csr_matrix:
    """Return rows of unit length in float32; those that have it already stay as they are, to the bit.

    >>> unit_weights(sp.csr_matrix(np.array([[3, 4], [0, 1]], np.float32))).toarray()
    array([[0.6, 0.8],
           [0. , 1. ]], dtype=float32)
    """
    rows = unit_rows(X)
    if X.dtype == np.float32:
        given = sp.csr_matrix(X, copy=True)
        given.sum_duplicates()
        given.eliminate_zeros()
        # Scaled again, last bits would change, and with them ties.
        stays = (np.abs(row_squares(given) - 1) <= UNIT)[row_numbers(given)]
        rows.data[stays] = given.data[stays]
    # A tiny weight may be 0 in single precision, and the bounds of the search need weights above 0.
    rows.data = rows.data.astype(np.float32)
    rows.eliminate_zeros()
    return rows
