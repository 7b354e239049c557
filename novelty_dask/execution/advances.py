"""Progress within tasks, told to the client of a run while they are at work, wherever that is."""

from __future__ import annotations

import hashlib
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from novelty_dask.events import TaskAdvanced
from novelty_dask.execution.messages import messages_of_workers, send_message
from novelty_dask.progress import heard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from novelty_dask.events import Listener
    from novelty_dask.execution.scheduler import Scheduler

REPORT_SECONDS = 3.0
"""Seconds between two reports of a task; the shortest tasks report nothing."""
LISTENERS: dict[str, Listener] = {}
"""Listeners to runs whose tasks this process does itself, by the topic of the run."""
_noted: dict[str, float] = {}


def _topic(url: str) -> str:
    """Return the topic of Dask's events of a run; not its URL, as everybody on the scheduler sees it."""
    return f"novelty-progress-{hashlib.blake2b(url.encode(), digest_size=8).hexdigest()}"


@contextmanager
def advances_here(url: str, listener: Listener) -> Iterator[None]:
    """Let a listener know of the progress within tasks of a run that this process does."""
    topic = _topic(url)
    LISTENERS[topic] = listener
    try:
        yield
    finally:
        LISTENERS.pop(topic, None)


@contextmanager
def advances_on_workers(scheduler: Scheduler, url: str, listener: Listener) -> Iterator[None]:
    """Let a listener know of the progress within tasks of a run that workers do."""
    with messages_of_workers(scheduler, _topic(url), lambda message: listener(TaskAdvanced(*message))):
        yield


@contextmanager
def reported(url: str, stage: str, item: str) -> Iterator[None]:
    """Report the progress of a task of a run, which the block is, every few seconds."""
    topic, last = _topic(url), time.monotonic()
    has_reported = False

    def tell(share: float) -> None:
        nonlocal last, has_reported
        if (now := time.monotonic()) - last >= REPORT_SECONDS:
            last, has_reported = now, True
            _report(topic, TaskAdvanced(stage, item, share))

    with heard(tell):
        yield
    # Not after an error: a task that is tried again begins at 0.  Its share counts until it has ended.
    if has_reported:
        _report(topic, TaskAdvanced(stage, item, 1.0))


def note(url: str, stage: str) -> None:
    """Report every few seconds that a stage is at work, from one of its short tasks."""
    topic, now = _topic(url), time.monotonic()
    if now - _noted.setdefault(topic, now) >= REPORT_SECONDS:
        _noted[topic] = now
        _report(topic, TaskAdvanced(stage, "", 0.0))


def _report(topic: str, event: TaskAdvanced) -> None:
    """Hand an event to the listener of this process, or send it to those of the scheduler."""
    if listener := LISTENERS.get(topic):
        listener(event)
    else:
        send_message(topic, [event.stage, event.item, event.share])
