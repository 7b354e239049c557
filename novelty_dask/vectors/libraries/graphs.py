"""Graphs of hnswlib, usearch, Voyager and PyNNDescent."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from novelty_dask.vectors.libraries.proposing import Ids, LibraryEngine, Metric, Rows, load, thread_count

HNSWLIB_SPACES = {"cosine": "cosine", "euclidean": "l2", "inner_product": "ip"}
USEARCH_METRICS = {"cosine": "cos", "euclidean": "l2sq", "inner_product": "ip"}
VOYAGER_SPACES = {"cosine": "Cosine", "euclidean": "Euclidean", "inner_product": "InnerProduct"}


@dataclass(frozen=True)
class Hnswlib(LibraryEngine):
    """Graph of rows, walked through towards each row.

    Parameters
    ----------
    M : int
        Edges of a row; hnswlib's default.
    ef_construction : int
        Candidates while the graph is built; hnswlib's default.
    ef : int
        Candidates while it is searched; hnswlib's default is 10.
    """

    module = "hnswlib"
    M: int = 16
    ef_construction: int = 200
    ef: int = 64

    def index_bytes(self, n_rows: int, n_values: int) -> int:
        """Return the bytes of a copy of the rows, and of the graph."""
        return 4 * n_values + n_rows * (12 * self.M + 100)

    def prepare(self, X: Rows, metric: Metric, n_candidates: int) -> Any:
        """Return the graph of all rows."""
        index = load(self.module).Index(space=HNSWLIB_SPACES[metric], dim=X.shape[1])
        index.init_index(max_elements=len(X), ef_construction=self.ef_construction, M=self.M, random_seed=1)
        index.add_items(X, np.arange(len(X)), num_threads=thread_count())
        return index

    def search(self, index: Any, X: Rows, part: slice, n_candidates: int) -> Ids:
        """Return candidates of some rows."""
        index.set_ef(max(self.ef, n_candidates))
        return np.asarray(index.knn_query(X[part], n_candidates, num_threads=thread_count())[0])


@dataclass(frozen=True)
class Usearch(LibraryEngine):
    """Graph of rows, walked through towards each row.

    Parameters
    ----------
    connectivity : int
        Edges of a row; usearch's default.
    expansion_add : int
        Candidates while the graph is built; usearch's default.
    expansion_search : int
        Candidates while it is searched; usearch's default.
    """

    module = "usearch.index"
    connectivity: int = 16
    expansion_add: int = 128
    expansion_search: int = 64

    def index_bytes(self, n_rows: int, n_values: int) -> int:
        """Return the bytes of a copy of the rows, and of the graph."""
        return 8 * n_values + n_rows * (12 * self.connectivity + 200)

    def prepare(self, X: Rows, metric: Metric, n_candidates: int) -> Any:
        """Return the graph of all rows."""
        index = load(self.module).Index(
            ndim=X.shape[1],
            metric=USEARCH_METRICS[metric],
            dtype="f32",
            connectivity=self.connectivity,
            expansion_add=self.expansion_add,
        )
        index.add(np.arange(len(X)), X, threads=thread_count())
        return index

    def search(self, index: Any, X: Rows, part: slice, n_candidates: int) -> Ids:
        """Return candidates of some rows."""
        index.expansion_search = max(self.expansion_search, n_candidates)
        found = index.search(X[part], n_candidates, threads=thread_count())
        # Places behind those that were found hold anything.
        return np.where(np.arange(n_candidates) < found.counts[:, None], found.keys.astype(np.int64), -1)


@dataclass(frozen=True)
class Voyager(LibraryEngine):
    """Graph of rows, walked through towards each row.

    Parameters
    ----------
    M : int
        Edges of a row.
    ef_construction : int
        Candidates while the graph is built; Voyager's default.
    query_ef : int
        Candidates while it is searched; Voyager's default is 10.
    """

    module = "voyager"
    M: int = 16
    ef_construction: int = 200
    query_ef: int = 64

    def index_bytes(self, n_rows: int, n_values: int) -> int:
        """Return the bytes of a copy of the rows, which grows by doubling, and of the graph."""
        return 8 * n_values + n_rows * (24 * self.M + 200)

    def prepare(self, X: Rows, metric: Metric, n_candidates: int) -> Any:
        """Return the graph of all rows."""
        voyager = load(self.module)
        index = voyager.Index(
            getattr(voyager.Space, VOYAGER_SPACES[metric]),
            num_dimensions=X.shape[1],
            M=self.M,
            ef_construction=self.ef_construction,
            random_seed=1,
        )
        index.add_items(X, num_threads=thread_count())
        return index

    def search(self, index: Any, X: Rows, part: slice, n_candidates: int) -> Ids:
        """Return candidates of some rows."""
        ef = max(self.query_ef, n_candidates)
        ids = index.query(X[part], n_candidates, num_threads=thread_count(), query_ef=ef)[0]
        return np.asarray(ids).astype(np.int64)


@dataclass(frozen=True)
class Pynndescent(LibraryEngine):
    """Graph of the neighbors of all rows, which neighbors of neighbors make better.

    Parameters
    ----------
    n_neighbors : int
        Neighbors of a row in the graph, or as many as candidates; PyNNDescent's default.
    """

    module = "pynndescent"
    metrics = ("cosine", "euclidean")
    n_neighbors: int = 30

    def index_bytes(self, n_rows: int, n_values: int) -> int:
        """Return the bytes of the graph and of what is tried for it."""
        return 8 * n_values + n_rows * (64 * self.n_neighbors + 1_000)

    def prepare(self, X: Rows, metric: Metric, n_candidates: int) -> Any:
        """Return the neighbors of all rows."""
        n_neighbors = min(max(self.n_neighbors, n_candidates), len(X) - 1)
        made = load(self.module).NNDescent(
            X, metric=metric, n_neighbors=n_neighbors, random_state=1, n_jobs=thread_count()
        )
        return made.neighbor_graph[0]

    def search(self, index: Any, X: Rows, part: slice, n_candidates: int) -> Ids:
        """Return candidates of some rows."""
        found: Ids = index[part, :n_candidates]
        return found
