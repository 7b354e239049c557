"""A scheduler elsewhere: the connection to it, the size of its workers, and a warning without encryption."""

import asyncio
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil
from distributed import Client

from novelty_dask.dashboard.plugin import install
from novelty_dask.errors import ClusterError
from novelty_dask.execution.clusters.configuration import quieten_distributed
from novelty_dask.execution.clusters.performance import reported_performance
from novelty_dask.execution.clusters.resources import Resources
from novelty_dask.execution.clusters.security import check_closed, client_security, is_exposed, refusal
from novelty_dask.execution.dask_executor import DaskExecutor
from novelty_dask.execution.patience import Patience
from novelty_dask.execution.scheduler import Scheduler

__all__ = [
    "client_executor",
    "client_resources",
    "connect",
    "dashboard_link",
    "encryption_warning",
    "gather",
    "reported_performance",
    "show_board",
]


@contextmanager
def connect(
    address: str,
    certs: str | None = None,
    *,
    insecure: bool = False,
    seconds: float | None = None,
    **options: Any,
) -> Iterator[Client]:
    """Connect to a running scheduler.

    Parameters
    ----------
    address : str
    certs : str, optional
        Folder of certificates; without it those of Dask's configuration count.
    insecure : bool
        True to allow a connection beyond this machine that is not encrypted.
    seconds : float, optional
        Time for the connection, in place of that of `Patience`.
    **options
        More of Dask's client, such as the certificates of a process of the cluster (`security`).

    Raises
    ------
    SettingsError
        The connection would be open to others, or a certificate can't be read.
    ClusterError
        It can't be reached, or refuses.
    """
    check_closed(address, is_allowed=insecure)
    options = {"security": client_security(certs), **options}
    quieten_distributed()
    patience = Patience.read()
    try:
        client = _TimeoutClient(address, seconds or patience.connect, **options)
    except Exception as error:
        # A server that is no Dask scheduler may reply anything, so any exception can surface here.
        message = f"Can't reach a Dask scheduler at {address!r}: {refusal(error, address)}."
        raise ClusterError(message) from error
    try:
        yield client
    finally:
        # An error while closing would hide the error that ended the work.
        with suppress(Exception):
            client.close(timeout=patience.close)  # type: ignore[no-untyped-call]
        # A client that is not marked as closed is closed again by the garbage collector, and waits longer.
        client.status = "closed"


def client_resources(client: Client, memory_limit: int | None = None) -> Resources:
    """Return the number, threads and memory of the workers of a client.

    Raises
    ------
    ClusterError
        There are none, or the scheduler is silent.
    """
    scheduler = Scheduler(client)

    def described() -> list[dict[str, Any]]:
        # All of them, as -1 says; by default Dask describes five.
        return list(scheduler.ask(lambda: client.scheduler_info(n_workers=-1))["workers"].values())

    patience = scheduler.patience.connect
    deadline = time.monotonic() + patience
    # The last worker may leave between the two questions.  Only the first raises if the connection is lost.
    while not (scheduler.workers() and (workers := described())):
        if time.monotonic() > deadline:
            message = f"No worker joined the scheduler within {patience:g} s; start some and repeat."
            raise ClusterError(message)
        time.sleep(0.1)
    # Any worker may get any task, so that the least memory and the most threads count.
    limits = [worker["memory_limit"] or psutil.virtual_memory().total for worker in workers]
    threads = max(worker["nthreads"] for worker in workers)
    return Resources(len(limits), threads, min([*limits, *([memory_limit] if memory_limit else [])]))


def client_executor(client: Client) -> DaskExecutor:
    """Return an executor for one run on a client's scheduler."""
    return DaskExecutor(client, uuid.uuid4().hex[:8])


def gather(client: Client, calls: list[Any]) -> list[Any]:
    """Return the results of delayed calls, computed on a client's scheduler, in their order.

    Raises
    ------
    ClusterError
        Workers died in a call, or there is no worker, or no scheduler.
    """
    return Scheduler(client).gather(calls)


def encryption_warning(client: Client) -> str | None:
    """Return a warning if a scheduler is neither on this machine nor encrypted."""
    address = str(getattr(client.scheduler, "address", ""))
    if not is_exposed(address):
        return None
    return (
        f"The scheduler {address} is not encrypted: who shares the network can read the URLs and run code "
        "on its workers; set up Dask's tls:// unless you trust them."
    )


def show_board(client: Client) -> None:
    """Let a scheduler show its runs on a page, if it has novelty_dask and pages at all."""
    scheduler = Scheduler(client)
    # A scheduler without the package, or of another version, shows what Dask does.
    with suppress(Exception):
        scheduler.ask(lambda: client.run_on_scheduler(install), scheduler.patience.watch)


def dashboard_link(client: Client) -> str | None:
    """Return the link of a scheduler's dashboard; None if it has none, or does not say."""

    # Without a dashboard Dask makes a link nevertheless, at which there is nothing, or that of somebody else.
    # A function inside of another travels as code: the scheduler may have no novelty_dask.
    def find_page(dask_scheduler: Any) -> str:
        applications = dask_scheduler.http_application.applications
        pages = [page for each in applications for page in getattr(each, "app_paths", ())]
        return next((page for page in ("/novelty", "/status") if page in pages), "")

    # A scheduler of another version may not be able to tell.
    scheduler = Scheduler(client)
    with suppress(Exception):
        if page := scheduler.ask(lambda: client.run_on_scheduler(find_page), scheduler.patience.watch):
            return f"{str(client.dashboard_link).removesuffix('/status')}{page}"
    return None


class _TimeoutClient(Client):
    """Client that gives up on a silent server, and closes itself if it can't connect."""

    def __init__(self, address: str, timeout: float, **options: Any) -> None:
        # Half as long again as Dask waits: its own error, if it comes in time, says more.
        self._patience = 1.5 * timeout
        try:
            super().__init__(address, timeout=timeout, **options)  # type: ignore[no-untyped-call]
        except BaseException:
            # The garbage collector would do it otherwise, in a thread that may have to wait for itself.
            self.close()  # type: ignore[no-untyped-call]
            raise

    async def _start(self, *arguments: Any, **options: Any) -> Any:
        """Connect, or raise TimeoutError."""
        # Dask itself waits without end for a server that accepts a connection and is silent.
        started = super()._start(*arguments, **options)  # type: ignore[no-untyped-call]
        return await asyncio.wait_for(started, self._patience)
