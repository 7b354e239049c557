"""An executor on a Dask scheduler.

It keeps a bounded window of tasks in flight and refills it in batches, so that the scheduler's memory does
not grow with their number.  Only a future that ended as "finished" counts as done.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import dask
from distributed import Client, Future, Worker, as_completed
from distributed import Scheduler as DaskScheduler

from novelty_dask.errors import ClusterError, NoveltyError, reason
from novelty_dask.execution import usage
from novelty_dask.execution.names import task_name
from novelty_dask.execution.scheduler import Scheduler, WorkersDied
from novelty_dask.execution.temporary import TemporaryFolder, check_free, temporary_folder
from novelty_dask.execution.window import Window

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from dask.typing import Key

    from novelty_dask.execution.executors import Outcome, Perform
    from novelty_dask.execution.reports import RunReport
    from novelty_dask.execution.usage import Usage
    from novelty_dask.planning.stages import Stage


class DaskExecutor:
    """Executor on the scheduler of a client.

    Parameters
    ----------
    client : distributed.Client
        A connected client; it is not closed here.
    token : str
        Part of each task's key, so that runs on one scheduler do not meet.

    Attributes
    ----------
    report : RunReport or None
        Describes the run on the scheduler's dashboard.
    """

    def __init__(self, client: Client, token: str) -> None:
        self.client = client
        self.scheduler = Scheduler(client)
        self.token = token
        self.report: RunReport | None = None
        self._dropped: set[Key] = set()

    def announce(self, stage: Stage, needed: set[str]) -> None:
        """Describe a stage on the scheduler's dashboard."""
        if self.report:
            self.report.begin(stage, needed)

    def map(self, stage: str, perform: Perform, ready: deque[str]) -> Generator[Outcome, None, None]:
        """Perform tasks on the workers."""
        window = Window(self.scheduler, f"{task_name(stage)}-{self.token}", perform)
        with self._released(window.in_flight):
            while window.refill(ready):
                for outcome in window.next_outcomes():
                    if self.report:
                        self.report.count(outcome.metrics)
                    yield outcome

    def compute(self, collection: Any) -> Generator[Any, None, None]:
        """Compute a Dask collection on the workers; yield each partition as it comes."""
        partitions = collection.to_delayed()
        # All partitions are of one graph, in which Dask may have fused tasks under other names.
        keys = set(partitions[0].dask)
        missing = deque(partitions)
        # A partition whose worker died may only have been beside the one that killed it: all of these are
        # computed once more, together.
        for is_last in (False, True):
            yield from self._partitions(missing, keys, is_last=is_last)

    def _partitions(
        self, missing: deque[Any], keys: set[Key], *, is_last: bool
    ) -> Generator[Any, None, None]:
        """Compute partitions of a graph; leave those whose workers died, perhaps by chance, in `missing`."""
        with dask.config.set({"dataframe.shuffle.method": "p2p"}):
            submitted = self.scheduler.submit(lambda: self.client.compute(list(missing)))
        futures = dict(zip(submitted, list(missing), strict=True))
        # From here on `missing` collects what must be computed again.
        missing.clear()
        running = as_completed(futures, loop=self.client.loop)
        with self._released(futures, keys):
            while not running.is_empty():
                for future in self.scheduler.next_batch(running):
                    try:
                        yield self._partition(future)
                    except WorkersDied as error:
                        if is_last:
                            message = f"Task {future.key!r} was given up: {error}."
                            raise ClusterError(message) from None
                        missing.append(futures[future])
        # While the client still knows the key of a failed partition, computing it again would return the old
        # failure at once: wait until all keys are forgotten.
        for _ in self.scheduler.waits():
            if self.client.futures.keys().isdisjoint(future.key for future in futures):
                break

    def _partition(self, future: Future[Any]) -> Any:
        """Return the content of a partition that was computed."""
        try:
            return self.scheduler.result(future)
        except OSError as error:
            # An OSError without a number is not the system's but Dask's, as of a shuffle that fills its disk.
            if isinstance(error, NoveltyError) or error.errno:
                raise
            message = f"A worker failed: {reason(error)}."
            raise ClusterError(message) from None

    def reserve(self, n_bytes: int) -> None:
        """Refuse to move more bytes than are free on the disks of the workers."""
        folders = self.scheduler.ask_workers(lambda: self.client.run(_worker_folder, on_error="ignore"))
        check_free(folders.values(), n_bytes)

    def usage(self, *, forget_peak: bool = False) -> list[Usage]:
        """Return the usage of each present worker, and of this process last."""
        measure = usage.forget_peak if forget_peak else usage.usage
        workers = self.scheduler.ask_workers(lambda: self.client.run(measure, on_error="ignore"))
        return [*workers.values(), measure()]

    def count_deaths(self) -> int:
        """Return how many workers of the scheduler have died, as far as it remembers."""
        return int(self.scheduler.ask(lambda: self.client.run_on_scheduler(_count_deaths)))

    def settle(self) -> None:
        """Wait for dropped tasks that workers still run, and that may still write."""
        deadline = time.monotonic() + self.scheduler.patience.settle
        with suppress(ClusterError):
            # Until the release has reached the scheduler, it could still hand out a dropped task.
            for is_busy in (self._is_known, self._is_at_work):
                while self._dropped and time.monotonic() < deadline:
                    if not self.scheduler.ask(is_busy, self.scheduler.patience.settled):
                        break
                    time.sleep(0.1)
        self._dropped.clear()

    def _is_known(self) -> bool:
        """Return whether the scheduler still knows a task that was dropped."""
        return bool(self.client.run_on_scheduler(_knows_any, self._dropped))

    def _is_at_work(self) -> bool:
        """Return whether a worker still runs a task that was dropped."""
        return any(self.client.run(_has_any, self._dropped, on_error="ignore").values())

    @contextmanager
    def _released(self, futures: Iterable[Future[Any]], keys: Iterable[Key] = ()) -> Iterator[None]:
        """Release all futures when the block ends, in whatever way, so that the scheduler drops the rest.

        Whatever else they need is named by `keys`.
        """
        try:
            yield
        finally:
            # A worker may be in the middle of a task that is dropped now, and still write: `settle` waits.
            left = list(futures)
            pending = [future.key for future in left if future.status == "pending"]
            self._dropped.update(pending, keys if pending else ())
            for future in left:
                future.release()


def _knows_any(keys: set[Key], dask_scheduler: DaskScheduler) -> bool:
    """Return whether a scheduler knows any of some tasks."""
    return any(key in dask_scheduler.tasks for key in keys)


def _has_any(keys: set[Key], dask_worker: Worker) -> bool:
    """Return whether a worker runs any of some tasks, or is about to."""
    return not keys.isdisjoint([*dask_worker.active_threads.values(), *dask_worker.state.tasks])


def _count_deaths(dask_scheduler: DaskScheduler) -> int:
    """Return how many workers a scheduler has lost that did not leave by themselves."""
    events = (event for _, event in dask_scheduler.get_events("all"))
    return sum(event["action"] == "remove-worker" and not event.get("expected") for event in events)


def _worker_folder(dask_worker: Worker) -> TemporaryFolder:
    """Return the folder in which a worker has its temporary files."""
    return temporary_folder(dask_worker.local_directory)
