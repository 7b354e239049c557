"""Worker processes on this machine, started for one run and ended with it."""

from __future__ import annotations

import signal
import socket
import tempfile
import warnings
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

import dask
from distributed import Client, LocalCluster, Nanny, Status

from novelty_dask.errors import ClusterError, reason
from novelty_dask.execution.clusters.configuration import quieten_distributed, read_configuration
from novelty_dask.execution.clusters.connect import client_executor, dashboard_link
from novelty_dask.execution.clusters.main_guard import MESSAGE, UNGUARDED_EXIT, check_script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from novelty_dask.execution.clusters.resources import Resources
    from novelty_dask.execution.dask_executor import DaskExecutor

DASHBOARD_PORT = 8787
LOOPBACK = "127.0.0.1"


@contextmanager
def open_local_executor(resources: Resources) -> Iterator[tuple[DaskExecutor, str | None]]:
    """Start worker processes; yield an executor on them, and the link of their dashboard."""
    check_script()
    quieten_distributed()
    with (
        tempfile.TemporaryDirectory(prefix="novelty-", ignore_cleanup_errors=True) as scratch,
        dask.config.set({**read_configuration(), "temporary-directory": scratch}),
        ExitStack() as opened,
    ):
        exits: list[int] = []
        # Blocked only while the workers start: they inherit it, and this process can be stopped again.
        with _signals_blocked(), _start_errors(exits), warnings.catch_warnings():
            # Another program may have taken the port since it was free; then Dask takes any.
            warnings.filterwarnings("ignore", "Port .* is already in use")
            cluster = opened.enter_context(
                LocalCluster(
                    n_workers=resources.workers,
                    threads_per_worker=resources.threads,
                    memory_limit=resources.memory_limit,
                    # Reachable from this machine alone: whoever reaches a scheduler can run code on its
                    # workers.
                    host=LOOPBACK,
                    dashboard_address=f"{LOOPBACK}:{_free_port(DASHBOARD_PORT)}",
                    local_directory=scratch,
                    # Dask's logs would interleave with the progress; events and errors tell all that matters.
                    silence_logs="CRITICAL",
                    worker_class=_watching_nanny(exits),
                )
            )
            client = opened.enter_context(Client(cluster))
        yield client_executor(client), dashboard_link(client)


def _watching_nanny(exits: list[int]) -> type[Nanny]:
    """Return a class of nannies that note the exit codes of their worker processes."""

    class WatchingNanny(Nanny):
        """Starter and watcher of one worker process."""

        def _on_worker_exit_sync(self, exitcode: int) -> Any:
            exits.append(exitcode)
            # Before version 2026.7, Dask starts another process in the place of one that ended while it
            # started, and may then wait for the first one forever.
            if self.status in (Status.init, Status.starting):
                return None
            return super()._on_worker_exit_sync(exitcode)  # type: ignore[no-untyped-call]

        async def kill(self, timeout: float = 5, reason: str = "nanny-kill") -> None:
            try:
                await super().kill(timeout, reason)
            except TimeoutError:
                # The process was sent SIGKILL, and a machine under load has not ended it yet.  What the run
                # was to give is there: that is no error of it.
                if self.status is not Status.closing:
                    raise

    return WatchingNanny


@contextmanager
def _start_errors(exits: list[int]) -> Iterator[None]:
    """Turn errors while worker processes start into one that says why, as far as their exit codes tell."""
    try:
        yield
    except Exception as error:
        if UNGUARDED_EXIT in exits:
            raise ClusterError(MESSAGE) from None
        code = next(filter(None, exits), 0)
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        why = f"a worker process {how}" if code else reason(error)
        message = f"The worker processes could not be started: {why}; start again, perhaps with fewer."
        raise ClusterError(message) from error


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Block Ctrl-C and SIGTERM while workers start; the workers inherit that, and never receive them."""
    # A terminal or a service manager sends these signals to all processes of a group.  A worker that ended by
    # itself would look like one that died in its task: only this process ends them, in order.
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Started later, the tracker would unblock the signals in the very thread that starts a worker.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _free_port(port: int) -> int:
    """Return the port, if nobody listens there, else 0 for any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return 0
    return port
