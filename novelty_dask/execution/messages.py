"""Messages from tasks on Dask's workers to the client of a run, by the events of Dask's scheduler."""

from __future__ import annotations

import sys
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from novelty_dask.execution.scheduler import Scheduler


@contextmanager
def messages_of_workers(scheduler: Scheduler, topic: str, take: Callable[[Any], None]) -> Iterator[None]:
    """Pass on each message of workers on a topic, in the thread that waits for the scheduler."""
    messages = SimpleQueue[Any]()

    def pass_on() -> None:
        with suppress(Empty):
            while True:
                take(messages.get_nowait())

    # Dask calls it in the thread of its event loop, but listeners are called from one thread alone.
    scheduler.submit(lambda: scheduler.client.subscribe_topic(topic, lambda event: messages.put(event[1])))
    scheduler.on_wait.append(pass_on)
    try:
        yield
    finally:
        scheduler.on_wait.remove(pass_on)
        # The connection may be gone, and with it the subscription.
        with suppress(Exception):
            scheduler.client.unsubscribe_topic(topic)


def send_message(topic: str, message: Any) -> None:
    """Send a message to all clients that listen, if this thread runs a task of a worker."""
    # A process that has not imported Distributed runs no worker, and is spared the time to import it.
    if "distributed" in sys.modules:
        from distributed import get_worker  # noqa: PLC0415

        with suppress(ValueError):
            get_worker().log_event(topic, message)
