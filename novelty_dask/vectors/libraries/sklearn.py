"""Neighbors of scikit-learn: by all products, and by trees."""

from dataclasses import dataclass
from typing import Any, ClassVar

from novelty_dask.vectors.libraries.proposing import Ids, LibraryEngine, Metric, Rows, load, thread_count

WORKING_BYTES = 2**31
"""Twice the products that scikit-learn holds at once."""


@dataclass(frozen=True)
class SklearnBrute(LibraryEngine):
    """Comparison with all rows."""

    module = "sklearn.neighbors"
    metrics = ("cosine", "euclidean")
    algorithm: ClassVar[str] = "brute"

    def index_bytes(self, n_rows: int, n_values: int) -> int:
        """Return the bytes of the products that are held at once."""
        return min(WORKING_BYTES, 16 * n_rows**2)

    def prepare(self, X: Rows, metric: Metric, n_candidates: int) -> Any:
        """Return an index of all rows."""
        neighbors = load(self.module).NearestNeighbors
        return neighbors(algorithm=self.algorithm, n_jobs=thread_count(), **self._settings(metric)).fit(X)

    def search(self, index: Any, X: Rows, part: slice, n_candidates: int) -> Ids:
        """Return candidates of some rows."""
        found: Ids = index.kneighbors(X[part], n_candidates, return_distance=False)
        return found

    def _settings(self, metric: Metric) -> dict[str, Any]:
        """Return how rows are compared."""
        return {"metric": metric}


@dataclass(frozen=True)
class SklearnKDTree(SklearnBrute):
    """Tree of boxes; with many columns it visits nearly all of them.

    Parameters
    ----------
    leaf_size : int
        Rows of a leaf; scikit-learn's default.
    """

    algorithm = "kd_tree"
    leaf_size: int = 30

    def index_bytes(self, n_rows: int, n_values: int) -> int:
        """Return the bytes of the rows and of boxes, in float64."""
        return 8 * n_values + 64 * (n_values // self.leaf_size) + 16 * n_rows

    def _settings(self, metric: Metric) -> dict[str, Any]:
        """Return how rows are compared: those of unit length by distance, in the order of their cosines."""
        return {"metric": "euclidean", "leaf_size": self.leaf_size}


@dataclass(frozen=True)
class SklearnBallTree(SklearnKDTree):
    """Tree of balls.

    Parameters
    ----------
    leaf_size : int
        Rows of a leaf; scikit-learn's default.
    """

    algorithm = "ball_tree"
