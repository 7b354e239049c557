"""Weighted blocks to neighbors and novelty: compare tile by tile, then merge the strips."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from novelty_dask.kernels.novelty import novelty_scores
from novelty_dask.kernels.topk import Block, Neighbors, Work, merge, prepare, search, sort_neighbors
from novelty_dask.planning.tiles import Tile, TilePlan
from novelty_dask.storage.blocks import array, read_csr
from novelty_dask.storage.runs import open_group, read_manifest

if TYPE_CHECKING:
    import zarr


def compare(run: str, tile: Tile) -> dict[str, float]:
    """Store the best neighbors of the rows of a span among its tile's candidates.

    The blocks of the span are held, and meet themselves first; of the others one at a time
    is.  Tiles after a span's first start from what that one found, so that most of their
    candidates can't do better and are never summed up.

    Returns
    -------
    dict
        What it took: counts, and CPU seconds inside the kernel.
    """
    comparison = _Comparison(run, tile)
    candidates = comparison.plan.candidates(tile)
    for block in filter(candidates.__contains__, comparison.span):
        comparison.meet(block, [block])
    for candidate in candidates:
        comparison.meet(candidate, [block for block in comparison.span if block != candidate])
    comparison.store()
    return {**comparison.work._asdict(), "kernel_seconds": comparison.kernel_seconds}


class _Comparison:
    """The blocks that a tile holds, and what it has found for their rows."""

    def __init__(self, run: str, tile: Tile) -> None:
        self.group = open_group(run, "r+")
        self.plan = TilePlan(**read_manifest(self.group).plan)
        self.tile = tile
        self.span = {block: _block(self.group, self.plan, block) for block in self.plan.span(tile.span)}
        self.found = {block: self._start(block) for block in self.span}
        self.work = Work()
        self.kernel_seconds = 0.0

    def _start(self, block: int) -> Neighbors:
        """The neighbors to start from: those of the span's first tile, or none."""
        if self.tile.group:
            return _strip(self.group, self.plan, 0, block)
        start, stop = self.plan.bounds(block)
        return Neighbors.empty(stop - start, array(self.group, "strips/ids").shape[-1])

    def meet(self, candidate: int, blocks: Iterable[int]) -> None:
        """Search a candidate block for neighbors of the rows of some blocks."""
        passing = self.span.get(candidate) or _block(self.group, self.plan, candidate)
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

    def store(self) -> None:
        """Store what was found as the tile's strip."""
        for block, neighbors in self.found.items():
            where = (self.tile.group, slice(*self.plan.bounds(block)))
            _store(self.group, "strips", where, sort_neighbors(neighbors))


def merge_block(run: str, block: int) -> dict[str, float]:
    """Merge the strips of a row block into its neighbors, and store them with its novelty."""
    group = open_group(run, "r+")
    manifest = read_manifest(group)
    plan = TilePlan(**manifest.plan)
    start, stop = plan.bounds(block)
    neighbors = merge([_strip(group, plan, number, block) for number in range(plan.n_groups)])
    _store(group, "neighbors", (slice(start, stop),), neighbors)
    nonzeros = np.diff(np.asarray(array(group, "weights/indptr")[block, : stop - start + 1]))
    array(group, "novelty")[start:stop] = novelty_scores(
        neighbors.similarities, plan.n_rows, nonzeros > 0, manifest.settings["score"]
    )
    return {}


def _block(group: "zarr.Group", plan: TilePlan, block: int) -> Block:
    """A stored block, prepared for comparing."""
    start, stop = plan.bounds(block)
    cuts = np.asarray(array(group, "columns/cuts")[:])
    cuts = cuts[cuts >= 0]
    return prepare(read_csr(group, "weights", block, (stop - start, int(cuts[-1]))), cuts)


def _strip(group: "zarr.Group", plan: TilePlan, number: int, block: int) -> Neighbors:
    """The strip that a tile left for one of its row blocks."""
    rows = slice(*plan.bounds(block))
    ids = np.asarray(array(group, "strips/ids")[number, rows])
    return Neighbors(ids, np.asarray(array(group, "strips/similarities")[number, rows]))


def _store(group: "zarr.Group", name: str, where: tuple[int | slice, ...], neighbors: Neighbors) -> None:
    """Store neighbors of a row block."""
    array(group, f"{name}/ids")[where] = neighbors.ids
    array(group, f"{name}/similarities")[where] = neighbors.similarities
