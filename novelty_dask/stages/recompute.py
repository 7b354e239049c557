"""Arrays of a run computed again from its URLs, and compared with what is stored.

Every array is compared with what its task makes of the arrays before it.  So an array that was altered is
found wherever it is looked at, also if its commit agrees with it.  Rows that differ from those of the sources
can't be found without the sources.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from novelty_dask.errors import DamageError
from novelty_dask.execution.advances import reported
from novelty_dask.kernels.neighbors import Neighbors
from novelty_dask.planning.arrays import WHOLE
from novelty_dask.planning.stages import (
    CALIBRATE,
    CITE,
    COLUMNS,
    COVER,
    DATE,
    DENSITY,
    GROUP,
    LOCATE,
    LOF,
    MERGE,
    TALLY,
    VECTORIZE,
    WEIGH,
    Stage,
    TaskId,
    find_stage,
)
from novelty_dask.planning.tiles import Tile
from novelty_dask.stages.compare import compare_tile, score_block
from novelty_dask.stages.groups import regroup_rows
from novelty_dask.stages.known import calibrate_block, cite_block, locate_block
from novelty_dask.stages.past import date_periods, tally_period
from novelty_dask.stages.tasks import TaskFunction, TaskResult, Workspace, open_workspace
from novelty_dask.stages.vectorize import recount_block, sum_frequencies, weigh_block
from novelty_dask.stages.vectors import score_vectors
from novelty_dask.stages.views import cover_stretch, density_block, lof_block

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from novelty_dask.storage.arrays import Arrays
    from novelty_dask.storage.runs import StoredRun

UNUSABLE = (ValueError, MemoryError)
"""Errors that altered weights raise where they form no valid matrix."""


def choose_blocks(blocks: Sequence[int], n_blocks: int, seed: int | None) -> list[int]:
    """Return a random choice of blocks, the same for the same seed."""
    return [int(block) for block in np.random.default_rng(seed).permutation(blocks)[:n_blocks]]


def recompute(run: StoredRun, blocks: Iterable[int]) -> Iterator[DamageError]:
    """Compute the columns again, and blocks if these do not differ; yield the arrays that differ."""
    if run.manifest.identity.matrix:
        for block in blocks:
            with reported(run.url, "recompute", str(block)):
                yield from _recompute_vectors(run, block)
        return
    # Columns first: all weights depend on them, and every block would differ for the same reason.
    with reported(run.url, "recompute", "columns"):
        differing = [*recompute_columns(run)]
    yield from differing
    if not differing and run.manifest.settings.outside_groups is not None:
        with reported(run.url, "recompute", "groups"):
            workspace = open_workspace(run, run.arrays())
            yield from _differing_view(workspace, GROUP.task(WHOLE), regroup_rows)
    for block in [] if differing else blocks:
        with reported(run.url, "recompute", str(block)):
            yield from recompute_block(run, block)


def recompute_columns(run: StoredRun) -> Iterator[DamageError]:
    """Compute weight and order of the columns again; yield the arrays that differ.

    Parameters
    ----------
    run : StoredRun
        Complete, or complete but for tasks that were given up.
    """
    workspace = open_workspace(run, run.arrays())
    yield from _differing(workspace, COLUMNS, WHOLE, sum_frequencies(workspace, WHOLE).arrays)
    if workspace.plan.periods:
        yield from _differing(workspace, DATE, WHOLE, date_periods(workspace, WHOLE).arrays)
    for period in map(str, range(len(workspace.plan.periods))):
        yield from _differing(workspace, TALLY, period, tally_period(workspace, period).arrays)


def recompute_block(run: StoredRun, block: int) -> Iterator[DamageError]:
    """Compute all of a block again but its rows, compared with those of all blocks; yield arrays that differ.

    Parameters
    ----------
    run : StoredRun
        As for `recompute_columns`, which must have found nothing that differs.
    block : int
        Number of the block, whose neighbors were not given up.

    Notes
    -----
    Memory is that of a task of the run with spans of one block.
    """
    # Rows as periods weigh them were removed, and are weighed again.
    workspace, item = open_workspace(run, run.arrays())._replace(has_past=False), str(block)
    yield from _differing(workspace, VECTORIZE, item, recount_block(workspace, item).arrays)
    # Where weights or neighbors differ, what follows from them would only repeat it, at great cost.
    altered = [*_differing(workspace, WEIGH, item, weigh_block(workspace, item).arrays)]
    if workspace.plan.known_rows:
        altered += _differing(workspace, LOCATE, item, locate_block(workspace, item).arrays)
    altered = altered or [*_differing_neighbors(workspace, block)]
    yield from altered or _differing_views(workspace, block)


def _recompute_vectors(run: StoredRun, block: int) -> Iterator[DamageError]:
    """Compute neighbors and views of a block of vectors again; yield the arrays that differ."""
    workspace = open_workspace(run, run.arrays())
    altered = [*_differing_neighbors(workspace, block)]
    yield from altered or _differing_views(workspace, block)


def _differing_neighbors(workspace: Workspace, block: int) -> Iterator[DamageError]:
    """Yield what differs of neighbors and novelty of a block, or that weights of others are unusable."""
    try:
        computed = _rescore(workspace, block).arrays
    except UNUSABLE as error:
        message = f"Neighbors of block {block} can't be computed again, as weights were altered: {error}"
        yield DamageError(message, *MERGE.task(str(block)))
    else:
        yield from _differing(workspace, MERGE, str(block), computed)


def _differing_views(workspace: Workspace, block: int) -> Iterator[DamageError]:
    """Yield what differs of the other views of a block, or that weights of others are unusable."""
    item = str(block)
    views = [(DENSITY.task(item), density_block), (LOF.task(item), lof_block)]
    if not workspace.run.manifest.identity.matrix:
        views = [(COVER.task(str(workspace.plan.stretch_of(block))), cover_stretch), *views]
    if workspace.plan.known_rows:
        views += [(CITE.task(item), cite_block), (CALIBRATE.task(item), calibrate_block)]
    for task, compute in views:
        # They need all neighbors of a stretch, or of the run, which a partial run has not.
        if task not in workspace.run.manifest.failed_tasks:
            yield from _differing_view(workspace, task, compute)


def _differing_view(workspace: Workspace, task: TaskId, compute: TaskFunction) -> Iterator[DamageError]:
    """Yield what differs of what a task wrote, or that weights it reads are unusable."""
    try:
        computed = compute(workspace, task.item).arrays
    except UNUSABLE as error:
        message = f"Views of {task.item} can't be computed again, as weights were altered: {error}"
        yield DamageError(message, *task)
    else:
        yield from _differing(workspace, find_stage(task.stage), task.item, computed)


def _rescore(workspace: Workspace, block: int) -> TaskResult:
    """Return neighbors and novelty of a block, computed by one tile of all candidates."""
    # The strips were removed when they were merged. One tile of the block with all candidates finds the same
    # neighbors, as the kept similarities do not depend on how rows are cut into tiles.
    plan = replace(workspace.plan, span_blocks=1, group_blocks=workspace.plan.compared.n_blocks)
    strip = compare_tile(workspace._replace(plan=plan), Tile(block, 0).item).arrays.values()
    score = score_vectors if workspace.run.manifest.identity.matrix else score_block
    return score(workspace, block, [Neighbors(*strip)])


def _differing(workspace: Workspace, stage: Stage, item: str, computed: Arrays) -> Iterator[DamageError]:
    """Yield the stored arrays of a task that do not have the bytes of the computed ones."""
    for name, values in computed.items():
        if not _is_stored(workspace, item, {name: values}):
            message = (
                f"Array {name!r} (stage {stage.name}, task {item}) differs from a fresh computation. Either "
                "another CPU or other package versions made the run, or it was altered; if in doubt, score "
                "again into another path."
            )
            yield DamageError(message, *stage.task(item))


def _is_stored(workspace: Workspace, item: str, computed: Arrays) -> bool:
    """Return whether an array holds, where a task writes, the bytes of computed values."""
    try:
        stored = workspace.arrays.read_like(item, computed)
    except DamageError:  # It is shorter than it should be.
        return False
    return all(
        # Bytes and not values: NaN differs from itself, and 0.0 equals -0.0.
        stored[name].shape == values.shape and stored[name].astype(values.dtype).tobytes() == values.tobytes()
        for name, values in computed.items()
    )
