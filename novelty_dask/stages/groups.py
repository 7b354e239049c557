"""Weighted blocks to groups of rows that are of one kind: those that pairs at least so similar connect.

A task finds the pairs of a block with those before it, and keeps how they connect rows, however many there
are.  Groups of at least two rows are those that `similar` finds at the same threshold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from novelty_dask.engines.threshold import Candidates, ThresholdEngine
from novelty_dask.kernels.components import connect, find_roots
from novelty_dask.progress import advance
from novelty_dask.stages.tasks import TaskResult, Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable

    import scipy.sparse as sp
    from numpy.typing import NDArray

LARGEST_THRESHOLD = 1 - 2.0**-20
"""Similarity that counts as 1: that of equal rows is rounded, and they have to be of one group."""


def link_block(workspace: Workspace, item: str) -> TaskResult:
    """Return how far before each row the first is that the pairs of a block connect it with."""
    block = int(item)
    engine = _make_engine(workspace)
    start, stop = workspace.plan.bounds(block)
    links = np.arange(stop)
    X = _read_weights(workspace, engine, block)
    candidates = Candidates(X, engine)
    for number in range(block + 1):
        first = workspace.plan.bounds(number)[0]
        rows = X if number == block else _read_weights(workspace, engine, number)
        for pairs in engine.find(rows, candidates, (first, start)):
            connect(links, pairs.rows, pairs.others)
        advance(number + 1, block + 1)
    find_roots(links)
    # As distances: those of rows without a link are 0, which take hardly any space and are passed over.
    return TaskResult({"links": np.arange(stop) - links}, engine.counts)


def group_rows(workspace: Workspace, _item: str) -> TaskResult:
    """Return the group of each row, named after its first row."""
    plan = workspace.plan
    ends = (plan.bounds(block)[1] for block in range(plan.n_blocks))
    links = (workspace.arrays.read("links", block, slice(stop)) for block, stop in enumerate(ends))
    return _join(workspace, links)


def regroup_rows(workspace: Workspace, _item: str) -> TaskResult:
    """Return what `group_rows` does, from the weights alone."""
    blocks = range(workspace.plan.n_blocks)
    return _join(workspace, (link_block(workspace, str(block)).arrays["links"] for block in blocks))


def _join(workspace: Workspace, links: Iterable[NDArray[np.int64]]) -> TaskResult:
    """Return the groups that the links of all blocks connect."""
    n_blocks = workspace.plan.n_blocks
    groups = np.arange(workspace.plan.n_rows)
    for number, before in enumerate(links):
        rows = np.flatnonzero(before)
        connect(groups, rows, rows - before[rows])
        advance(number + 1, n_blocks)
    find_roots(groups)
    sizes = np.bincount(groups)
    return TaskResult({"group": groups}, {"groups": int((sizes > 1).sum())})


def _make_engine(workspace: Workspace) -> ThresholdEngine:
    """Return what finds the pairs of a run that are similar enough."""
    least = workspace.settings.outside_groups
    assert least is not None
    return ThresholdEngine(workspace.arrays.read_breakpoints(), min(least, LARGEST_THRESHOLD))


def _read_weights(workspace: Workspace, engine: ThresholdEngine, block: int) -> sp.csr_matrix:
    """Return the weights of a block."""
    start, stop = workspace.plan.bounds(block)
    return workspace.arrays.read_csr("weights", block, (stop - start, engine.n_columns))
