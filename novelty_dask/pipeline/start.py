"""The start of a session: claim the run, settle its sources, find workers, check memory, then execute."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from novelty_dask.errors import BudgetError, InputError, StoreError, UnreachableError
from novelty_dask.events import VERIFY, DamageFound, report_each
from novelty_dask.execution.clusters.main_guard import check_guarded
from novelty_dask.execution.clusters.workers import find_resources, open_executor
from novelty_dask.objects.owners import claim
from novelty_dask.pipeline.inputs import Inputs
from novelty_dask.pipeline.limits import MemoryLimits, make_budget
from novelty_dask.pipeline.pipeline import Pipeline
from novelty_dask.pipeline.session import Session
from novelty_dask.storage.audit import find_damage, take_back
from novelty_dask.storage.runs import StoredRun, check_version

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

    from novelty_dask.events import Listener
    from novelty_dask.pipeline.given import Given
    from novelty_dask.settings import WorkSettings


def run_session(
    run: StoredRun,
    settings: WorkSettings,
    client: Client | None,
    listener: Listener,
    given: Given | None = None,
    *,
    take_over: bool = False,
) -> None:
    """Do the missing tasks of a run, as its owner.

    Parameters
    ----------
    run : StoredRun
        Its manifest is kept up to date.
    settings : WorkSettings
    client : distributed.Client or None
        Works on its scheduler.
    listener : Listener
    given : Given, optional
        The sources, and the reference, as the user names them now; those of the run otherwise.
    take_over : bool
        True to succeed a silent client on another host.

    Raises
    ------
    InputError, BudgetError
        A run just begun is removed, so that other sources or settings find its path free.
    StoreError, ClusterError
        Finished tasks are kept.  A run that lacks a part of standard input, which nobody can read again, is
        removed.
    """
    check_guarded()
    if not run.manifest.is_complete:
        check_version(run)
    with claim(run.objects, run.url, take_over=take_over) as owner:
        # Another client may have worked on the run between the opening and the claim.
        run.refresh()
        for key in run.repair_manifest():
            listener(DamageFound(f"{key!r} was altered; it was written again."))
        if given and given.reference and given.reference != run.manifest.reference:
            run.manifest.move_reference(given.reference)
            run.save()
        if run.manifest.is_complete:
            _forget_damage(run, owner.epoch, listener)
        try:
            _execute(run, owner.epoch, Inputs.settle(run, given), settings, client, listener)
        except UnreachableError as error:
            error.has_run = not run.manifest.lacks_copy
            raise
        except BaseException as error:
            # Nothing is lost but lines that were read, and the user can name other sources under this path.
            # A run that is resumed is kept, as its sources can't be named anew.
            is_useless = isinstance(error, (InputError, BudgetError)) or run.manifest.lacks_copy
            if is_useless and given is not None and run.manifest.plan is None:
                run.objects.remove("")
            raise


def _forget_damage(run: StoredRun, epoch: int, listener: Listener) -> None:
    """Read every byte of a complete run, and forget the commits of tasks whose results are damaged."""
    for damage in find_damage(run, report_each(VERIFY, [*run.commits.tasks()], listener)):
        check_version(run)
        listener(DamageFound(str(damage)))
        take_back(run, damage, epoch)


@contextmanager
def _told_if_gone(run: StoredRun) -> Iterator[None]:
    """Raise a StoreError instead of any other error if the run is not there any more."""
    # Whoever needs it first complains of what it misses, be it an array, an owner or the whole run.
    try:
        yield
    except Exception:
        if run.is_gone():
            message = (
                f"The run {run.url!r} is gone: it was moved or removed while it was written; resume it where "
                "it is now, or score again."
            )
            raise StoreError(message) from None
        raise


def _execute(
    run: StoredRun,
    epoch: int,
    inputs: Inputs,
    settings: WorkSettings,
    client: Client | None,
    listener: Listener,
) -> None:
    """Take a run through its stages."""
    workers = find_resources(client, inputs.text_bytes, settings)
    manifest = run.manifest
    budget = make_budget(manifest.settings, workers, manifest.reference, manifest.growth)
    limits = MemoryLimits(manifest, budget, settings.block_rows)
    limits.check(inputs)
    with _told_if_gone(run), open_executor(client, workers, run, listener) as executor:
        Pipeline(Session(run, epoch, executor, listener, inputs, limits, settings.strict)).execute()
