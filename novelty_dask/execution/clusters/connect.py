"""A scheduler elsewhere: the connection to it, the size of its workers, and a warning without encryption."""

import asyncio
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import Any

import psutil
from distributed import Client
from distributed.comm.addressing import get_address_host

from novelty_dask.errors import ClusterError
from novelty_dask.execution.clusters.configuration import quieten_distributed
from novelty_dask.execution.clusters.resources import Resources
from novelty_dask.execution.dask_executor import DaskExecutor
from novelty_dask.execution.patience import Patience
from novelty_dask.execution.scheduler import Scheduler


@contextmanager
def connect(address: str) -> Iterator[Client]:
    """Connect to a running scheduler.

    Raises
    ------
    ClusterError
        It can't be reached.
    """
    quieten_distributed()
    patience = Patience.read()
    try:
        client = _TimeoutClient(address, timeout=patience.connect)
    except Exception as error:
        # A server that is no Dask scheduler may reply anything, so any exception can surface here.
        reason = str(error).split("\n")[0].rstrip(".") or type(error).__name__
        message = f"Can't reach a Dask scheduler at {address!r}: {reason}."
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
    patience = scheduler.patience.connect
    deadline = time.monotonic() + patience
    while not scheduler.workers():
        if time.monotonic() > deadline:
            message = f"No worker joined the scheduler within {patience:g} s; start some and repeat."
            raise ClusterError(message)
        time.sleep(0.1)
    # All of them, as -1 says; by default Dask describes five.  Any worker may get any task, so that the least
    # memory and the most threads count.
    workers = scheduler.ask(lambda: client.scheduler_info(n_workers=-1))["workers"].values()
    limits = [worker["memory_limit"] or psutil.virtual_memory().total for worker in workers]
    threads = max(worker["nthreads"] for worker in workers)
    return Resources(len(limits), threads, min([*limits, *([memory_limit] if memory_limit else [])]))


def client_executor(client: Client) -> DaskExecutor:
    """Return an executor for one run on a client's scheduler."""
    return DaskExecutor(client, uuid.uuid4().hex[:8])


def encryption_warning(client: Client) -> str | None:
    """Return a warning if a scheduler is neither on this machine nor encrypted."""
    address = str(getattr(client.scheduler, "address", ""))
    if not address.startswith(("tcp://", "ws://")):
        return None
    host = get_address_host(address)
    with suppress(ValueError):
        if host == "localhost" or ip_address(host).is_loopback:
            return None
    return (
        f"The scheduler {address} is not encrypted: who shares the network can read the URLs and run code "
        "on its workers; set up Dask's tls:// unless you trust them."
    )


def dashboard_link(client: Client) -> str | None:
    """Return the link of a scheduler's dashboard; None if it has none, or does not say."""

    # Without a dashboard Dask makes a link nevertheless, at which there is nothing, or that of somebody else.
    # A function inside of another travels as code: the scheduler may have no novelty_dask.
    def has_page(dask_scheduler: Any) -> bool:
        applications = dask_scheduler.http_application.applications
        return any("/status" in getattr(application, "app_paths", ()) for application in applications)

    # A scheduler of another version may not be able to tell.
    scheduler = Scheduler(client)
    with suppress(Exception):
        if scheduler.ask(lambda: client.run_on_scheduler(has_page), scheduler.patience.watch):
            return str(client.dashboard_link)
    return None


class _TimeoutClient(Client):
    """Client that gives up on a silent server, and closes itself if it can't connect."""

    def __init__(self, address: str, timeout: float) -> None:
        # Half as long again as Dask waits: its own error, if it comes in time, says more.
        self._patience = 1.5 * timeout
        try:
            super().__init__(address, timeout=timeout)  # type: ignore[no-untyped-call]
        except BaseException:
            # The garbage collector would do it otherwise, in a thread that may have to wait for itself.
            self.close()  # type: ignore[no-untyped-call]
            raise

    async def _start(self, *arguments: Any, **options: Any) -> Any:
        """Connect, or raise TimeoutError."""
        # Dask itself waits without end for a server that accepts a connection and is silent.
        started = super()._start(*arguments, **options)  # type: ignore[no-untyped-call]
        return await asyncio.wait_for(started, self._patience)
