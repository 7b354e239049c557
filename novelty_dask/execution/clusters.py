"""Where tasks run: in this process, on local worker processes, or on a scheduler elsewhere."""

import asyncio
import logging
import signal
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from ipaddress import ip_address
from multiprocessing import resource_tracker
from typing import Any

import dask
import psutil
from distributed import Client, LocalCluster
from distributed.comm.addressing import get_address_host
from distributed.comm.core import CommClosedError

from novelty_dask.errors import ClusterError
from novelty_dask.execution.dask_executor import DaskExecutor
from novelty_dask.execution.executors import Executor
from novelty_dask.execution.resources import Resources
from novelty_dask.execution.scheduler import Scheduler

CONNECT_SECONDS = 10
CLOSE_SECONDS = 2
"""How long a scheduler is waited for that is left."""
DASHBOARD_PORT = 8787
LOOPBACK = "127.0.0.1"

CONFIGURATION = {
    # A shuffle in little memory.
    "distributed.p2p.comm.buffer": "16 MiB",
    "distributed.p2p.storage.buffer": "16 MiB",
    # Tasks keep their results in the run, so there is nothing that spilling or pausing would free.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    # Dask's own loops, which took 3 % of each worker and 4 % of the client, look less often.
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "2s",
    "distributed.worker.profile.interval": "100ms",
    # No endless waits: neither without any worker, nor for one that is frozen.  Kernels let the interpreter
    # go on, so that a worker at work is heard of every second.
    "distributed.scheduler.no-workers-timeout": "120s",
    "distributed.scheduler.worker-ttl": "60s",
    # A task that was in so many workers that died, and one more, is a suspect, to be tried alone; while lines
    # are read and sorted it is given up.
    "distributed.scheduler.allowed-failures": 2,
}


_LOST = (asyncio.CancelledError, CommClosedError)


def _is_worth_saying(record: logging.LogRecord) -> bool:
    """Whether a record is not one that Distributed brings up when it is left at a bad moment, harmlessly.

    What cancels a call that was interrupted before it began (distributed.utils.sync) fails.  That a
    connection was lost is told by an error of ours, too.
    """
    error = record.exc_info[1] if record.exc_info else None
    while error is not None:
        # Where it was lost, something else may answer under its address, and be misunderstood.
        if isinstance(error, _LOST):
            return False
        error = error.__cause__ or error.__context__
    return "sync.<locals>.cancel" not in record.getMessage()


for _name in ("tornado.application", "distributed.client", "distributed.batched"):
    logging.getLogger(_name).addFilter(_is_worth_saying)


def client_resources(client: Client, memory_limit: int | None = None) -> Resources:
    """What the workers of a client are; the weakest counts.

    Raises
    ------
    ClusterError
        There are none, or the scheduler is silent.
    """
    scheduler = Scheduler(client)
    deadline = time.monotonic() + CONNECT_SECONDS
    while not scheduler.workers():
        if time.monotonic() > deadline:
            message = f"No worker joined the scheduler within {CONNECT_SECONDS} s; start some and repeat."
            raise ClusterError(message)
        time.sleep(0.1)
    workers = scheduler.ask(lambda: client.scheduler_info(n_workers=-1))["workers"].values()
    limits = [worker["memory_limit"] or psutil.virtual_memory().total for worker in workers]
    threads = max(worker["nthreads"] for worker in workers)
    return Resources(len(limits), threads, min([*limits, *([memory_limit] if memory_limit else [])]))


@contextmanager
def open_executor(resources: Resources) -> Iterator[tuple[Executor, str | None]]:
    """Start what runs the tasks, and the link of its dashboard.

    Worker processes can be reached from this machine alone.
    """
    with (
        tempfile.TemporaryDirectory(prefix="novelty-", ignore_cleanup_errors=True) as scratch,
        dask.config.set({**CONFIGURATION, "temporary-directory": scratch}),
        ExitStack() as opened,
    ):
        with _deaf_to_interrupts():
            cluster = opened.enter_context(
                LocalCluster(
                    n_workers=resources.workers,
                    threads_per_worker=resources.threads,
                    memory_limit=resources.memory_limit,
                    host=LOOPBACK,
                    dashboard_address=f"{LOOPBACK}:{_free_port(DASHBOARD_PORT)}",
                    local_directory=scratch,
                    silence_logs="CRITICAL",
                )
            )
            client = opened.enter_context(Client(cluster))
        yield client_executor(client), cluster.dashboard_link


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait while workers start; they inherit that they never hear them.

    A terminal, or a service manager, sends them to all processes, but to end the workers is the business of
    this one.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Where it starts late, it unblocks the signal in the thread that is about to start a worker.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def exposure(client: Client) -> str | None:
    """What others on the network can see and do, if a scheduler is not on this machine and not encrypted."""
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


def client_executor(client: Client) -> DaskExecutor:
    """What runs the tasks of one run on a client's scheduler."""
    return DaskExecutor(client, uuid.uuid4().hex[:8])


class _CarefulClient(Client):
    """Gives up where nobody answers, and closes itself where it can't connect."""

    def __init__(self, address: str, timeout: int) -> None:
        try:
            super().__init__(address, timeout=timeout)  # type: ignore[no-untyped-call]
        except BaseException:
            # Else the garbage collector does, which may wait for itself.
            self.close()  # type: ignore[no-untyped-call]
            raise

    async def _start(self, timeout: Any = CONNECT_SECONDS, **options: Any) -> Any:
        """Connect; Dask itself waits without end for a server that accepts and is silent."""
        started = super()._start(timeout=timeout, **options)  # type: ignore[no-untyped-call]
        return await asyncio.wait_for(started, timeout + 5)


@contextmanager
def connect(address: str) -> Iterator[Client]:
    """Connect to a running scheduler.

    Raises
    ------
    ClusterError
        It can't be reached.
    """
    try:
        client = _CarefulClient(address, timeout=CONNECT_SECONDS)
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
            client.close(timeout=CLOSE_SECONDS)  # type: ignore[no-untyped-call]
        # Else the garbage collector tries once more, and longer.
        client.status = "closed"


def _free_port(port: int) -> int:
    """The port, if nobody listens there, else 0 for any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return 0
    return port
