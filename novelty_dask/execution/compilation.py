"""Compilation of the kernels, told to the client of a run, wherever it happens."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from dataclasses import asdict
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from novelty_dask.events import CompilationStarted
from novelty_dask.kernels.accelerate import LISTENERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from novelty_dask.events import Listener
    from novelty_dask.execution.scheduler import Scheduler

TOPIC = "novelty-compilation"
"""Topic of Dask's events, by which workers tell the clients of their scheduler."""


@contextmanager
def compilation_here(listener: Listener) -> Iterator[None]:
    """Let a listener know once if this process compiles."""
    tell = _once(listener)
    LISTENERS.append(tell)
    try:
        yield
    finally:
        LISTENERS.remove(tell)


@contextmanager
def compilation_on_workers(scheduler: Scheduler, listener: Listener) -> Iterator[None]:
    """Let a listener know once if a worker compiles, in the thread that waits for the scheduler."""
    tell, events = _once(listener), SimpleQueue[CompilationStarted]()

    def receive(event: tuple[float, Any]) -> None:
        # In the thread of Dask's event loop: listeners are called from one thread alone.
        message = event[1]
        events.put(CompilationStarted(message["folder"], message["problem"]))

    def pass_on() -> None:
        with suppress(Empty):
            while True:
                tell(events.get_nowait())

    scheduler.submit(lambda: scheduler.client.subscribe_topic(TOPIC, receive))
    scheduler.on_wait = pass_on
    try:
        yield
    finally:
        # The connection may be gone, and with it the subscription.
        with suppress(Exception):
            scheduler.client.unsubscribe_topic(TOPIC)


def report_compilation() -> None:
    """Let clients know from now on if this process compiles in a task of a Dask worker."""
    if _log_event not in LISTENERS:
        LISTENERS.append(_log_event)


def _log_event(event: CompilationStarted) -> None:
    """Tell all clients that listen, if this thread runs a task of a worker."""
    # A process that has not imported Distributed runs no worker, and is spared the time to import it.
    if "distributed" in sys.modules:
        from distributed import get_worker  # noqa: PLC0415

        with suppress(ValueError):
            get_worker().log_event(TOPIC, asdict(event))


def _once(listener: Listener) -> Callable[[CompilationStarted], None]:
    """Return a listener that is called for the first of equal events."""
    told: set[CompilationStarted] = set()

    def tell(event: CompilationStarted) -> None:
        if event not in told:
            told.add(event)
            listener(event)

    return tell
