"""The exact engine for sparse rows of any sign: cosine, distances and products, by sparse products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from novelty_dask.engines.dense import row_parts
from novelty_dask.kernels.neighbors import insert
from novelty_dask.kernels.vectors.closeness import keep_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.engines.dense import Metric
    from novelty_dask.kernels.neighbors import Neighbors


class SparseVectors(NamedTuple):
    """Consecutive sparse rows of a corpus, ready to be compared.

    Parameters
    ----------
    rows : csr_matrix of shape (rows, columns), float64
        Columns ascending in each row; rows of unit length for cosine.
    squares : ndarray of shape (rows,), float64
        Squared lengths.
    columns : csr_matrix of shape (columns, rows), float64
        The same, transposed.
    """

    rows: sp.csr_matrix
    squares: NDArray[np.float64]
    columns: sp.csr_matrix


class ProductEngine:
    """Finder of the k closest rows of each row, as `DenseEngine` is, for sparse rows.

    SciPy adds up the products of a pair in the order of columns, whatever other rows there are, so that all
    products are kept as they are.

    Parameters
    ----------
    metric : {"cosine", "euclidean", "inner_product"}
    """

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def prepare(self, X: sp.csr_matrix) -> SparseVectors:
        """Return rows of finite values, ready to be compared."""
        # Transposed once here, and not for each block that it meets.
        rows = self.scale(X)
        return SparseVectors(rows, row_squares(rows), rows.T.tocsr())

    def scale(self, X: sp.csr_matrix) -> sp.csr_matrix:
        """Return rows as they are compared: of unit length for cosine, others as they are."""
        return unit_rows(X) if self._metric == "cosine" else sorted_rows(X)

    def search(
        self,
        rows: SparseVectors,
        candidates: SparseVectors,
        neighbors: Neighbors,
        *,
        row_start: int,
        candidate_start: int,
    ) -> dict[str, int]:
        """Update the neighbors of rows with candidates, in place; return the counts of the search."""
        n_rows, n_candidates = rows.rows.shape[0], candidates.rows.shape[0]
        for part in row_parts(n_rows, n_candidates):
            # Dense, as nearly all pairs of such rows share a column.
            products = (rows.rows[part] @ candidates.columns).toarray()
            values = self._measure(products, rows.squares[part, None] + candidates.squares)
            kept = neighbors.ids[part], neighbors.similarities[part]
            keep_values(values, kept, (row_start + part.start, candidate_start))
        return {"finished": n_rows * n_candidates}

    def rescore(self, rows: Any, block: Any, proposed: NDArray[np.int64], kept: Any) -> None:
        """Update the neighbors of rows with those of their candidates that lie in a block, in place.

        Parameters
        ----------
        rows, block, proposed, kept
            As for `kernels.vectors.rescoring.rescore`, of sparse rows, scaled.
        """
        squares, of_block = row_squares(rows[1]), row_squares(block[1])
        for candidates in proposed.T:
            places = candidates - block[0]
            is_here = (places >= 0) & (places < block[1].shape[0]) & (candidates != rows[0])
            own = np.flatnonzero(is_here)
            places = places[own]
            shared = sp.csr_matrix(rows[1][own].multiply(block[1][places]))
            # In the order of columns, as SciPy adds up the products of matrices.
            products = np.bincount(row_numbers(shared), shared.data, len(own)).astype(np.float64, copy=False)
            values = self._measure(products, squares[own] + of_block[places])
            for i, value in zip(own, values, strict=True):
                insert(kept[0][i], kept[1][i], candidates[i], value)

    def _measure(self, products: NDArray[np.float64], squares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how close rows are by their products and the sums of their squares."""
        if self._metric == "euclidean":
            # Rounding may make it positive for equal rows.
            return np.minimum(2 * products - squares, 0)
        return np.clip(products, -1, 1) if self._metric == "cosine" else products


def sorted_rows(X: sp.csr_matrix) -> sp.csr_matrix:
    """Return a copy in float64, columns ascending in each row, each once, without explicit zeros."""
    rows = sp.csr_matrix(X, dtype=np.float64, copy=True)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    return rows


def unit_rows(X: sp.csr_matrix) -> sp.csr_matrix:
    """Return a copy as `sorted_rows` makes it, each row divided by its length; rows without values stay.

    >>> unit_rows(sp.csr_matrix([[3, 4], [0, 0]])).toarray()
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    rows = sorted_rows(X)
    # By the largest value first, so that no square overflows or vanishes.
    largest = np.zeros(rows.shape[0])
    numbers = row_numbers(rows)
    np.maximum.at(largest, numbers, np.abs(rows.data))
    rows.data /= largest[numbers]
    rows.data /= np.sqrt(row_squares(rows))[numbers]
    return rows


def row_numbers(X: sp.csr_matrix) -> NDArray[np.int64]:
    """Return the row of each stored value."""
    return np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))


def row_squares(X: sp.csr_matrix) -> NDArray[np.float64]:
    """Return the squared length of each row, added up in the order of columns, in float64."""
    values = X.data.astype(np.float64)
    return np.bincount(row_numbers(X), values * values, X.shape[0]).astype(np.float64, copy=False)
