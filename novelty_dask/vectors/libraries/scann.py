"""Leaves and hashes of ScaNN."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from novelty_dask.vectors.libraries.proposing import Ids, LibraryEngine, Metric, Rows, load, thread_count


@dataclass(frozen=True)
class Scann(LibraryEngine):
    """Rows in leaves, compared by hashes of pairs of columns, and the best of them by their values.

    Parameters
    ----------
    num_leaves : int, optional
        Leaves; by default the root of the number of rows, as ScaNN's guide advises.
    leaves_to_search : int
        Leaves that are visited for a row; ScaNN names no default.
    reorder : int
        Rows that are compared by their values, or as many as candidates; that of ScaNN's example.
    """

    module = "scann"
    num_leaves: int | None = None
    leaves_to_search: int = 16
    reorder: int = 100

    def index_bytes(self, n_rows: int, n_values: int) -> int:
        """Return the bytes of copies of the rows, and of hashes."""
        return 12 * n_values + 64 * n_rows

    def prepare(self, X: Rows, metric: Metric, n_candidates: int) -> Any:
        """Return the leaves of all rows."""
        is_distance = metric == "euclidean"
        kind = "squared_l2" if is_distance else "dot_product"
        builder = load(self.module).scann_ops_pybind.builder(X, n_candidates, kind)
        builder = builder.set_n_training_threads(thread_count()).tree(
            num_leaves=self.num_leaves or int(np.sqrt(len(X))),
            num_leaves_to_search=self.leaves_to_search,
            training_sample_size=len(X),
        )
        # That products of near rows count for more makes sense for products alone.
        threshold = float("nan") if is_distance else 0.2
        builder = builder.score_ah(2, anisotropic_quantization_threshold=threshold)
        return builder.reorder(max(self.reorder, n_candidates)).build()

    def search(self, index: Any, X: Rows, part: slice, n_candidates: int) -> Ids:
        """Return candidates of some rows."""
        return np.asarray(
            index.search_batched(
                X[part], final_num_neighbors=n_candidates, leaves_to_search=self.leaves_to_search
            )[0]
        ).astype(np.int64)
