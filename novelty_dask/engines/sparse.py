"""The exact engine for sparse rows of unit length: cosine similarity, by the kernels of `kernels.search`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from novelty_dask.kernels.search.block import Block, prepare
from novelty_dask.kernels.search.topk import NO_GROUPS, search, search_near

if TYPE_CHECKING:
    import numpy as np
    import scipy.sparse as sp
    from numpy.typing import NDArray

    from novelty_dask.kernels.neighbors import Neighbors
    from novelty_dask.kernels.search.topk import Groups


class SparseEngine:
    """Finder of the k most similar rows of each row, exactly.

    Parameters
    ----------
    breakpoints : ndarray of shape (levels,), int32
        Break-points between the columns of the corpus, which are in the order of `order_columns`; the last
        is their number.
    """

    def __init__(self, breakpoints: NDArray[np.int32]) -> None:
        self.breakpoints = breakpoints

    @property
    def n_columns(self) -> int:
        """Number of columns of the corpus."""
        return int(self.breakpoints[-1])

    def prepare(self, X: sp.csr_matrix, times: NDArray[np.int64] | None = None) -> Block:
        """Return a block with the bounds and inverted lists that comparing it needs.

        Rows with times have those as neighbors that have earlier ones.
        """
        return prepare(X, self.breakpoints, times=times)

    def search(
        self,
        rows: Block,
        candidates: Block,
        neighbors: Neighbors,
        *,
        row_start: int,
        candidate_start: int,
        groups: Groups = NO_GROUPS,
    ) -> dict[str, int]:
        """Update the neighbors of rows with candidates, in place; return the counts of the search."""
        counts = search(
            rows, candidates, neighbors, row_start=row_start, candidate_start=candidate_start, groups=groups
        )
        return counts._asdict()

    def search_near(
        self,
        rows: Block,
        candidates: sp.csr_matrix,
        neighbors: Neighbors,
        places: NDArray[np.int64],
        *,
        candidate_start: int,
        times: NDArray[np.int64] | None = None,
    ) -> dict[str, int]:
        """Update the neighbors of rows with the candidates beside which they belong, in place."""
        counts = search_near(
            rows, candidates, neighbors, places, candidate_start=candidate_start, times=times
        )
        return counts._asdict()
