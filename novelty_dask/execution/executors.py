"""Two ways to run the tasks of a stage: one after the other here, or on a Dask scheduler.

`SerialExecutor` defines what the other means.  On a scheduler a bounded window of tasks is
kept in flight, refilled in batches, so that the scheduler's memory does not grow with
their number; only a future that ended as "finished" counts as done.
"""

import itertools
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from typing import Any, Protocol, TypeVar

import dask
from dask.base import compute
from distributed import Client, Future, KilledWorker, Worker, as_completed
from distributed.scheduler import NoWorkerError

from novelty_dask.errors import ClusterError
from novelty_dask.execution import usage
from novelty_dask.execution.usage import Usage

MINIMUM_WINDOW = 64
SETTLE_SECONDS = 60

Item = TypeVar("Item")
Result = TypeVar("Result")


class Executor(Protocol):
    """Runs tasks and computes Dask collections; what its generators have begun ends when they are closed."""

    def map(
        self, stage: str, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Generator[Result, None, None]:
        """Call a function for each item; yield each result as it comes, in any order."""
        ...

    def compute(self, collection: Any) -> Generator[Any, None, None]:
        """Compute a Dask collection; yield each partition as it comes, in any order."""
        ...

    def usage(self, *, forget_peak: bool = False) -> list[Usage]:
        """What each process at work has used; then measure peaks anew if asked to."""
        ...


class SerialExecutor:
    """Runs everything in this thread, one after the other."""

    def map(
        self, stage: str, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Generator[Result, None, None]:
        """Call a function for each item, in their order."""
        yield from map(function, items)

    def compute(self, collection: Any) -> Generator[Any, None, None]:
        """Compute a Dask collection with the synchronous scheduler."""
        with dask.config.set({"dataframe.shuffle.method": "disk"}):
            yield from compute(*collection.to_delayed(), scheduler="synchronous")

    def usage(self, *, forget_peak: bool = False) -> list[Usage]:
        """What this process has used."""
        return [usage.forget_peak() if forget_peak else usage.usage()]


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
        self._numbers = itertools.count()
        self._dropped: set[str] = set()

    def map(
        self, stage: str, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> Generator[Result, None, None]:
        """Call a function for each item on the workers; yield each result as it comes."""
        waiting = iter(items)
        with _reaching_scheduler():
            window = max(2 * sum(self.client.nthreads().values()), MINIMUM_WINDOW)
        in_flight = set(self._submit(stage, function, itertools.islice(waiting, window)))
        running = as_completed(in_flight)
        with self._released(in_flight):
            for batch in running.batches():
                results = [_result(future) for future in batch]
                refill = self._submit(stage, function, itertools.islice(waiting, len(results)))
                in_flight.difference_update(batch)
                in_flight.update(refill)
                running.update(refill)
                yield from results

    def compute(self, collection: Any) -> Generator[Any, None, None]:
        """Compute a Dask collection on the workers; yield each partition as it comes."""
        with dask.config.set({"dataframe.shuffle.method": "p2p"}):
            futures = self.client.compute(collection.to_delayed())
        with self._released(futures):
            yield from map(_result, as_completed(futures))

    def usage(self, *, forget_peak: bool = False) -> list[Usage]:
        """What the workers have used, those that are there, and this process last."""
        measure = usage.forget_peak if forget_peak else usage.usage
        with _reaching_scheduler():
            workers: dict[str, Usage] = self.client.run(measure, on_error="ignore")
        return [*workers.values(), measure()]

    def settle(self) -> None:
        """Wait for dropped tasks that are being run, as nothing can stop them, nor their writing."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while self._dropped and self.client.status == "running" and time.monotonic() < deadline:
            time.sleep(0.1)
            with suppress(CancelledError, OSError):
                if not any(self.client.run(_runs_any, self._dropped, on_error="ignore").values()):
                    self._dropped.clear()

    def _submit(
        self, stage: str, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> list["Future[Result]"]:
        """Submit one task an item; the key's first words name the stage on the dashboard."""
        batch = list(items)
        keys = [f"{stage}-{self.token}-{next(self._numbers)}" for _ in batch]
        futures: list[Future[Result]] = self.client.map(function, batch, key=keys, pure=False)
        return futures

    @contextmanager
    def _released(self, futures: Iterable["Future[Any]"]) -> Iterator[None]:
        """In the end, however it comes, let the scheduler drop what has not been done."""
        try:
            yield
        finally:
            self._dropped.update(str(future.key) for future in futures if future.status == "pending")
            for future in list(futures):
                future.release()


def _runs_any(keys: set[str], dask_worker: Worker) -> bool:
    """Whether a worker is at any of some tasks."""
    return not keys.isdisjoint(map(str, list(dask_worker.active_threads.values())))


@contextmanager
def _reaching_scheduler() -> Iterator[None]:
    """Say in the user's terms that the scheduler can't be reached."""
    try:
        yield
    except (CancelledError, OSError):
        message = "The connection to the Dask scheduler was lost; start it again and repeat the command."
        raise ClusterError(message) from None


def _result(future: "Future[Result]") -> Result:
    """The result of an ended future, or in the user's terms why there is none."""
    try:
        if future.status == "error":
            return future.result()
        with _reaching_scheduler():
            return future.result()
    except KilledWorker as error:
        message = (
            f"Task {error.task!r} was given up after {error.allowed_failures + 1} workers died in it, "
            "most likely for lack of memory; lower --block-rows or raise --memory-limit."
        )
        raise ClusterError(message) from None
    except NoWorkerError as error:
        message = f"There has been no worker for {error.timeout:.0f} s; start some and repeat the command."
        raise ClusterError(message) from None
    finally:
        future.release()
