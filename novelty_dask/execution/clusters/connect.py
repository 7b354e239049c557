"""A scheduler elsewhere: connecting to it, what its workers are, and whether the way there is encrypted."""

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
        # What is no scheduler may say anything, of which Dask makes any error.
        reason = str(error).split("\n")[0].rstrip(".") or type(error).__name__
        message = f"Can't reach a Dask scheduler at {address!r}: {reason}."
        raise ClusterError(message) from error
    try:
        yield client
    finally:
        # What goes wrong now is no news, and would hide what did before.
        with suppress(Exception):
            client.close(timeout=patience.close)  # type: ignore[no-untyped-call]
        # Else the garbage collector tries once more, and longer.
        client.status = "closed"


def client_resources(client: Client, memory_limit: int | None = None) -> Resources:
    """Return the number, threads and memory of the workers of a client; the weakest counts.

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
    workers = scheduler.ask(lambda: client.scheduler_info(n_workers=-1))["workers"].values()
    limits = [worker["memory_limit"] or psutil.virtual_memory().total for worker in workers]
    threads = max(worker["nthreads"] for worker in workers)
    return Resources(len(limits), threads, min([*limits, *([memory_limit] if memory_limit else [])]))


def client_executor(client: Client) -> DaskExecutor:
    """Return what runs the tasks of one run on a client's scheduler."""
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


class _TimeoutClient(Client):
    """Gives up where nobody answers, and closes itself where it can't connect."""

    def __init__(self, address: str, timeout: float) -> None:
        # Half as long again: Dask's own message, if it gives up in time, says more.
        self._patience = 1.5 * timeout
        try:
            super().__init__(address, timeout=timeout)  # type: ignore[no-untyped-call]
        except BaseException:
            # Else the garbage collector does, which may wait for itself.
            self.close()  # type: ignore[no-untyped-call]
            raise

    async def _start(self, *arguments: Any, **options: Any) -> Any:
        """Connect; Dask itself waits without end for a server that accepts and is silent."""
        started = super()._start(*arguments, **options)  # type: ignore[no-untyped-call]
        return await asyncio.wait_for(started, self._patience)
