"""Exact neighbors as a graph, for estimators that take distances computed before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from novelty_dask.estimators.lookup import ExactLookup, check_mode, make_graph

if TYPE_CHECKING:
    import scipy.sparse as sp


class ExactNeighborsTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ExactLookup):
    """Transformer of rows to the graph of their exact nearest neighbors, as ``KNeighborsTransformer`` is.

    Its result is what ``metric="precomputed"`` takes in ``TSNE``, ``DBSCAN`` and others of scikit-learn, and
    it is a ``transformer`` for ``scanpy.pp.neighbors``.  UMAP, which takes symmetrical graphs alone, takes
    the same numbers as ``precomputed_knn``.

    Parameters
    ----------
    n_neighbors : int
        Neighbors of each row.
    mode : {"distance", "connectivity"}
        With "distance" each row has its distances to itself and to `n_neighbors` others.  With
        "connectivity" it has ones for itself and for `n_neighbors` - 1 others.
    metric : {"cosine", "euclidean"}

    Attributes
    ----------
    n_samples_fit_ : int
        Number of fitted rows.
    n_features_in_ : int
        Number of their columns.
    effective_metric_ : str
        The metric.
    vectorizer_ : UrlVectorizer
        Of a transformer that was fitted on URLs.

    Notes
    -----
    `fit_transform` knows which row is which: each comes first, at distance 0, also among equal ones.
    `transform` takes rows for others: it looks them up, and finds those that were fitted, too, at a distance
    of 0 but for rounding.

    Examples
    --------
    >>> import numpy as np
    >>> graph = ExactNeighborsTransformer(n_neighbors=1).fit_transform([[1.0, 0.0], [3.0, 4.0], [1.0, 2.0]])
    >>> graph.indices.reshape(3, 2).tolist()
    [[0, 1], [1, 2], [2, 1]]
    """

    def __init__(self, n_neighbors: int = 10, *, mode: str = "distance", metric: str = "cosine") -> None:
        self.n_neighbors = n_neighbors
        self.mode = mode
        self.metric = metric

    def fit(self, X: Any, y: object = None) -> Self:
        """Keep rows as those among which neighbors are found.

        Parameters
        ----------
        X : {ndarray, sparse matrix, list of str, Dask collection} of shape (n_samples, n_features)
        y : ignored

        Returns
        -------
        ExactNeighborsTransformer
            Itself.
        """
        check_mode(self.mode)
        return self._fit_rows(X)

    def transform(self, X: Any) -> sp.csr_matrix:
        """Return the graph of the nearest fitted rows of rows.

        Parameters
        ----------
        X : {ndarray, sparse matrix, list of str, Dask collection} of shape (n_queries, n_features)

        Returns
        -------
        csr_matrix of float64, shape (n_queries, n_samples_fit)
        """
        check_is_fitted(self)
        # One more, in the place that a row itself has in `fit_transform`: all rows have as many entries.
        return self._make_graph(*self._neighbors(X, self._n_others + 1))

    def fit_transform(self, X: Any, y: object = None) -> sp.csr_matrix:
        """Return the graph of the nearest rows of all rows, each row itself first.

        Parameters
        ----------
        X, y
            As for `fit`.

        Returns
        -------
        csr_matrix of float64, shape (n_samples, n_samples)
        """
        self.fit(X)
        # Found by number and not by distance, which equal rows share.
        if not self._n_others:
            itself = np.arange(self.n_samples_fit_)[:, None]
            return self._make_graph(np.zeros(itself.shape), itself)
        distances, indices = self._neighbors(None, self._n_others)
        itself = np.arange(self.n_samples_fit_)[:, None]
        return self._make_graph(np.hstack([np.zeros(itself.shape), distances]), np.hstack([itself, indices]))

    @property
    def _n_others(self) -> int:
        """Neighbors of a row besides itself."""
        n_others: int = self.n_neighbors - (self.mode == "connectivity")
        return n_others

    def _neighbors(self, X: Any, k: int) -> tuple[Any, Any]:
        """Return distances and numbers of neighbors."""
        found = self._find(X, k)
        return found.distances, found.ids

    def _make_graph(self, distances: Any, indices: Any) -> sp.csr_matrix:
        """Return the graph of neighbors, weighted as `mode` has it."""
        return make_graph(distances if self.mode == "distance" else np.ones(indices.shape), indices, self)

    @property
    def _n_features_out(self) -> int:
        """Number of columns of the graph."""
        n_rows: int = self.n_samples_fit_
        return n_rows
