"""The work on one run, from the claim to its end: who does it, on which sources, with how much memory."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from novelty_dask.errors import HIDDEN, BudgetError, InputError
from novelty_dask.events import Listener
from novelty_dask.execution.clusters import resources as machine
from novelty_dask.execution.clusters.resources import Resources
from novelty_dask.execution.executors import MEMORY_BYTES, Executor, SerialExecutor
from novelty_dask.objects.commits import TaskId
from novelty_dask.objects.owners import Owner, claim
from novelty_dask.pipeline.pipeline import Pipeline
from novelty_dask.planning.memory import Budget, Extent, fit
from novelty_dask.settings import Settings
from novelty_dask.sources.estimate import COMPRESSION_RATIO, estimate_lines
from novelty_dask.sources.find import STDIN, Source, check_unchanged
from novelty_dask.sources.stdin import spool, standard_input
from novelty_dask.storage.audit import find_damage
from novelty_dask.storage.runs import SPOOLED, WORK_FOLDER, StoredRun, check_version, open_stored

if TYPE_CHECKING:
    from distributed import Client


@contextmanager
def working_client(client: "Client | None", settings: Settings) -> Iterator["Client | None"]:
    """The client that is given, else one of the scheduler that the settings name, else none.

    Raises
    ------
    ClusterError
        The scheduler can't be reached.
    """
    if client is not None or not settings.scheduler:
        yield client
        return
    from novelty_dask.execution.clusters.connect import connect  # noqa: PLC0415 - Distributed takes long to import

    with connect(settings.scheduler) as connected:
        yield connected


def work(
    stored: StoredRun,
    settings: Settings,
    client: "Client | None",
    listener: Listener,
    given: Sequence[Source] | None = None,
    *,
    take_over: bool = False,
) -> None:
    """Do what is missing of a run, as its owner.

    Parameters
    ----------
    stored : StoredRun
    settings : Settings
    client : distributed.Client or None
        Works on its scheduler.
    listener : Listener
    given : sequence of Source, optional
        The sources as the user names them now; those of the run otherwise.
    take_over : bool
        Whether to succeed a silent client on another host.

    Raises
    ------
    InputError, BudgetError
        A run just begun is removed: other sources or settings find the place free.
    StoreError, ClusterError
        What is done is kept.
    """
    if not stored.manifest.is_complete:
        check_version(stored)
    with claim(stored.objects, stored.url, take_over=take_over) as owner:
        # Since it was opened another client may have gone on.
        stored = open_stored(stored.url)
        if stored.manifest.is_complete:
            _forget_damage(stored, listener)
        try:
            files = _files(stored, given)
            _go_through(stored, owner, files, settings, client, listener)
        except (InputError, BudgetError):
            if given is not None and not stored.manifest.plan:
                stored.objects.remove("")
            raise


def _go_through(
    stored: StoredRun,
    owner: Owner,
    files: list[Source],
    settings: Settings,
    client: "Client | None",
    listener: Listener,
) -> None:
    """Go through the stages of a run."""
    resources = _resources(files, settings, client)
    budget = make_budget(settings, resources)
    if not stored.manifest.plan:
        fit(budget, [Extent(*estimate_lines(files))], settings.block_rows)
    with _executor(client, resources, stored, listener) as (executor, dashboard):
        if dashboard:
            listener.note(f"Dashboard: {dashboard}")
        Pipeline(stored, owner.epoch, executor, listener, budget).run(files, settings.block_rows)


def _forget_damage(stored: StoredRun, listener: Listener) -> None:
    """Look at every byte of a complete run, and take back what is damaged."""
    for damage in find_damage(stored):
        check_version(stored)
        listener.note(f"Damage: {damage}")
        stored.commits.forget(TaskId(damage.stage, damage.item))


def _files(stored: StoredRun, given: Sequence[Source] | None) -> list[Source]:
    """The sources of a run as files, standard input spooled; unchanged while they are needed.

    Raises
    ------
    InputError
        They have changed, or only who scored them knows them.
    """
    files = []
    for number, values in enumerate(stored.manifest.sources):
        source = given[number] if given else Source(**values)
        if source.url == STDIN:
            source = _spooled(stored, number, is_given=given is not None)
        elif not stored.manifest.has_rows:
            if HIDDEN in source.url:
                message = "The run keeps no secrets of its sources; repeat the command that made it to go on."
                raise InputError(message)
            check_unchanged(source)
        files.append(source)
    return files


def _spooled(stored: StoredRun, number: int, *, is_given: bool) -> Source:
    """Standard input as a file of the run.

    Raises
    ------
    InputError
        The run has no whole copy of it.
    """
    url = f"{stored.url}/{SPOOLED}"
    source = Source(**stored.manifest.sources[number])
    if not source.version:
        if not is_given:
            message = f"{stored.url!r} was stopped before it had all of its standard input; score it anew."
            raise InputError(message)
        source = spool(standard_input(), url)
        stored.manifest.sources[number] = source._asdict()
        stored.save()
    elif not stored.manifest.has_rows and SPOOLED not in stored.objects.sizes(WORK_FOLDER):
        message = f"The copy of standard input in {stored.url!r} is gone; score it anew."
        raise InputError(message)
    return source._replace(url=url, version="")


def _resources(files: list[Source], settings: Settings, client: "Client | None") -> Resources:
    """Who is to do the work."""
    if client is not None:
        from novelty_dask.execution.clusters import connect  # noqa: PLC0415 - Distributed takes long to import

        return connect.client_resources(client, settings.memory_limit)
    return local_resources(files, settings)


@contextmanager
def _executor(
    client: "Client | None", resources: Resources, stored: StoredRun, listener: Listener
) -> Iterator[tuple[Executor, str | None]]:
    """What runs the tasks: the client's scheduler, or what this machine gives."""
    if client is None and not resources.workers:
        yield SerialExecutor(), None
        return
    from novelty_dask.execution.clusters import connect, local, preflight  # noqa: PLC0415 - Distributed takes long to import

    if client is None:
        with local.open_executor(resources) as opened:
            yield opened
        return
    if exposed := connect.exposure(client):
        listener.note(exposed)
    preflight.check_workers(client, stored)
    executor = connect.client_executor(client)
    try:
        yield executor, client.dashboard_link
    finally:
        executor.settle()


def local_resources(found: list[Source], settings: Settings) -> Resources:
    """What this machine gives to some sources."""
    n_bytes = sum(source.n_bytes * (COMPRESSION_RATIO if source.compression else 1) for source in found)
    return machine.local_resources(n_bytes, settings.workers, settings.threads, settings.memory_limit)


def make_budget(settings: Settings, resources: Resources) -> Budget:
    """What a worker may use, and what its memory depends on."""
    shortest, longest = settings.ngram_range
    return Budget(
        n_neighbors=settings.n_neighbors,
        n_features=settings.n_features,
        ngram_sizes=longest - shortest + 1,
        threads=resources.threads,
        limit=resources.memory_limit,
        workers=max(resources.workers, 1),
        buffer=0 if resources.workers else MEMORY_BYTES,
    )
