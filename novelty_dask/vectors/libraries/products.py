"""Products with all rows, and the largest of them: torch, sparse_dot_topn and sp_matmul_rs."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from novelty_dask.engines.dense import MOST_PAIRS, row_parts
from novelty_dask.engines.products import row_numbers
from novelty_dask.vectors.libraries.proposing import Ids, LibraryEngine, Metric, Rows, load, thread_count


@dataclass(frozen=True)
class Torch(LibraryEngine):
    """Comparison with all rows, as many write it: products of some rows with all, and `topk`."""

    module = "torch"

    def index_bytes(self, n_rows: int, n_values: int) -> int:
        """Return the bytes of the products that are held at once."""
        return 24 * max(MOST_PAIRS, n_rows)

    def prepare(self, X: Rows, metric: Metric, n_candidates: int) -> Any:
        """Return all rows, and what of each is subtracted from its products."""
        rows = load(self.module).from_numpy(X)
        # The squared distance from a row is its square and minus twice this.
        return rows, (rows * rows).sum(dim=1) / 2 if metric == "euclidean" else 0

    def search(self, index: Any, X: Rows, part: slice, n_candidates: int) -> Ids:
        """Return candidates of some rows."""
        rows, subtracted = index
        own, topk = rows[part], load(self.module).topk
        found = np.empty((len(own), n_candidates), np.int64)
        for some in row_parts(len(own), len(X)):
            found[some] = topk(own[some] @ rows.T - subtracted, n_candidates).indices.numpy()
        return found


@dataclass(frozen=True)
class SparseDotTopn(LibraryEngine):
    """Product with the transposed rows; each row keeps its largest values."""

    module = "sparse_dot_topn"
    metrics = ("cosine", "inner_product")
    takes_sparse = True

    def index_bytes(self, n_rows: int, n_values: int) -> int:
        """Return the bytes of the transposed rows, and of the sums of a row."""
        return 24 * n_values + 64 * n_rows

    def prepare(self, X: Rows, metric: Metric, n_candidates: int) -> Any:
        """Return the transposed rows."""
        return X.T.tocsr()

    def search(self, index: Any, X: Rows, part: slice, n_candidates: int) -> Ids:
        """Return candidates of some rows, which share a column with them."""
        multiply = load(self.module).sp_matmul_topn
        products = multiply(X[part], index, top_n=n_candidates, sort=True, n_threads=thread_count())
        found = np.full((products.shape[0], n_candidates), -1)
        rows = row_numbers(products)
        found[rows, np.arange(len(rows)) - products.indptr[rows]] = products.indices
        return found


@dataclass(frozen=True)
class SpMatmulRs(SparseDotTopn):
    """The same in Rust, tile by tile."""

    module = "sp_matmul_rs"
