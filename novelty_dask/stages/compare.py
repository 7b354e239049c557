"""Weighted blocks to neighbors and novelty: compare tile by tile, then merge the strips."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from novelty_dask.engines.dense import DenseEngine
from novelty_dask.engines.sparse import SparseEngine
from novelty_dask.kernels.neighbors import Neighbors, merge, sort_neighbors
from novelty_dask.kernels.scores import novelty_scores
from novelty_dask.planning.tiles import Tile
from novelty_dask.progress import part
from novelty_dask.stages.compare_in_time import ComparisonInTime
from novelty_dask.stages.known import find_left
from novelty_dask.stages.tasks import Candidates, TaskResult, Workspace, keep_rows
from novelty_dask.stages.vectors import read_vectors, score_vectors, start_vectors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import scipy.sparse as sp
    from numpy.typing import NDArray

    from novelty_dask.storage.arrays import Arrays


def compare_tile(workspace: Workspace, item: str) -> TaskResult:
    """Return the best neighbors of the rows of a span among its tile's candidates."""
    tile = Tile.of_item(item)
    neighbors = {block: _start(workspace, tile, block) for block in workspace.plan.span(tile.span)}
    matrix = workspace.run.manifest.identity.matrix
    comparison: _Comparison | ComparisonInTime
    if matrix:
        comparison = _VectorComparison(workspace, tile, DenseEngine(matrix.metric), neighbors)
    else:
        make = ComparisonInTime if workspace.plan.periods else _Comparison
        comparison = make(workspace, tile, SparseEngine(workspace.arrays.read_breakpoints()), neighbors)
    comparison.run()
    parts = [sort_neighbors(found) for found in neighbors.values()]
    strip = Neighbors(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    metrics = {**comparison.counts, "kernel_seconds": comparison.kernel_seconds}
    return TaskResult(_neighbor_arrays("strips", strip), metrics)


def _start(workspace: Workspace, tile: Tile, block: int) -> Neighbors:
    """Return the neighbors to start from: those of the span's first tile, or none."""
    # The first tile of a span found neighbors nearby.  Most candidates of later tiles can't be better, and
    # are never summed up: to start from its strip costs a read and saves most of the work.
    if tile.group:
        return read_strip(workspace, 0, block)
    if workspace.run.manifest.identity.matrix:
        return start_vectors(workspace, block)
    start, stop = workspace.plan.bounds(block)
    return Neighbors.empty(stop - start, workspace.settings.n_neighbors)


def merge_block(workspace: Workspace, item: str) -> TaskResult:
    """Return the neighbors of a block, merged from its strips, and the novelty that follows from them."""
    block = int(item)
    strips = [read_strip(workspace, group, block) for group in range(workspace.plan.n_groups)]
    score = score_vectors if workspace.run.manifest.identity.matrix else score_block
    return score(workspace, block, strips)


def score_block(workspace: Workspace, block: int, strips: Sequence[Neighbors]) -> TaskResult:
    """Return the neighbors of a block, merged from given strips, and the novelty that follows from them."""
    start, stop = workspace.plan.bounds(block)
    neighbors = merge(strips)
    # A row without columns can't be compared with any: its novelty is undefined, not 1.
    nonzeros = np.diff(workspace.arrays.read("weights/indptr", block, slice(stop - start + 1)))
    novelty = novelty_scores(neighbors.similarities, workspace.plan.possible_neighbors, nonzeros > 0)
    views = {"novelty": novelty.mean, "novelty_nearest": novelty.nearest, "novelty_kth": novelty.kth}
    return TaskResult({**_neighbor_arrays("neighbors", neighbors), **views})


class _Comparison:
    """The comparison of a span with its tile's candidates."""

    # Memory is that of the span's blocks, which are prepared once, and of one other block at a time.

    def __init__(
        self, workspace: Workspace, tile: Tile, engine: Any, neighbors: Mapping[int, Neighbors]
    ) -> None:
        self.workspace, self.plan, self.tile, self.engine = workspace, workspace.plan, tile, engine
        self.candidates = workspace.open_candidates()
        own = Candidates(workspace.arrays, self.plan)
        self.span = {block: self._prepare(own, block) for block in self.plan.span(tile.span)}
        self.neighbors = neighbors
        self.groups = {block: self._read_groups(block) for block in self.span}
        self.counts: Counter[str] = Counter()
        self.kernel_seconds = 0.0
        # Pairs of blocks that have met, and all: each pair is about as much work as any other.
        self.n_met, self.n_pairs = 0, len(self.span) * len(self.plan.candidates(tile))

    def _prepare(self, rows: Candidates, block: int) -> Any:
        """Return a stored block, ready to be compared."""
        return self.engine.prepare(self._read(rows, block))

    def _read(self, rows: Candidates, block: int) -> sp.csr_matrix:
        """Return a stored block."""
        start, stop = rows.plan.bounds(block)
        X = rows.arrays.read_csr("weights", block, (stop - start, self.engine.n_columns))
        is_left = None if rows is not self.candidates else find_left(self.workspace, rows, block)
        # Emptied and not removed: the other rows keep their numbers, and ids need no translation.
        return X if is_left is None else keep_rows(X, is_left)

    def _choose(self, block: int, groups: NDArray[np.int64]) -> dict[str, Any]:
        """Return what the search takes besides, for a block and the groups of its candidates."""
        return {"groups": (self.groups[block], groups)}

    def _read_groups(self, block: int) -> NDArray[np.int64]:
        """Return the groups of the rows of a block, whose neighbors are outside; empty without any."""
        is_grouped = self.workspace.settings.outside_groups is not None
        return self.workspace.read_rows("group", block) if is_grouped else np.zeros(0, np.int64)

    def run(self) -> None:
        """Compare the span with itself, or with where it would stand, then with the other candidates."""
        candidates = self.plan.candidates(self.tile)
        # A row's best neighbors are mostly beside it. They raise its threshold before anything else is
        # searched, so that most other candidates are ruled out by their bounds.
        if self.plan.known_rows:
            if self.tile.group == 0:
                self._start_near()
        else:
            for block in filter(candidates.__contains__, self.span):
                self._meet(block, [block])
        for candidate in candidates:
            others = [block for block in self.span if self.plan.known_rows or block != candidate]
            self._meet(candidate, others)

    def _start_near(self) -> None:
        """Compare each row of the span with the candidates beside which it would stand in their order."""
        reach = self.workspace.settings.n_neighbors
        places = {block: self.workspace.read_rows("rows/place", block) for block in self.span}
        for candidate in range(self.candidates.plan.n_blocks):
            start, stop = self.candidates.plan.bounds(candidate)
            beside = [block for block in self.span if _overlaps(places[block], start - reach, stop + reach)]
            passing = self._read(self.candidates, candidate) if beside else None
            for block in beside:
                neighbors = self.neighbors[block]
                counts = self.engine.search_near(
                    self.span[block], passing, neighbors, places[block], candidate_start=start
                )
                self.counts.update(counts)

    def _meet(self, candidate: int, blocks: Iterable[int]) -> None:
        """Search a candidate block for neighbors of the rows of some blocks."""
        # Prepared once for all blocks of the span, and let go before the next one is read.
        passing = None if self.plan.known_rows else self.span.get(candidate)
        passing = passing or self._prepare(self.candidates, candidate)
        groups = self._read_groups(candidate)
        for block in blocks:
            # CPU time of this thread: on a shared machine the wall clock would measure the neighbors.
            began = time.thread_time()
            with part(self.n_met, self.n_pairs):
                counts = self.engine.search(
                    self.span[block],
                    passing,
                    self.neighbors[block],
                    # Rows that are no candidates themselves have ids behind all of these.
                    row_start=self.plan.known_rows + self.plan.bounds(block)[0],
                    candidate_start=self.candidates.plan.bounds(candidate)[0],
                    **self._choose(block, groups),
                )
            self.n_met += 1
            self.counts.update(counts)
            self.kernel_seconds += time.thread_time() - began


class _VectorComparison(_Comparison):
    """The same of vectors."""

    def _prepare(self, _rows: Candidates, block: int) -> Any:
        """Return the vectors of a block, ready to be compared."""
        return self.engine.prepare(read_vectors(self.workspace, block))

    def _choose(self, _block: int, _groups: NDArray[np.int64]) -> dict[str, Any]:
        """Return nothing, as vectors have no groups."""
        return {}


def _overlaps(places: NDArray[np.int64], start: int, stop: int) -> bool:
    """Return whether some ascending places reach into a range."""
    return bool(places[0] < stop and places[-1] > start)


def read_strip(workspace: Workspace, group: int, block: int) -> Neighbors:
    """Return the neighbors of a block among the candidates of a group."""
    rows = slice(*workspace.plan.bounds(block))
    ids = workspace.arrays.read("strips/ids", group, rows)
    return Neighbors(ids, workspace.arrays.read("strips/similarities", group, rows))


def _neighbor_arrays(name: str, neighbors: Neighbors) -> Arrays:
    """Return the arrays of neighbors."""
    return {f"{name}/ids": neighbors.ids, f"{name}/similarities": neighbors.similarities}
