"""Neighbors to views of rows: the share that no neighbor has, and the local outlier factor.

Neighbors lie in any block, though mostly in near ones.  So each task passes over the blocks that hold
neighbors of its rows, and holds one of them at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from novelty_dask.kernels.coverage import Columns, Coverage, cover, uncovered_shares
from novelty_dask.kernels.density import (
    SMALLEST_DISTANCE,
    gather,
    outlier_factors,
    reachability_densities,
)
from novelty_dask.progress import advance
from novelty_dask.stages.past import read_own_weights
from novelty_dask.stages.tasks import Candidates, TaskResult, Workspace
from novelty_dask.stages.vectors import distances_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


GATHERED_ROWS = 2**20
"""Rows whose values are read at once, 8 bytes each: a read of one block takes longer than what it reads."""


def cover_stretch(workspace: Workspace, item: str) -> TaskResult:
    """Return the share of each row of a stretch that none of its neighbors has."""
    return cover_blocks(workspace, workspace.plan.stretch(int(item)))


def cover_blocks(workspace: Workspace, blocks: Sequence[int]) -> TaskResult:
    """Return the share of each row of some blocks that none of its neighbors has."""
    candidates = workspace.open_candidates()
    held = {block: _start_coverage(workspace, block) for block in blocks}
    # Their own blocks first, as a row that is covered by near neighbors needs no others.
    others = np.concatenate([_holders(candidates, coverage.neighbors) for coverage in held.values()])
    own = () if workspace.plan.known_rows else blocks
    passing = dict.fromkeys([*own, *np.unique(others).tolist()])
    places = np.zeros(workspace.settings.n_features, np.int32)
    for number, candidate in enumerate(passing, start=1):
        columns = held[candidate].columns if candidate in own else _read_columns(candidates, candidate)
        for coverage in held.values():
            cover(coverage, columns, candidates.plan.bounds(candidate)[0], places)
        advance(number, len(passing))
    shares = [_sum_shares(workspace, block, coverage) for block, coverage in held.items()]
    return TaskResult({"uncovered": np.concatenate(shares)})


def density_block(workspace: Workspace, item: str) -> TaskResult:
    """Return the local reachability density of each row of a block."""
    block = int(item)
    ids = _read_possible(workspace, "neighbors/ids", block)
    densities = np.full(len(ids), np.nan)
    # Of rows that were joined nobody knows how far their own neighbors are.
    if ids.shape[1] and not workspace.is_joined:
        name, _ = workspace.run.manifest.shape.values
        near = distances_of(workspace, _read_possible(workspace, f"neighbors/{name}", block))
        # Similarities of lines are rounded to single precision, and vectors may be as small as they like.
        smallest = 0.0 if workspace.run.manifest.identity.matrix else SMALLEST_DISTANCE
        kth = _read_of_neighbors(workspace.open_candidates(), "novelty_kth", ids)
        reachability_densities(ids, near, kth, densities, smallest)
    return TaskResult({"density": _where_defined(workspace, block, densities)})


def lof_block(workspace: Workspace, item: str) -> TaskResult:
    """Return the local outlier factor of each row of a block."""
    block = int(item)
    ids = _read_possible(workspace, "neighbors/ids", block)
    factors = np.full(len(ids), np.nan)
    if ids.shape[1] and not workspace.is_joined:
        densities = workspace.read_rows("density", block)
        others = _read_of_neighbors(workspace.open_candidates(), "density", ids)
        outlier_factors(ids, others, densities, factors)
    return TaskResult({"lof": _where_defined(workspace, block, factors)})


def _start_coverage(workspace: Workspace, block: int) -> Coverage:
    """Return the columns and neighbors of a block; nothing is covered yet."""
    columns = _read_columns(Candidates(workspace.arrays, workspace.plan), block)
    return Coverage.start(columns, workspace.read_rows("neighbors/ids", block))


def _read_columns(rows: Candidates, block: int) -> Columns:
    """Return the columns of a block."""
    start, stop = rows.plan.bounds(block)
    indptr = rows.arrays.read("weights/indptr", block, slice(stop - start + 1))
    nnz = max(int(indptr[-1]), 0)
    indices = rows.arrays.read("weights/indices", block, slice(nnz))
    return Columns.checked(indptr, indices, rows.arrays.layout.shape.n_features)


def _sum_shares(workspace: Workspace, block: int, coverage: Coverage) -> NDArray[np.float64]:
    """Return the share of each row of a block that is not covered."""
    indptr = coverage.columns.indptr
    if workspace.plan.periods:
        data = read_own_weights(workspace, block)
    else:
        data = workspace.arrays.read("weights/data", block, slice(int(indptr[-1])))
    shares = np.full(indptr.size - 1, np.nan)
    # The only row of a corpus can't be compared: its views are undefined, not 1.
    if workspace.plan.possible_neighbors:
        uncovered_shares(indptr, data, coverage.is_covered, shares)
    return shares


def _read_possible(workspace: Workspace, name: str, block: int) -> NDArray[Any]:
    """Return an array of neighbors of a block, no more of each row than there are other rows."""
    neighbors = workspace.read_rows(name, block)[:, : workspace.plan.possible_neighbors]
    # In one layout, for which the kernels are compiled.
    return np.ascontiguousarray(neighbors)


def _read_of_neighbors(rows: Candidates, name: str, ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return a number of each neighbor; NaN for those that are missing."""
    values = np.full(ids.shape, np.nan)
    n_blocks = max(GATHERED_ROWS // rows.plan.block_rows, 1)
    parts = np.unique(_holders(rows, ids) // n_blocks)
    for number, part in enumerate(parts.tolist(), start=1):
        start, stop = (edge * n_blocks * rows.plan.block_rows for edge in (part, part + 1))
        gather(rows.arrays.read(name, slice(start, stop)), start, ids, values)
        advance(number, len(parts))
    return values


def _holders(rows: Candidates, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the blocks that hold some neighbors, ascending."""
    blocks = ids[(ids >= 0) & (ids < rows.plan.n_rows)] // rows.plan.block_rows
    return np.flatnonzero(np.bincount(blocks, minlength=1))


def _where_defined(workspace: Workspace, block: int, views: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return views with NaN where novelty is undefined."""
    return np.where(np.isnan(workspace.read_rows("novelty_kth", block)), np.nan, views)
