"""The work on one run, from the claim to its end: sources, workers and memory are settled, then it runs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from novelty_dask.errors import BudgetError, InputError
from novelty_dask.events import ConnectionExposed, DamageFound, DashboardOpened, Listener
from novelty_dask.execution.clusters import resources as machine
from novelty_dask.execution.clusters.resources import Resources
from novelty_dask.execution.executors import MEMORY_BYTES, Executor, SerialExecutor
from novelty_dask.objects.owners import claim
from novelty_dask.pipeline.inputs import Inputs
from novelty_dask.pipeline.limits import MemoryLimits
from novelty_dask.pipeline.pipeline import Pipeline
from novelty_dask.planning.budget import Budget
from novelty_dask.planning.stages import TaskId
from novelty_dask.settings import ResultSettings, WorkSettings
from novelty_dask.sources.estimate import COMPRESSION_RATIO
from novelty_dask.sources.find import Source
from novelty_dask.storage.audit import find_damage
from novelty_dask.storage.runs import StoredRun, check_version

if TYPE_CHECKING:
    from distributed import Client


@contextmanager
def working_client(client: "Client | None", scheduler: str | None) -> Iterator["Client | None"]:
    """Yield the given client, else one of a scheduler at an address, else None.

    Raises
    ------
    ClusterError
        The scheduler can't be reached.
    """
    if client is not None or not scheduler:
        yield client
        return
    from novelty_dask.execution.clusters.connect import connect  # noqa: PLC0415 - Distributed imports slowly

    with connect(scheduler) as connected:
        yield connected


def run_session(
    run: StoredRun,
    settings: WorkSettings,
    client: "Client | None",
    listener: Listener,
    given: Sequence[Source] | None = None,
    *,
    take_over: bool = False,
) -> None:
    """Do what is missing of a run, as its owner.

    Parameters
    ----------
    run : StoredRun
        Its manifest is kept up to date.
    settings : WorkSettings
    client : distributed.Client or None
        Works on its scheduler.
    listener : Listener
    given : sequence of Source, optional
        The sources as the user names them now; those of the run otherwise.
    take_over : bool
        True to succeed a silent client on another host.

    Raises
    ------
    InputError, BudgetError
        A run just begun is removed, so that other sources or settings find its path free.
    StoreError, ClusterError
        What is done is kept.
    """
    if not run.manifest.is_complete:
        check_version(run)
    with claim(run.objects, run.url, take_over=take_over) as owner:
        # Another client may have gone on since the run was opened.
        run.refresh()
        if run.manifest.is_complete:
            _forget_damage(run, listener)
        try:
            _execute(run, owner.epoch, Inputs.settle(run, given), settings, client, listener)
        except (InputError, BudgetError):
            if given is not None and run.manifest.plan is None:
                run.objects.remove("")
            raise


def _forget_damage(run: StoredRun, listener: Listener) -> None:
    """Read every byte of a complete run, and forget the commits of what is damaged."""
    for damage in find_damage(run):
        check_version(run)
        listener(DamageFound(str(damage)))
        run.commits.forget(TaskId(damage.stage, damage.item))


def _execute(
    run: StoredRun,
    epoch: int,
    inputs: Inputs,
    settings: WorkSettings,
    client: "Client | None",
    listener: Listener,
) -> None:
    """Take a run through its stages."""
    resources = _find_resources(inputs.sources, settings, client)
    limits = MemoryLimits(run.manifest, make_budget(run.manifest.settings, resources), settings.block_rows)
    limits.check(inputs)
    with _executor(client, resources, run, listener) as executor:
        Pipeline(run, epoch, executor, listener, inputs, limits).execute()


def _find_resources(sources: Sequence[Source], settings: WorkSettings, client: "Client | None") -> Resources:
    """Return the workers that are to do the work."""
    if client is not None:
        from novelty_dask.execution.clusters import connect  # noqa: PLC0415 - Distributed imports slowly

        return connect.client_resources(client, settings.memory_limit)
    return local_resources(sources, settings)


@contextmanager
def _executor(
    client: "Client | None", resources: Resources, run: StoredRun, listener: Listener
) -> Iterator[Executor]:
    """Yield what runs the tasks: the client's scheduler, or what this machine gives."""
    if client is None and not resources.workers:
        yield SerialExecutor()
        return
    from novelty_dask.execution.clusters import connect, local, preflight  # noqa: PLC0415 - as above

    if client is None:
        with local.open_executor(resources) as (executor, dashboard):
            if dashboard:
                listener(DashboardOpened(dashboard))
            yield executor
        return
    if warning := connect.encryption_warning(client):
        listener(ConnectionExposed(warning))
    preflight.check_workers(client, run)
    executor = connect.client_executor(client)
    if client.dashboard_link:
        listener(DashboardOpened(client.dashboard_link))
    try:
        yield executor
    finally:
        executor.settle()


def local_resources(sources: Sequence[Source], settings: WorkSettings) -> Resources:
    """Return the workers that this machine gives to some sources."""
    n_bytes = sum(source.n_bytes * (COMPRESSION_RATIO if source.compression else 1) for source in sources)
    return machine.local_resources(n_bytes, settings.workers, settings.threads, settings.memory_limit)


def make_budget(settings: ResultSettings, resources: Resources) -> Budget:
    """Return what a worker may use, and what its memory depends on."""
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
