"""Two ways to run the tasks of a stage: one after the other here, or on a Dask scheduler.

`SerialExecutor` defines what the other means.  On a scheduler a bounded window of tasks is
kept in flight, refilled in batches, so that the scheduler's memory does not grow with
their number; only a future that ended as "finished" counts as done.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import dask
from dask.base import compute
from distributed import Client, Future, KilledWorker, as_completed
from distributed.scheduler import NoWorkerError

from novelty_dask.errors import ClusterError
from novelty_dask.execution import usage
from novelty_dask.execution.usage import Usage

MINIMUM_WINDOW = 64

Item = TypeVar("Item")
Result = TypeVar("Result")


class Executor(Protocol):
    """Runs tasks and computes Dask collections."""

    def map(self, stage: str, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Call a function for each item; yield each result as it comes, in any order."""
        ...

    def compute(self, collection: Any) -> Iterator[Any]:
        """Compute a Dask collection; yield each partition as it comes, in any order."""
        ...

    def usage(self, *, forget_peak: bool = False) -> list[Usage]:
        """What each process at work has used; then measure peaks anew if asked to."""
        ...


class SerialExecutor:
    """Runs everything in this thread, one after the other."""

    def map(self, stage: str, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Call a function for each item, in their order."""
        return map(function, items)

    def compute(self, collection: Any) -> Iterator[Any]:
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

    def map(self, stage: str, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Call a function for each item on the workers; yield each result as it comes."""
        waiting = iter(items)
        with _reaching_scheduler():
            window = max(2 * sum(self.client.nthreads().values()), MINIMUM_WINDOW)
        running = as_completed(self._submit(stage, function, itertools.islice(waiting, window)))
        with _released(running.futures):
            for batch in running.batches():
                with _released(batch):
                    results = [_result(future) for future in batch]
                running.update(self._submit(stage, function, itertools.islice(waiting, len(results))))
                yield from results

    def compute(self, collection: Any) -> Iterator[Any]:
        """Compute a Dask collection on the workers; yield each partition as it comes."""
        with dask.config.set({"dataframe.shuffle.method": "p2p"}):
            futures = self.client.compute(collection.to_delayed())
        with _released(futures):
            yield from map(_result, as_completed(futures))

    def usage(self, *, forget_peak: bool = False) -> list[Usage]:
        """What the workers have used, those that are there, and this process last."""
        measure = usage.forget_peak if forget_peak else usage.usage
        with _reaching_scheduler():
            workers: dict[str, Usage] = self.client.run(measure, on_error="ignore")
        return [*workers.values(), measure()]

    def _submit(
        self, stage: str, function: Callable[[Item], Result], items: Iterable[Item]
    ) -> list["Future[Result]"]:
        """Submit one task an item; the key's first words name the stage on the dashboard."""
        batch = list(items)
        keys = [f"{stage}-{self.token}-{next(self._numbers)}" for _ in batch]
        futures: list[Future[Result]] = self.client.map(function, batch, key=keys, pure=False)
        return futures


@contextmanager
def _released(futures: Iterable["Future[Any]"]) -> Iterator[None]:
    """In the end, however it comes, let the scheduler drop what has not been done."""
    try:
        yield
    finally:
        for future in list(futures):
            future.release()


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
