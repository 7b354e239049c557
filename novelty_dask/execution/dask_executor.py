"""Tasks on a Dask scheduler.

A bounded window of them is kept in flight, refilled in batches, so that the scheduler's memory does not
grow with their number; only a future that ended as "finished" counts as done.
"""

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from typing import Any

import dask
from distributed import Client, Future, Worker, as_completed

from novelty_dask.execution import usage
from novelty_dask.execution.executors import Outcome, Perform
from novelty_dask.execution.tasks import Job
from novelty_dask.execution.usage import Usage
from novelty_dask.execution.window import Window, ended_well, reaching_scheduler

MINIMUM_WINDOW = 64
SETTLE_SECONDS = 60
RELEASE_SECONDS = 0.2


class DaskExecutor:
    """Runs everything on the scheduler of a client.

    Parameters
    ----------
    client : distributed.Client
        A connected client; it is not closed here.
    token : str
        Part of each task's key, so that runs on one scheduler do not meet.
    """

    def __init__(self, client: Client, token: str) -> None:
        self.client = client
        self.token = token
        self._dropped: set[str] = set()

    def map(self, stage: str, perform: Perform, ready: deque[Job]) -> Generator[Outcome, None, None]:
        """Perform jobs on the workers."""
        with reaching_scheduler():
            size = max(2 * sum(self.client.nthreads().values()), MINIMUM_WINDOW)
        window = Window(self.client, f"{stage}-{self.token}", perform)
        with self._released(window.in_flight):
            while window.refill(ready, size):
                yield from window.next_outcomes()

    def compute(self, collection: Any) -> Generator[Any, None, None]:
        """Compute a Dask collection on the workers; yield each partition as it comes."""
        with dask.config.set({"dataframe.shuffle.method": "p2p"}):
            futures = self.client.compute(collection.to_delayed())
        with self._released(futures):
            yield from map(ended_well, as_completed(futures))

    def usage(self, *, forget_peak: bool = False) -> list[Usage]:
        """What the workers have used, those that are there, and this process last."""
        measure = usage.forget_peak if forget_peak else usage.usage
        with reaching_scheduler():
            workers: dict[str, Usage] = self.client.run(measure, on_error="ignore")
        return [*workers.values(), measure()]

    def settle(self) -> None:
        """Wait for dropped tasks that workers have: nothing stops one that is being run, nor its writing."""
        deadline = time.monotonic() + SETTLE_SECONDS
        if self._dropped:
            # What the scheduler has not heard of yet it could still hand out.
            time.sleep(RELEASE_SECONDS)
        while self._dropped and self.client.status == "running" and time.monotonic() < deadline:
            time.sleep(0.1)
            with suppress(CancelledError, OSError):
                if not any(self.client.run(_has_any, self._dropped, on_error="ignore").values()):
                    self._dropped.clear()

    @contextmanager
    def _released(self, futures: Iterable["Future[Any]"]) -> Iterator[None]:
        """In the end, however it comes, let the scheduler drop what has not been done."""
        try:
            yield
        finally:
            self._dropped.update(str(future.key) for future in futures if future.status == "pending")
            for future in list(futures):
                future.release()


def _has_any(keys: set[str], dask_worker: Worker) -> bool:
    """Whether a worker is at any of some tasks, or about to be."""
    known = map(str, [*dask_worker.active_threads.values(), *dask_worker.state.tasks])
    return not keys.isdisjoint(known)
