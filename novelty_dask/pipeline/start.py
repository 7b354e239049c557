"""The start of a session: claim the run, settle its sources, find workers, check memory, then execute."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from novelty_dask.errors import BudgetError, InputError, StoreError, UnreachableError
from novelty_dask.events import VERIFY, DamageFound, ReferencesJoined, report_each
from novelty_dask.execution.clusters.main_guard import check_guarded
from novelty_dask.execution.clusters.workers import find_resources, open_executor
from novelty_dask.objects.owners import claim
from novelty_dask.pipeline.given import give_rows
from novelty_dask.pipeline.inputs import Inputs
from novelty_dask.pipeline.limits import MemoryLimits, make_budget
from novelty_dask.pipeline.pipeline import Pipeline
from novelty_dask.pipeline.session import Session
from novelty_dask.pipeline.vector_inputs import VectorInputs
from novelty_dask.storage.audit import find_damage, take_back
from novelty_dask.storage.joined import (
    adopt_joined,
    begin_joined,
    is_prepared,
    lacks_references,
    name_again,
    read_texts,
)
from novelty_dask.storage.runs import REFERENCES_FOLDER, StoredRun, check_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import Client

    from novelty_dask.events import Listener
    from novelty_dask.execution.clusters.resources import Resources
    from novelty_dask.objects.owners import JobToken
    from novelty_dask.pipeline.given import Given
    from novelty_dask.settings import WorkSettings


class Terms(NamedTuple):
    """Terms of a session that belongs to a job, or of one that ends early.

    Parameters
    ----------
    job : JobToken or None
        The job.
    begin : callable
        Called with the session once all checks have passed; returns whether the run is to be worked on.
    only_begins : bool
        True if it never is.
    """

    job: JobToken | None
    begin: Callable[[Session], bool]
    only_begins: bool = False


def run_session(  # noqa: PLR0913 - the last two are keywords
    run: StoredRun,
    settings: WorkSettings,
    client: Client | None,
    listener: Listener,
    given: Given | None = None,
    *,
    take_over: bool = False,
    terms: Terms | None = None,
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
    terms : Terms, optional
        Those of a job.

    Raises
    ------
    InputError, BudgetError
        A run just begun is removed, so that other sources or settings find its path free.
    StoreError, ClusterError
        Finished tasks are kept.  A run that lacks a part of standard input, which nobody can read again, is
        removed.
    """
    check_guarded()
    # A complete run may be another version's, as long as nothing of it has to be computed.
    if not run.manifest.is_complete:
        check_version(run)
    job = terms.job if terms else None
    with claim(run.objects, run.url, take_over=take_over, job=job) as owner:
        # Another client may have worked on the run between the opening and the claim.
        run.refresh()
        for key in run.repair_manifest():
            listener(DamageFound(f"{key!r} was altered; it was written again."))
        name_again(run, given.reference if given else None)
        if run.manifest.is_complete:
            _forget_damage(run, owner.epoch, listener)
        try:
            kind = VectorInputs if run.manifest.identity.matrix else Inputs
            inputs = kind.settle(run, given)
            _join_missing(run, settings, client, listener, take_over=take_over, terms=terms)
            with _begun(run, owner.epoch, inputs, settings, client, listener) as session:
                _execute(session, terms)
        except UnreachableError as error:
            error.has_run = not run.manifest.lacks_copy
            raise
        except BaseException as error:
            # Nothing is lost but lines that were read, and the user can name other sources under this path.
            # A run that is resumed is kept, as its sources can't be named anew.
            is_useless = isinstance(error, (InputError, BudgetError)) or run.manifest.lacks_copy
            if is_useless and given is not None and _has_nothing(run):
                # A heartbeat that came between would make an error of the removal, and hide this one.
                owner.stop_beating()
                run.objects.remove("")
            raise


def _join_missing(
    run: StoredRun,
    settings: WorkSettings,
    client: Client | None,
    listener: Listener,
    *,
    take_over: bool,
    terms: Terms | None,
) -> None:
    """Join the rows of several references if a session needs them; keep their numbers in the run."""
    if lacks_references(run) and not (terms and terms.only_begins):
        job = terms.job if terms else None
        joined = join_references(run, settings, client, listener, take_over=take_over, job=job)
        adopt_joined(run, joined)


def join_references(
    run: StoredRun,
    settings: WorkSettings,
    client: Client | None,
    listener: Listener,
    *,
    take_over: bool = False,
    job: JobToken | None = None,
) -> StoredRun:
    """Make the run that holds the rows of the references of another, as far as rows are compared with it.

    Parameters
    ----------
    run : StoredRun
        That other, which has several.
    settings, client, listener, take_over
        As for `run_session`.
    job : JobToken, optional
        The job that works on it.
    """
    plan, given = run.manifest.plan, give_rows(read_texts(run))
    joined = begin_joined(run, given.sources[0])
    if not is_prepared(joined):
        # The results that are there name its rows, and tasks are planned by its blocks.
        chosen = {"block_rows": plan.known_block_rows} if plan else {}
        work = settings.model_copy(update={**chosen, "performance_report": None, "strict": False})
        listener(ReferencesJoined())
        run_session(joined, work, client, listener, given, take_over=take_over, terms=Terms(job, _prepare))
    return joined


def _prepare(session: Session) -> bool:
    """Do all that comes before rows are compared; return that nothing else is to be done."""
    Pipeline(session, is_preparing=True).execute()
    return False


def _has_nothing(run: StoredRun) -> bool:
    """Return whether nothing is stored of a run that would be worth keeping."""
    manifest = run.manifest
    # Vectors are planned before they are read.
    return manifest.plan is None or (manifest.identity.matrix is not None and not manifest.has_rows)


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


def _check_visible(run: StoredRun, client: Client | None, workers: Resources) -> None:
    """Refuse worker processes for a run in the memory of this one.

    Raises
    ------
    StoreError
        There would be some.
    """
    if client is None and workers.workers and run.url.lower().startswith("memory:"):
        message = (
            f"Worker processes can't see {run.url!r}, which is in the memory of this one; name a folder, or "
            "use workers=0."
        )
        raise StoreError(message)


def _execute(session: Session, terms: Terms | None) -> None:
    """Take a run through its stages, unless its terms say otherwise."""
    if terms is None or terms.begin(session):
        Pipeline(session).execute()
        if session.manifest.is_joined and session.manifest.is_over:
            session.run.objects.remove(REFERENCES_FOLDER)


@contextmanager
def _begun(
    run: StoredRun,
    epoch: int,
    inputs: Inputs,
    settings: WorkSettings,
    client: Client | None,
    listener: Listener,
) -> Iterator[Session]:
    """Yield a session whose memory suffices, with workers that are fit for it."""
    workers = find_resources(client, inputs.text_bytes, settings)
    _check_visible(run, client, workers)
    manifest = run.manifest
    budget = make_budget(manifest.settings, workers, manifest.reference, manifest.growth)
    budget = replace(budget, matrix=manifest.identity.matrix)
    limits = MemoryLimits(manifest, budget, settings.block_rows)
    # Before workers are started: a run that does not fit is refused at once.
    limits.check(inputs)
    report = settings.performance_report
    with _told_if_gone(run), open_executor(client, workers, run, listener, report) as executor:
        yield Session(run, epoch, executor, listener, inputs, limits, settings.strict)
