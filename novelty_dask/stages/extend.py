"""The neighbors of the rows of a run and of new ones beside it, without comparing again what was compared.

The rows of the run have their neighbors among themselves, and the new rows theirs among those of the run.
What is left is to compare all of them with the new rows alone.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from novelty_dask.engines.sparse import SparseEngine
from novelty_dask.kernels.neighbors import Neighbors
from novelty_dask.progress import advance
from novelty_dask.stages.compare import score_block
from novelty_dask.stages.merged import MergedRows
from novelty_dask.stages.tasks import TaskResult, Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from novelty_dask.kernels.search.block import Block

FAR, OUTSIDE = 2**50, 2**60
"""Added to the numbers of known neighbors, and to those of rows that are no candidates."""


class _Side(NamedTuple):
    """Rows of a block that are searched together, all of the run that grows or all fresh."""

    rows: Block
    neighbors: Neighbors
    start: int


def extend_block(workspace: Workspace, item: str) -> TaskResult:
    """Return the neighbors of a block among all rows, and the novelty that follows from them."""
    merged, (start, stop) = MergedRows(workspace.run), workspace.plan.bounds(int(item))
    engine = SparseEngine(workspace.arrays.read_breakpoints())
    known = _read_known(merged, start, stop)
    # Candidates are numbered among the fresh rows, without gaps, as the search numbers them.  Of a known and
    # of a new neighbor that are equally similar it keeps the new one, so that all that may be kept in the end
    # are there: merging decides by the numbers of the run that is made.
    found = Neighbors(np.where(known.ids < 0, -1, known.ids + FAR), known.similarities.copy())
    # A fresh row must not meet itself, and a row of the base can't: so each side has its own numbers.
    sides = _split(workspace, merged, int(item), engine, found)
    counts: Counter[str] = Counter()
    for first, candidates in _read_candidates(workspace, merged, engine):
        for side in sides:
            counts.update(
                engine.search(
                    side.rows, candidates, side.neighbors, row_start=side.start, candidate_start=first
                )
            )
        advance(first + candidates.n_rows, merged.fresh.size)
    for side, are_rows in zip(sides, _masks(merged, start, stop), strict=True):
        found.ids[are_rows], found.similarities[are_rows] = side.neighbors
    result = score_block(workspace, int(item), [known, _renumber(merged, found)])
    return TaskResult(result.arrays, counts)


def _masks(merged: MergedRows, start: int, stop: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which of consecutive rows are of the base, and which are fresh."""
    is_fresh = merged.are_fresh(start, stop)
    return ~is_fresh, is_fresh


def _read_known(merged: MergedRows, start: int, stop: int) -> Neighbors:
    """Return the neighbors that consecutive rows have among those of the base."""
    old, fresh = merged.cut(start, stop)
    is_old, is_fresh = _masks(merged, start, stop)
    parts = []
    for name in ("neighbors/ids", "neighbors/similarities"):
        of_base, of_fresh = merged.base.arrays.read(name, old), merged.read_fresh(name, fresh)
        part = np.empty((stop - start, of_base.shape[1]), of_base.dtype)
        part[is_old], part[is_fresh] = of_base, of_fresh
        parts.append(part)
    ids, similarities = parts
    return Neighbors(merged.number(ids), similarities)


def _split(
    workspace: Workspace, merged: MergedRows, block: int, engine: SparseEngine, found: Neighbors
) -> tuple[_Side, _Side]:
    """Return the rows of a block that are of the base, and those that are fresh."""
    start, stop = workspace.plan.bounds(block)
    X = workspace.arrays.read_csr("weights", block, (stop - start, engine.n_columns))
    _, fresh = merged.cut(start, stop)
    of_base, of_fresh = (
        _Side(
            engine.prepare(X[are_rows]),
            Neighbors(found.ids[are_rows], found.similarities[are_rows]),
            first,
        )
        for are_rows, first in zip(_masks(merged, start, stop), (OUTSIDE, fresh.start), strict=True)
    )
    return of_base, of_fresh


def _read_candidates(
    workspace: Workspace, merged: MergedRows, engine: SparseEngine
) -> Iterator[tuple[int, Block]]:
    """Yield the fresh rows of each block of the new ones, ready to be compared, with the first number."""
    ranks, there = workspace.arrays.read("columns/rank"), merged.added.arrays.read("columns/rank")
    # Both have their columns in the same order, but only this run numbers all of them.
    columns = np.zeros(int(there.max(initial=-1)) + 1, np.int32)
    columns[there[there >= 0]] = ranks[there >= 0]
    for block in range(merged.added.plan.n_blocks):
        start, stop = merged.added.plan.bounds(block)
        first, last = np.searchsorted(merged.fresh, (start, stop)).tolist()
        if first < last:
            X = merged.added.arrays.read_csr("weights", block, (stop - start, columns.size))
            X = X[merged.fresh[first:last] - start]
            X = type(X)((X.data, columns[X.indices], X.indptr), shape=(last - first, engine.n_columns))
            yield first, engine.prepare(X)


def _renumber(merged: MergedRows, found: Neighbors) -> Neighbors:
    """Return neighbors with the numbers that they have in the run that is made."""
    is_fresh = (found.ids >= 0) & (found.ids < FAR)
    ids = np.where(found.ids < 0, -1, found.ids - FAR)
    ids[is_fresh] = merged.ids[found.ids[is_fresh]]
    return Neighbors(ids, found.similarities)
