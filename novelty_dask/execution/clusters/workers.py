"""The workers of a run: those of a given client, of a scheduler at an address, or of this machine."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from novelty_dask.errors import ClusterError, SettingsError
from novelty_dask.events import ConnectionExposed, DashboardOpened, FolderUnused, Warned
from novelty_dask.execution.advances import advances_here, advances_on_workers
from novelty_dask.execution.clusters import resources
from novelty_dask.execution.compilation import compilation_here, compilation_on_workers
from novelty_dask.execution.executors import SerialExecutor
from novelty_dask.execution.reports import RunReport
from novelty_dask.private_files import unused_temporary_folder

# Distributed takes long to import, and small runs do without it: everything of it is imported on demand.

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

    from novelty_dask.events import Listener
    from novelty_dask.execution.clusters.resources import Resources
    from novelty_dask.execution.dask_executor import DaskExecutor
    from novelty_dask.execution.executors import Executor
    from novelty_dask.settings import WorkSettings
    from novelty_dask.storage.runs import StoredRun


@contextmanager
def working_client(
    client: Client | str | None, settings: WorkSettings, listener: Listener
) -> Iterator[Client | None]:
    """Yield the given client, else one of a scheduler or a cluster that settings name, else None.

    Raises
    ------
    SettingsError
        It is neither a client nor an address, or others could read the connection.
    ClusterError
        The scheduler can't be reached, or the client can't be used; or no worker of the cluster started.
    """
    if client is not None and not isinstance(client, str):
        check_client(client)
        yield client
        return
    if not (client or settings.scheduler or settings.scheduler_file or settings.cluster):
        yield None
        return
    from novelty_dask.execution.clusters.reach import reach  # noqa: PLC0415

    with reach(client, settings, listener) as connected:
        yield connected


def check_client(client: Client) -> None:
    """Refuse what is no client, and a client whose calls would fail or wait without end.

    Raises
    ------
    SettingsError
        It is something else.
    ClusterError
        It is closed or asynchronous.
    """
    if not (hasattr(client, "nthreads") and hasattr(client, "asynchronous")):
        message = (
            f"A client is a distributed.Client or the address of a scheduler, not {type(client).__name__}; "
            "pass Client(...)."
        )
        raise SettingsError(message)
    if client.status in ("closing", "closed"):
        message = "The client is closed; make a new one, and close it when the run is complete."
        raise ClusterError(message)
    if client.asynchronous:
        # Its calls return coroutines, and the loop that would run them is blocked by this very thread.
        message = "The client is asynchronous; pass one made without asynchronous=True, outside of the loop."
        raise ClusterError(message)


def find_resources(client: Client | None, n_bytes: int, settings: WorkSettings) -> Resources:
    """Return number and size of the workers: those of a client, or those that this machine has room for.

    Parameters
    ----------
    client : distributed.Client or None
    n_bytes : int
        Text of the sources: small ones are done in this process.
    settings : WorkSettings

    Raises
    ------
    ClusterError
        The client has no workers, or its scheduler is silent.
    """
    if client is not None:
        from novelty_dask.execution.clusters.reach import connect  # noqa: PLC0415

        return connect.client_resources(client, settings.memory_limit)
    workers = settings.workers
    if workers is None and settings.threads > 1:
        # This process runs one task at a time: who asks for threads gets a worker, however small the sources.
        workers = resources.default_workers(settings.threads)
    return resources.local_resources(n_bytes, workers, settings.threads, settings.memory_limit)


def gather_calls(client: Client, calls: list[Any]) -> list[Any]:
    """Return the results of delayed calls, computed on a client's scheduler, in their order.

    Raises
    ------
    ClusterError
        Workers died in a call, or there is no worker, or no scheduler.
    """
    from novelty_dask.execution.clusters.reach import connect  # noqa: PLC0415

    return connect.gather(client, calls)


@contextmanager
def open_executor(
    client: Client | None, workers: Resources, run: StoredRun, listener: Listener, report: str | None = None
) -> Iterator[Executor]:
    """Yield an executor on the client's scheduler, on worker processes, or in this process.

    Parameters
    ----------
    client : distributed.Client or None
    workers : Resources
        Started here without a client.
    run : StoredRun
    listener : Listener
    report : str, optional
        File for Dask's performance report.

    Raises
    ------
    SettingsError
        The file is there already, or nobody would write it.
    ClusterError
        A worker of the client would fail, or compute other bytes.
    """
    if client is None and (unused := unused_temporary_folder()):
        listener(FolderUnused(unused))
    if client is None and not workers.workers:
        if report:
            message = (
                "A performance report is one of a scheduler, and this process does all work alone; leave out "
                "--performance-report, or ask for --workers."
            )
            raise SettingsError(message)
        with compilation_here(listener), advances_here(run.url, listener):
            yield SerialExecutor()
        return
    if client is not None:
        with _client_executor(client, run, listener, report) as executor:
            yield executor
        return
    from novelty_dask.execution.clusters.reach import connect, local  # noqa: PLC0415

    with local.open_local_executor(workers) as (executor, dashboard):
        if dashboard:
            listener(DashboardOpened(dashboard))
        with (
            connect.reported_performance(executor.client, report),
            _told_by_workers(executor, run, listener),
        ):
            yield executor


@contextmanager
def _client_executor(
    client: Client, run: StoredRun, listener: Listener, report: str | None
) -> Iterator[DaskExecutor]:
    """Yield an executor on the scheduler of a client, whose workers are checked, also those that join."""
    from novelty_dask.execution.clusters.reach import connect, gate  # noqa: PLC0415

    if warning := connect.encryption_warning(client):
        listener(ConnectionExposed(warning))
    executor = connect.client_executor(client)
    with gate.guarded(executor.scheduler, run, lambda message: listener(Warned(message))):
        connect.show_board(client)
        if link := connect.dashboard_link(client):
            listener(DashboardOpened(link))
        try:
            with connect.reported_performance(client, report), _told_by_workers(executor, run, listener):
                yield executor
        finally:
            # These workers go on after the session, unlike those of this machine: wait until none of them
            # writes into the run any more, which may be removed or claimed by another client now.
            executor.settle()


@contextmanager
def _told_by_workers(executor: DaskExecutor, run: StoredRun, listener: Listener) -> Iterator[None]:
    """Let a listener know what workers do in their tasks, and the dashboard what they are of."""
    executor.report = RunReport(executor.scheduler, executor.token, run)
    with (
        compilation_on_workers(executor.scheduler, listener),
        advances_on_workers(executor.scheduler, run.url, listener),
    ):
        yield
