"""Weighted blocks to neighbors and novelty: compare tile by tile, then merge the strips."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from novelty_dask.execution.executors import Figures
from novelty_dask.kernels.scores import novelty_scores
from novelty_dask.kernels.search.topk import Block, Neighbors, Work, merge, prepare, search, sort_neighbors
from novelty_dask.planning.tiles import Tile
from novelty_dask.stages.tasks import Workspace
from novelty_dask.storage.arrays import array, read_csr

if TYPE_CHECKING:
    import zarr


def compare(workspace: Workspace, tile: Tile) -> Figures:
    """Store the best neighbors of the rows of a span among its tile's candidates.

    The blocks of the span are held, and meet themselves first; of the others one at a time
    is.  Tiles after a span's first start from what that one found, so that most of their
    candidates can't do better and are never summed up.

    Returns
    -------
    dict
        What it took: counts, and CPU seconds inside the kernel.
    """
    comparison = _Comparison(workspace, tile, start_from_first=True)
    comparison.run()
    for block, neighbors in comparison.found.items():
        where = (tile.group, slice(*workspace.plan.bounds(block)))
        _store(workspace.group, "strips", where, sort_neighbors(neighbors))
    return {**comparison.work._asdict(), "kernel_seconds": comparison.kernel_seconds}


def search_tile(workspace: Workspace, tile: Tile) -> dict[int, Neighbors]:
    """The best neighbors, for the rows of each block of a span, among its tile's candidates alone."""
    comparison = _Comparison(workspace, tile, start_from_first=False)
    comparison.run()
    return {block: sort_neighbors(neighbors) for block, neighbors in comparison.found.items()}


class _Comparison:
    """The blocks that a tile holds, and what it has found for their rows."""

    def __init__(self, workspace: Workspace, tile: Tile, *, start_from_first: bool) -> None:
        self.workspace = workspace
        self.plan = workspace.plan
        self.tile = tile
        self.cuts = _cuts(workspace.group)
        self.span = {block: self._block(block) for block in self.plan.span(tile.span)}
        self.from_first = start_from_first and tile.group > 0
        self.found = {block: self._start(block) for block in self.span}
        self.work = Work()
        self.kernel_seconds = 0.0

    def _block(self, block: int) -> Block:
        """A stored block, prepared for comparing."""
        start, stop = self.plan.bounds(block)
        shape = (stop - start, int(self.cuts[-1]))
        return prepare(read_csr(self.workspace.group, "weights", block, shape), self.cuts)

    def _start(self, block: int) -> Neighbors:
        """The neighbors to start from: those of the span's first tile, or none."""
        if self.from_first:
            return _strip(self.workspace, 0, block)
        start, stop = self.plan.bounds(block)
        return Neighbors.empty(stop - start, self.workspace.settings["n_neighbors"])

    def run(self) -> None:
        """Compare the span with itself, then with the other candidates."""
        candidates = self.plan.candidates(self.tile)
        for block in filter(candidates.__contains__, self.span):
            self.meet(block, [block])
        for candidate in candidates:
            self.meet(candidate, [block for block in self.span if block != candidate])

    def meet(self, candidate: int, blocks: Iterable[int]) -> None:
        """Search a candidate block for neighbors of the rows of some blocks."""
        passing = self.span.get(candidate) or self._block(candidate)
        for block in blocks:
            row_start, candidate_start = self.plan.bounds(block)[0], self.plan.bounds(candidate)[0]
            began = time.thread_time()
            self.work += search(
                self.span[block],
                passing,
                self.found[block],
                row_start=row_start,
                candidate_start=candidate_start,
            )
            self.kernel_seconds += time.thread_time() - began


def merge_block(workspace: Workspace, block: int) -> Figures:
    """Merge the strips of a row block into its neighbors, and store them with its novelty."""
    group, plan = workspace.group, workspace.plan
    start, stop = plan.bounds(block)
    neighbors = merge([_strip(workspace, number, block) for number in range(plan.n_groups)])
    _store(group, "neighbors", (slice(start, stop),), neighbors)
    nonzeros = np.diff(np.asarray(array(group, "weights/indptr")[block, : stop - start + 1]))
    array(group, "novelty")[start:stop] = novelty_scores(
        neighbors.similarities, plan.n_rows, nonzeros > 0, workspace.settings["score"]
    )
    return {}


def _cuts(group: "zarr.Group") -> "np.typing.NDArray[np.int32]":
    """The break-points between columns."""
    cuts = np.asarray(array(group, "columns/cuts")[:])
    return cuts[cuts >= 0]


def _strip(workspace: Workspace, number: int, block: int) -> Neighbors:
    """The strip that a tile left for one of its row blocks."""
    rows = slice(*workspace.plan.bounds(block))
    ids = np.asarray(array(workspace.group, "strips/ids")[number, rows])
    return Neighbors(ids, np.asarray(array(workspace.group, "strips/similarities")[number, rows]))


def _store(group: "zarr.Group", name: str, where: tuple[int | slice, ...], neighbors: Neighbors) -> None:
    """Store neighbors of a row block."""
    array(group, f"{name}/ids")[where] = neighbors.ids
    array(group, f"{name}/similarities")[where] = neighbors.similarities
