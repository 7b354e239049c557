"""Indexes of faiss: all rows, an inverted file, and a graph."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from novelty_dask.vectors.libraries.proposing import Ids, LibraryEngine, Metric, Rows, load

LEAST_OF_CELL = 30
"""Rows that a cell has at least on average, as the guide of faiss advises."""


@dataclass(frozen=True)
class FaissFlat(LibraryEngine):
    """Comparison with all rows in float32."""

    module = "faiss"

    def index_bytes(self, n_rows: int, n_values: int) -> int:
        """Return the bytes of a copy of the rows, which grows by doubling."""
        return 8 * n_values

    def prepare(self, X: Rows, metric: Metric, n_candidates: int) -> Any:
        """Return an index of all rows."""
        faiss = load(self.module)
        kind = faiss.METRIC_L2 if metric == "euclidean" else faiss.METRIC_INNER_PRODUCT
        index = faiss.index_factory(X.shape[1], self._describe(len(X)), kind)
        self._set_up(index)
        index.train(X)
        index.add(X)
        return index

    def search(self, index: Any, X: Rows, part: slice, n_candidates: int) -> Ids:
        """Return candidates of some rows."""
        found: Ids = index.search(X[part], n_candidates)[1]
        return found

    def _describe(self, n_rows: int) -> str:
        """Return what faiss's factory is to make."""
        return "Flat"

    def _set_up(self, index: Any) -> None:
        """Set what an index needs before rows are added."""


@dataclass(frozen=True)
class FaissIVF(FaissFlat):
    """Inverted file: rows in cells, the nearest of them visited.

    Parameters
    ----------
    nlist : int, optional
        Cells; by default 4 times the root of the number of rows, as faiss's guide advises.
    nprobe : int
        Cells that are visited for a row; faiss's own default, 1, misses too many.
    """

    nlist: int | None = None
    nprobe: int = 16

    def index_bytes(self, n_rows: int, n_values: int) -> int:
        """Return the bytes of the rows in cells, which grow by doubling, and of their numbers."""
        return 8 * n_values + 16 * n_rows

    def search(self, index: Any, X: Rows, part: slice, n_candidates: int) -> Ids:
        """Return candidates of some rows."""
        index.nprobe = self.nprobe
        return super().search(index, X, part, n_candidates)

    def _describe(self, n_rows: int) -> str:
        """Return what faiss's factory is to make."""
        cells = min(int(4 * np.sqrt(n_rows)), n_rows // LEAST_OF_CELL)
        return f"IVF{self.nlist or max(1, cells)},Flat"

    def _set_up(self, index: Any) -> None:
        """Let cells be small without a message."""
        index.cp.min_points_per_centroid = 1


@dataclass(frozen=True)
class FaissHNSW(FaissFlat):
    """Graph of rows, walked through towards each row.

    Parameters
    ----------
    M : int
        Edges of a row.
    ef_construction : int
        Candidates while the graph is built; faiss's default.
    ef_search : int
        Candidates while it is searched; faiss's default is 16.
    """

    M: int = 32
    ef_construction: int = 40
    ef_search: int = 64

    def index_bytes(self, n_rows: int, n_values: int) -> int:
        """Return the bytes of a copy of the rows, and of the graph."""
        return 8 * n_values + n_rows * (16 * self.M + 64)

    def search(self, index: Any, X: Rows, part: slice, n_candidates: int) -> Ids:
        """Return candidates of some rows."""
        index.hnsw.efSearch = max(self.ef_search, n_candidates)
        return super().search(index, X, part, n_candidates)

    def _describe(self, n_rows: int) -> str:
        """Return what faiss's factory is to make."""
        return f"HNSW{self.M},Flat"

    def _set_up(self, index: Any) -> None:
        """Set how carefully the graph is built."""
        index.hnsw.efConstruction = self.ef_construction
