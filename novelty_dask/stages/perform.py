"""Performing a task on a worker: compute its results, store them, commit them, once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from novelty_dask.execution.advances import reported
from novelty_dask.execution.usage import measured
from novelty_dask.planning.stages import (
    CALIBRATE,
    CITE,
    COLUMNS,
    COMPARE,
    COVER,
    DATE,
    DENSITY,
    GROUP,
    IMPORT,
    LINK,
    LOCATE,
    LOF,
    MERGE,
    REJECTED,
    REWEIGH,
    TALLY,
    VECTORIZE,
    WEIGH,
    TaskId,
)
from novelty_dask.stages.compare import compare_tile, merge_block
from novelty_dask.stages.extend import extend_block
from novelty_dask.stages.groups import group_rows, link_block
from novelty_dask.stages.known import calibrate_block, cite_block, locate_block
from novelty_dask.stages.merged import merge_rejected
from novelty_dask.stages.past import date_periods, reweigh_block, tally_period
from novelty_dask.stages.rejected import collect_rejected
from novelty_dask.stages.tasks import TaskFunction, TaskResult, Workspace, open_on_worker, open_workspace
from novelty_dask.stages.vectorize import sum_frequencies, vectorize_block, weigh_block
from novelty_dask.stages.vectors import import_block
from novelty_dask.stages.views import cover_stretch, density_block, lof_block

if TYPE_CHECKING:
    from novelty_dask.objects.commits import Draft, Metrics
    from novelty_dask.storage.runs import StoredRun


def _either(usual: TaskFunction, grown: dict[str, TaskFunction]) -> TaskFunction:
    """Return what calls one function, or another where a run is being made of others."""

    def compute(workspace: Workspace, item: str) -> TaskResult:
        return grown.get(workspace.run.manifest.shape.growth, usual)(workspace, item)

    return compute


FUNCTIONS: dict[str, TaskFunction] = {
    REJECTED.name: _either(collect_rejected, {"extended": merge_rejected, "refreshed": merge_rejected}),
    VECTORIZE.name: vectorize_block,
    COLUMNS.name: sum_frequencies,
    WEIGH.name: weigh_block,
    LOCATE.name: locate_block,
    DATE.name: date_periods,
    TALLY.name: tally_period,
    REWEIGH.name: reweigh_block,
    LINK.name: link_block,
    GROUP.name: group_rows,
    IMPORT.name: import_block,
    COMPARE.name: compare_tile,
    MERGE.name: _either(merge_block, {"extended": extend_block}),
    CITE.name: cite_block,
    COVER.name: cover_stretch,
    DENSITY.name: density_block,
    LOF.name: lof_block,
    CALIBRATE.name: calibrate_block,
}
"""What computes the results of a task, by the name of its stage."""


def perform(url: str, epoch: int, stage: str, item: str) -> Metrics:
    """Do a task and commit it, unless it is done.

    Parameters
    ----------
    url : str
        URL of the run.
    epoch : int
        Of the client that ordered the task.
    stage, item : str
        The task.

    Returns
    -------
    dict
        Its metrics.

    Raises
    ------
    StoreError
        The run can't be seen from here, or has another owner now.
    DamageError
        Something that it reads is not what was written.
    """
    # Opened anew for each task: a worker may serve several runs, and the manifest may have changed.
    run = open_on_worker(url)
    with reported(url, stage, item):
        return run.once(TaskId(stage, item), epoch, partial(measured, _compute_and_store, run))


def _compute_and_store(run: StoredRun, draft: Draft) -> Metrics:
    """Compute the arrays of a task and store them."""
    arrays = run.arrays(draft)
    result = FUNCTIONS[draft.task.stage](open_workspace(run, arrays), draft.task.item)
    arrays.write(draft.task.item, result.arrays)
    return dict(result.metrics)
