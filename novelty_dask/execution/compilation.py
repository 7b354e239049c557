"""Compilation of the kernels, told to the client of a run, wherever it happens."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from novelty_dask.events import CompilationStarted
from novelty_dask.execution.messages import messages_of_workers, send_message
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
    tell = _once(listener)

    def take(message: dict[str, Any]) -> None:
        tell(CompilationStarted(message["folder"], message["problem"]))

    with messages_of_workers(scheduler, TOPIC, take):
        yield


def report_compilation() -> None:
    """Let clients know from now on if this process compiles in a task of a Dask worker."""
    if _log_event not in LISTENERS:
        LISTENERS.append(_log_event)


def _log_event(event: CompilationStarted) -> None:
    """Tell all clients that listen, if this thread runs a task of a worker."""
    send_message(TOPIC, asdict(event))


def _once(listener: Listener) -> Callable[[CompilationStarted], None]:
    """Return a listener that is called for the first of equal events."""
    told: set[CompilationStarted] = set()

    def tell(event: CompilationStarted) -> None:
        if event not in told:
            told.add(event)
            listener(event)

    return tell
