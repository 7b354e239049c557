"""Rows in memory, in which the closest rows of others are looked up, by the engine that suits them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from novelty_dask.engines.cosine import CosineEngine
from novelty_dask.engines.dense import DenseEngine, no_neighbors
from novelty_dask.engines.products import ProductEngine
from novelty_dask.kernels.missing import fill_missing
from novelty_dask.kernels.neighbors import Neighbors
from novelty_dask.kernels.text.tfidf import document_frequency

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from novelty_dask.engines.dense import Metric

BLOCK_ROWS = 65_536
"""Rows that are searched at once: of sparse rows, bounds and lists are made for them."""
VECTOR_ROWS = 16_384
"""Rows of a block of vectors, whose pairs are estimated in parts."""


class Found(NamedTuple):
    """The closest rows of some rows, closest first, ties by number.

    Parameters
    ----------
    ids : ndarray of shape (rows, k), int64
        Numbers of fitted rows.
    closeness : ndarray of shape (rows, k), float32 or float64
        Cosine similarity, or the Euclidean distance, negative.
    base : int
        What closeness is subtracted from, to give the distance.
    """

    ids: NDArray[np.int64]
    closeness: NDArray[Any]
    base: int

    @property
    def distances(self) -> NDArray[np.float64]:
        """1 minus the similarity, or the Euclidean distance."""
        # A similarity of 0 that was subtracted from 0 would be -0.
        return self.base - self.closeness.astype(np.float64) + 0.0


class NeighborIndex:
    """Exact index of rows in memory.

    Nonnegative sparse rows are compared by cosine with the kernels of a run, so that their similarities have
    the same bytes, in float32.  All others are compared in float64.

    Parameters
    ----------
    X : csr_matrix or ndarray of shape (rows, columns)
        Finite values.
    metric : {"cosine", "euclidean"}

    Attributes
    ----------
    n_rows : int
        Number of rows.
    is_sparse : bool
        True if rows are looked up in sparse form.
    is_nonnegative : bool
        True if only rows without negative values can be looked up.
    """

    def __init__(self, X: Any, metric: Metric) -> None:
        self.metric = metric
        self.n_rows: int = X.shape[0]
        # Copied, as the caller may change what he has given.
        self.is_sparse = sp.issparse(X)
        self._X: Any = sp.csr_matrix(X, copy=True) if self.is_sparse else np.array(X)
        self.is_nonnegative = (
            metric == "cosine" and self.is_sparse and bool(np.min(self._X.data, initial=0) >= 0)
        )
        self._prepare()

    def _prepare(self) -> None:
        """Choose the engine, and prepare all rows."""
        self._engine: Any
        if self.is_nonnegative:
            self._X.sum_duplicates()
            self._X.eliminate_zeros()
            self._engine = CosineEngine(document_frequency(self._X))
        else:
            self._engine = ProductEngine(self.metric) if self.is_sparse else DenseEngine(self.metric)
        # The kernel of sparse rows cuts a block into tiles itself.
        step = max(1, self.n_rows) if self.is_nonnegative else VECTOR_ROWS
        self._blocks = [
            (start, self._engine.prepare(self._X[start : start + step]))
            for start in range(0, self.n_rows, step)
        ]

    def __getstate__(self) -> dict[str, Any]:
        """Return what it is made from, which is a fraction of what it holds."""
        return {**self.__dict__, "_engine": None, "_blocks": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Prepare the rows anew."""
        self.__dict__.update(state)
        self._prepare()

    def search_itself(self, k: int) -> Found:
        """Return the k closest other rows of each row; k is less than the number of rows."""
        neighbors = self._empty(self.n_rows, k)
        for row_start, rows in self._blocks:
            part = slice(row_start, row_start + VECTOR_ROWS) if len(self._blocks) > 1 else slice(None)
            self._search(rows, neighbors, part, row_start)
        return self._found(neighbors, np.arange(self.n_rows))

    def search(self, X: Any, k: int) -> Found:
        """Return the k closest rows of each row of others; k is at most the number of rows.

        Parameters
        ----------
        X : csr_matrix or ndarray of shape (rows, columns)
            Finite values, not negative where `is_nonnegative`.
        """
        neighbors = self._empty(X.shape[0], k)
        for part in _parts(X.shape[0], BLOCK_ROWS if self.is_nonnegative else VECTOR_ROWS):
            # Numbers behind those of all rows, so that none is taken for one of them.
            self._search(self._engine.prepare(X[part]), neighbors, part, self.n_rows + part.start)
        return self._found(neighbors, np.full(X.shape[0], -1))

    def _search(self, rows: Any, neighbors: Neighbors, part: slice, row_start: int) -> None:
        """Update the neighbors of prepared rows with all rows of the index."""
        own = Neighbors(neighbors.ids[part], neighbors.similarities[part])
        for candidate_start, candidates in self._blocks:
            self._engine.search(rows, candidates, own, row_start=row_start, candidate_start=candidate_start)

    def _empty(self, rows: int, k: int) -> Neighbors:
        """Return the neighbors of rows that have none yet."""
        return Neighbors.empty(rows, k) if self.is_nonnegative else no_neighbors(rows, k)

    def _found(self, neighbors: Neighbors, itself: NDArray[np.int64]) -> Found:
        """Return neighbors by metric, with those that are missing."""
        fill_missing(neighbors.ids, itself)
        if self.metric == "cosine":
            return Found(neighbors.ids, neighbors.similarities, 1)
        return Found(neighbors.ids, -np.sqrt(-neighbors.similarities), 0)


def _parts(n_rows: int, step: int) -> Iterator[slice]:
    """Yield the rows in parts."""
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))
