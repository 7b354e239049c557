"""The comparison of a span with a tile's candidates in time: each row with those that were seen before it."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from novelty_dask.progress import part
from novelty_dask.stages.past import read_own, read_past

if TYPE_CHECKING:
    from collections.abc import Mapping

    import scipy.sparse as sp
    from numpy.typing import NDArray

    from novelty_dask.engines.sparse import SparseEngine
    from novelty_dask.kernels.neighbors import Neighbors
    from novelty_dask.kernels.search.block import Block
    from novelty_dask.planning.tiles import Tile
    from novelty_dask.stages.tasks import Workspace


class ComparisonInTime:
    """The comparison of a span with its tile's candidates, period by period.

    Parameters
    ----------
    workspace : Workspace
    tile : Tile
    engine : SparseEngine
    neighbors : mapping of int to Neighbors
        Of the rows of each block of the span, updated in place.

    Attributes
    ----------
    counts : Counter
        What the engine did, by name.
    kernel_seconds : float
        CPU time of the searches.
    """

    # Rows that are in no question are empty in the blocks of a period, so that all others have the numbers
    # that they have in the run, and stand beside those that are most like them.

    def __init__(
        self, workspace: Workspace, tile: Tile, engine: SparseEngine, neighbors: Mapping[int, Neighbors]
    ) -> None:
        self.workspace, self.tile, self.engine, self.neighbors = workspace, tile, engine, neighbors
        self.counts: Counter[str] = Counter()
        self.kernel_seconds = 0.0

    def run(self) -> None:
        """Compare the rows of each period with all that were seen before them."""
        n_periods = len(self.workspace.plan.periods)
        for period in range(n_periods):
            with part(period, n_periods):
                self._run_period(period)

    def _run_period(self, period: int) -> None:
        """Compare the rows of a period."""
        span = {block: self._prepare_own(period, block) for block in self.neighbors}
        rows = {block: own for block, own in span.items() if own.rows.indices.size}
        # Most periods have rows in few spans, and read nothing for the others.
        candidates = self.workspace.plan.candidates(self.tile) if rows else ()
        for candidate in candidates:
            past = read_past(self.workspace, period, candidate)
            times = self.workspace.read_rows("rows/first_seen", candidate)
            # Later tiles start from the strip of the first, which has what is found here.
            if candidate in rows and self.tile.group == 0:
                self._start_near(candidate, rows[candidate], past, times)
            passing = self.engine.prepare(past, times)
            for block, own in rows.items():
                began = time.thread_time()
                counts = self.engine.search(
                    own,
                    passing,
                    self.neighbors[block],
                    row_start=self.workspace.plan.bounds(block)[0],
                    candidate_start=self.workspace.plan.bounds(candidate)[0],
                )
                self.counts.update(counts)
                self.kernel_seconds += time.thread_time() - began

    def _prepare_own(self, period: int, block: int) -> Block:
        """Return the rows of a block that are in a period."""
        return self.engine.prepare(
            read_own(self.workspace, period, block), self.workspace.read_rows("rows/first_seen", block)
        )

    def _start_near(self, block: int, rows: Block, passing: sp.csr_matrix, times: NDArray[np.int64]) -> None:
        """Compare rows with those beside them in their order, which raises their thresholds."""
        start, stop = self.workspace.plan.bounds(block)
        counts = self.engine.search_near(
            rows,
            passing,
            self.neighbors[block],
            np.arange(start, stop),
            candidate_start=start,
            times=times,
        )
        self.counts.update(counts)
