"""Trees of Annoy."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from novelty_dask.vectors.libraries.proposing import Ids, LibraryEngine, Metric, Rows, load, thread_count


@dataclass(frozen=True)
class Annoy(LibraryEngine):
    """Trees of random hyperplanes.

    Its inner products are left out, as they are not safe to rely on.

    Parameters
    ----------
    n_trees : int
        Trees; Annoy names no default.
    search_k : int, optional
        Nodes that are visited for a row; by default as many as candidates times trees.
    """

    module = "annoy"
    metrics = ("cosine", "euclidean")
    n_trees: int = 50
    search_k: int | None = None

    def index_bytes(self, n_rows: int, n_values: int) -> int:
        """Return the bytes of the rows and of the nodes of the trees, which grow by doubling."""
        return 8 * n_values + 32 * n_rows * self.n_trees

    def prepare(self, X: Rows, metric: Metric, n_candidates: int) -> Any:
        """Return the trees of all rows."""
        kind = "angular" if metric == "cosine" else "euclidean"
        index = load(self.module).AnnoyIndex(X.shape[1], kind)
        index.set_seed(1)
        for row, values in enumerate(X):
            index.add_item(row, values)
        index.build(self.n_trees, n_jobs=thread_count())
        return index

    def search(self, index: Any, X: Rows, part: slice, n_candidates: int) -> Ids:
        """Return candidates of some rows, one row after the other."""
        numbers = range(*part.indices(len(X)))
        found = np.full((len(numbers), n_candidates), -1)
        for i, row in enumerate(numbers):
            ids = index.get_nns_by_item(row, n_candidates, search_k=self.search_k or -1)
            found[i, : len(ids)] = ids
        return found
