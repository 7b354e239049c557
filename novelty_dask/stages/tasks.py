"""What every task has in common: it works on a run, once."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from novelty_dask.errors import StoreError
from novelty_dask.execution.executors import Figures, Job
from novelty_dask.objects.commits import Draft, TaskId
from novelty_dask.planning.tiles import TilePlan
from novelty_dask.storage.runs import StoredRun, check_version, open_stored

if TYPE_CHECKING:
    import zarr


class Workspace(NamedTuple):
    """What a task works with.

    Parameters
    ----------
    run : StoredRun
    group : zarr.Group
        The arrays of the run; those of the task can be written.
    settings : dict
        The settings that change numbers.
    plan : TilePlan
        How the rows are cut.
    """

    run: StoredRun
    group: "zarr.Group"
    settings: dict[str, Any]
    plan: TilePlan


Work = Callable[[Workspace, Any], Figures]


def perform(url: str, epoch: int, stage: str, work: Work, job: Job) -> Figures:
    """Do the work of a job and commit it, unless that is done.

    Raises
    ------
    StoreError
        The run can't be seen from here, or has another owner now.
    DamageError
        Something that it reads is not what was written.
    """
    run = reach(url)
    plan = TilePlan(**run.manifest.plan)

    def draft_work(draft: Draft) -> Figures:
        return work(Workspace(run, run.group(draft), run.manifest.settings, plan), job.argument)

    return run.once(TaskId(stage, job.item), epoch, draft_work)


def reach(url: str) -> StoredRun:
    """Open a run on a worker.

    Raises
    ------
    StoreError
        It is not there, which on a worker of another host means another file system; or it is of another
        version, as workers may be that came later.
    """
    try:
        run = open_stored(url)
    except StoreError as error:
        message = f"{error} A worker needs the same view of it as the client."
        raise StoreError(message) from None
    check_version(run)
    return run
