"""Looking up the neighbors of rows in an index: what the estimators have in common."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from novelty_dask.engines.index import Found, NeighborIndex
from novelty_dask.estimators.vectorizer import UrlVectorizer, is_text
from novelty_dask.execution.arrays import compute_partitions, is_collection, make_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

# float32 stays: rows that have unit length already keep their bits, and so have the similarities of a run.
FORMS = {"accept_sparse": "csr", "dtype": [np.float64, np.float32]}
"""Matrices as they are compared."""
METRICS = ("cosine", "euclidean")
"""Those that are distances, as scikit-learn takes them."""


class ExactLookup(BaseEstimator):
    """Estimator that finds exact neighbors among the rows that it was fitted on.

    Subclasses have the parameters `n_neighbors` and `metric`.
    """

    def _fit_rows(self, X: Any, *, at_least: int = 1) -> Self:
        """Keep rows, ready to be searched."""
        check_parameters(self.n_neighbors, self.metric)
        rows = validate_data(self, self._vectorize(X, reset=True), ensure_min_samples=at_least, **FORMS)
        self._index = NeighborIndex(rows, self.metric)
        self.n_samples_fit_ = self._index.n_rows
        self.effective_metric_ = self.metric
        return self

    def _vectorize(self, X: Any, *, reset: bool) -> Any:
        """Return rows in memory: URLs as their features, and what Dask holds computed."""
        if is_collection(X) and getattr(X, "ndim", 1) > 1:
            return gather(X)
        if not is_text(X):
            return X
        # Fitted where the rows are, and kept for rows that come later.
        if reset:
            self.vectorizer_ = UrlVectorizer().fit(X)
        if not hasattr(self, "vectorizer_"):
            message = (
                f"{type(self).__name__} was fitted on a matrix and can't take URLs; pass rows like those."
            )
            raise ValueError(message)
        rows = self.vectorizer_.transform(X)
        return gather(rows) if is_collection(rows) else rows

    def _query_rows(self, X: Any) -> Any:
        """Return rows to look up in the form of those that were fitted."""
        rows: Any = validate_data(self, self._vectorize(X, reset=False), reset=False, **FORMS)
        if not self._index.is_sparse:
            return rows if isinstance(rows, np.ndarray) else rows.toarray()
        rows = sp.csr_matrix(rows)
        # The search leaves candidates out by bounds that hold for products that are not negative.
        if self._index.is_nonnegative and rows.data.min(initial=0) < 0:
            message = (
                "X has negative values, and the rows that the estimator was fitted on have none; fit it on a "
                "dense matrix, or with metric='euclidean'."
            )
            raise ValueError(message)
        return rows

    def _find(self, X: Any | None, k: int) -> Found:
        """Return the k closest rows; other ones, for those that were fitted."""
        check_is_fitted(self)
        # Checked first: of bad rows and too many neighbors, rows are what to complain of.
        rows = None if X is None else self._query_rows(X)
        most = self.n_samples_fit_ - (X is None)
        if k > most:
            # In the words of scikit-learn, by which its callers know it.
            message = f"Expected n_neighbors <= n_samples_fit, but n_neighbors = {k}, n_samples_fit = {most}"
            raise ValueError(message)
        return self._index.search_itself(k) if rows is None else self._index.search(rows, k)

    def kneighbors(
        self,
        X: Any = None,
        n_neighbors: int | None = None,
        return_distance: bool = True,  # noqa: FBT001, FBT002
    ) -> Any:
        """Return the nearest fitted rows of rows.

        Parameters
        ----------
        X : {ndarray, sparse matrix, list of str, Dask collection} of shape (n_queries, n_features), optional
            Rows to look up.  Without it the fitted rows are looked up, and none is its own neighbor.
        n_neighbors : int, optional
            Number of neighbors; that of the estimator by default.
        return_distance : bool
            False to leave out the distances.

        Returns
        -------
        distances : ndarray of float64, shape (n_queries, n_neighbors)
            1 minus the cosine similarity, or the Euclidean distance, ascending.
        indices : ndarray of int64, shape (n_queries, n_neighbors)
            Numbers of fitted rows; the lower is first where distances are equal.  Rows that share no feature
            with `X` come last.  Dask arrays of a Dask collection.

        Raises
        ------
        ValueError
            There are fewer fitted rows.
        """
        check_is_fitted(self)
        found: Any
        k = self.n_neighbors if n_neighbors is None else n_neighbors
        check_parameters(k, self.metric)
        # Nothing is computed yet: each block becomes one of the arrays that are returned.
        if is_collection(X):
            metas = {"distances": np.empty((0, k)), "indices": np.empty((0, k), np.int64)}
            found = make_arrays(X, _Call("kneighbors", k), self, metas)
        else:
            found = self._find(X, k)
            found = found.distances, found.ids
        return found if return_distance else found[1]

    def kneighbors_graph(
        self, X: Any = None, n_neighbors: int | None = None, mode: str = "connectivity"
    ) -> sp.csr_matrix:
        """Return the nearest fitted rows of rows as a graph.

        Parameters
        ----------
        X, n_neighbors
            As for `kneighbors`; `X` is in memory.
        mode : {"connectivity", "distance"}
            Ones, or the distances, as weights of the edges.

        Returns
        -------
        csr_matrix of float64, shape (n_queries, n_samples_fit)
            Entries of each row in the order of their distance; distances of 0 are stored.
        """
        check_mode(mode)
        distances, indices = self.kneighbors(X, n_neighbors)
        return make_graph(distances if mode == "distance" else np.ones(indices.shape), indices, self)

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn may pass."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class _Call:
    """Call of a method with a block of rows, which may be the last, empty one."""

    def __init__(self, name: str, *arguments: Any) -> None:
        self.name, self.arguments = name, arguments

    def __call__(self, model: Any, block: Any) -> Any:
        """Return what the method returns."""
        result = getattr(model, self.name)(block, *self.arguments)
        return result if isinstance(result, tuple) else (result,)


def map_method(model: Any, name: str, X: Any, dtype: type) -> Any:
    """Return a method's numbers of rows as a Dask array."""
    return make_arrays(X, _Call(name), model, {name: np.empty(0, dtype)})[0]


def gather(X: Any) -> Any:
    """Return the rows of a Dask collection, in memory."""
    if hasattr(X, "rechunk"):
        # A part then has all columns of its rows, and parts only need to be put one below the other.
        X = X.rechunk({1: -1})
    parts = compute_partitions(X, _second, None)
    if any(map(sp.issparse, parts)):
        return sp.vstack(parts, format="csr")
    return np.concatenate([np.asarray(part) for part in parts])


def _second(_number: int, part: Any) -> Any:
    """Return a part as it is."""
    return part


def make_graph(weights: NDArray[np.float64], indices: NDArray[np.int64], model: Any) -> sp.csr_matrix:
    """Return the graph of neighbors, entries in the order of their distance."""
    n_rows, k = indices.shape
    starts = np.arange(0, n_rows * k + 1, k) if k else np.zeros(n_rows + 1, np.int64)
    return sp.csr_matrix((weights.ravel(), indices.ravel(), starts), shape=(n_rows, model.n_samples_fit_))


def check_parameters(n_neighbors: object, metric: object) -> None:
    """Refuse parameters that are impossible."""
    if isinstance(n_neighbors, bool) or not isinstance(n_neighbors, Integral):
        message = f"n_neighbors is {n_neighbors!r}; pass an integer of at least 1."
        raise TypeError(message)
    if n_neighbors < 1:
        message = f"n_neighbors is {n_neighbors}; pass an integer of at least 1."
        raise ValueError(message)
    if metric not in METRICS:
        message = f"There is no metric {metric!r}; pass 'cosine' or 'euclidean'."
        raise ValueError(message)


def check_mode(mode: object) -> None:
    """Refuse a mode of graphs that there is not."""
    if mode not in ("connectivity", "distance"):
        message = f"There is no mode {mode!r}; pass 'connectivity' or 'distance'."
        raise ValueError(message)
