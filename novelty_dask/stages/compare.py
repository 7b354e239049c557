"""Weighted blocks to neighbors and novelty: compare tile by tile, then merge the strips."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from novelty_dask.engines.sparse import SparseEngine
from novelty_dask.kernels.neighbors import Neighbors, merge, sort_neighbors
from novelty_dask.kernels.scores import novelty_scores
from novelty_dask.planning.tiles import Tile
from novelty_dask.progress import part
from novelty_dask.stages.tasks import TaskResult, Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from novelty_dask.kernels.search.block import Block
    from novelty_dask.storage.arrays import Arrays


def compare_tile(workspace: Workspace, item: str) -> TaskResult:
    """Return the best neighbors of the rows of a span among its tile's candidates."""
    comparison = _Comparison(workspace, Tile.of_item(item))
    comparison.run()
    parts = [sort_neighbors(neighbors) for neighbors in comparison.neighbors.values()]
    neighbors = Neighbors(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    metrics = {**comparison.counts, "kernel_seconds": comparison.kernel_seconds}
    return TaskResult(_neighbor_arrays("strips", neighbors), metrics)


def merge_block(workspace: Workspace, item: str) -> TaskResult:
    """Return the neighbors of a block, merged from its strips, and the novelty that follows from them."""
    block = int(item)
    strips = [read_strip(workspace, group, block) for group in range(workspace.plan.n_groups)]
    return score_block(workspace, block, strips)


def score_block(workspace: Workspace, block: int, strips: Sequence[Neighbors]) -> TaskResult:
    """Return the neighbors of a block, merged from given strips, and the novelty that follows from them."""
    start, stop = workspace.plan.bounds(block)
    neighbors = merge(strips)
    # A row without columns can't be compared with any: its novelty is undefined, not 1.
    nonzeros = np.diff(workspace.arrays.read("weights/indptr", block, slice(stop - start + 1)))
    novelty = novelty_scores(neighbors.similarities, workspace.plan.n_rows, nonzeros > 0)
    views = {"novelty": novelty.mean, "novelty_nearest": novelty.nearest, "novelty_kth": novelty.kth}
    return TaskResult({**_neighbor_arrays("neighbors", neighbors), **views})


class _Comparison:
    """The comparison of a span with its tile's candidates."""

    # Memory is that of the span's blocks, which are prepared once, and of one other block at a time.

    def __init__(self, workspace: Workspace, tile: Tile) -> None:
        self.workspace, self.plan, self.tile = workspace, workspace.plan, tile
        self.engine = SparseEngine(_read_breakpoints(workspace))
        self.span = {block: self._prepare(block) for block in self.plan.span(tile.span)}
        self.neighbors = {block: self._start(block) for block in self.span}
        self.counts: Counter[str] = Counter()
        self.kernel_seconds = 0.0
        # Pairs of blocks that have met, and all: each pair is about as much work as any other.
        self.n_met, self.n_pairs = 0, len(self.span) * len(self.plan.candidates(tile))

    def _prepare(self, block: int) -> Block:
        """Return a stored block, ready to be compared."""
        start, stop = self.plan.bounds(block)
        X = self.workspace.arrays.read_csr("weights", block, (stop - start, self.engine.n_columns))
        return self.engine.prepare(X)

    def _start(self, block: int) -> Neighbors:
        """Return the neighbors to start from: those of the span's first tile, or none."""
        # The first tile of a span found neighbors nearby.  Most candidates of later tiles can't be better,
        # and are never summed up: to start from its strip costs a read and saves most of the work.
        if self.tile.group:
            return read_strip(self.workspace, 0, block)
        start, stop = self.plan.bounds(block)
        return Neighbors.empty(stop - start, self.workspace.settings.n_neighbors)

    def run(self) -> None:
        """Compare the span with itself, then with the other candidates."""
        candidates = self.plan.candidates(self.tile)
        # A row's best neighbors are mostly in its own block. They raise its threshold before anything else is
        # searched, so that most other candidates are ruled out by their bounds.
        for block in filter(candidates.__contains__, self.span):
            self._meet(block, [block])
        for candidate in candidates:
            self._meet(candidate, [block for block in self.span if block != candidate])

    def _meet(self, candidate: int, blocks: Iterable[int]) -> None:
        """Search a candidate block for neighbors of the rows of some blocks."""
        # Prepared once for all blocks of the span, and let go before the next one is read.
        passing = self.span.get(candidate) or self._prepare(candidate)
        for block in blocks:
            # CPU time of this thread: on a shared machine the wall clock would measure the neighbors.
            began = time.thread_time()
            with part(self.n_met, self.n_pairs):
                counts = self.engine.search(
                    self.span[block],
                    passing,
                    self.neighbors[block],
                    row_start=self.plan.bounds(block)[0],
                    candidate_start=self.plan.bounds(candidate)[0],
                )
            self.n_met += 1
            self.counts.update(counts)
            self.kernel_seconds += time.thread_time() - began


def _read_breakpoints(workspace: Workspace) -> NDArray[np.int32]:
    """Return the break-points between columns; the array has room for more."""
    breakpoints = workspace.arrays.read("columns/breakpoints")
    # The array has room for more break-points than most corpora have; the rest is -1.
    return breakpoints[breakpoints >= 0]


def read_strip(workspace: Workspace, group: int, block: int) -> Neighbors:
    """Return the neighbors of a block among the candidates of a group."""
    rows = slice(*workspace.plan.bounds(block))
    ids = workspace.arrays.read("strips/ids", group, rows)
    return Neighbors(ids, workspace.arrays.read("strips/similarities", group, rows))


def _neighbor_arrays(name: str, neighbors: Neighbors) -> Arrays:
    """Return the arrays of neighbors."""
    return {f"{name}/ids": neighbors.ids, f"{name}/similarities": neighbors.similarities}
