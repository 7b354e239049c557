"""The window of a stage: tasks that a scheduler has, submitted, watched, and tried again.

A task that raises an error is tried a few times.  One whose workers died may have been beside the one
that killed them: it is tried once more when all else has ended, alone, on one worker.  If that dies too,
there is no doubt left.
"""

from __future__ import annotations

from collections import Counter, deque
from functools import partial
from typing import TYPE_CHECKING

from distributed import Future, as_completed

from novelty_dask.errors import ClusterError, NoveltyError
from novelty_dask.execution.executors import ATTEMPTS, Outcome, Perform
from novelty_dask.execution.scheduler import Scheduler, WorkersDied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from novelty_dask.objects.commits import Metrics


class Window:
    """The tasks of a stage that a scheduler has, and those that are to be tried once more.

    Parameters
    ----------
    scheduler : Scheduler
        Where they are done.
    prefix : str
        Of their keys; its first word names the stage on the dashboard.
    perform : callable
        Does the task of an item.
    """

    def __init__(self, scheduler: Scheduler, prefix: str, perform: Perform) -> None:
        self.scheduler = scheduler
        self.prefix = prefix
        self.perform = perform
        # By future, the item of its task.
        self.in_flight: dict[Future[Metrics], str] = {}
        self.attempts: Counter[str] = Counter()
        self.deaths: Counter[str] = Counter()
        # Items whose worker died in them, perhaps because of another task on it.
        self.suspects: deque[str] = deque()
        # The address of the worker on which one suspect runs with nothing beside it.
        self.alone: str | None = None
        self.running = self._watch_nothing()

    def refill(self, ready: deque[str], size: int) -> bool:
        """Submit items that are ready, until `size` are in flight; return whether any are.

        When all else has ended, suspects follow, one after the other.
        """
        if not self.in_flight:
            self.alone = self._wait_for_worker() if self.suspects and not ready else None
        if self.alone and not self.in_flight:
            self._submit([self.suspects.popleft()])
        self._submit([ready.popleft() for _ in range(min(len(ready), size - len(self.in_flight)))])
        return bool(self.in_flight)

    def _wait_for_worker(self) -> str:
        """Return a worker; wait for one as long as the scheduler may get one.

        Always the same one of several, so that the others are spared.
        """
        for _ in self.scheduler.waits():
            if workers := self.scheduler.workers():
                return min(workers)
        raise AssertionError

    def _submit(self, items: list[str]) -> None:
        """Submit items; a suspect goes to one worker alone, so that no other is lost if that one dies."""
        if items:
            self.attempts.update(items)
            # Dask remembers the keys of failed tasks; each attempt needs a key of its own.
            keys = [f"{self.prefix}-{item}-{self.attempts[item]}" for item in items]
            where = [self.alone] if self.alone else None
            submit = partial(self.scheduler.client.map, key=keys, pure=False, workers=where)
            futures = self.scheduler.submit(lambda: submit(self.perform, items))
            self.in_flight.update(zip(futures, items, strict=True))
            self.running.update(futures)

    def next_outcomes(self) -> Iterator[Outcome]:
        """Yield the outcomes of the tasks that end next; submit again those that may yet succeed."""
        for future in self._next_batch():
            item = self.in_flight.pop(future)
            try:
                yield Outcome(item, self._metrics(future))
            except NoveltyError:
                raise
            except WorkersDied as error:
                self.deaths[item] += error.n_workers
                if self.alone:
                    yield Outcome(item, {}, ClusterError(str(WorkersDied(self.deaths[item]))))
                else:
                    # Perhaps another task on the same worker killed it: decide when all else is done.
                    self.suspects.append(item)
            except Exception as error:  # noqa: BLE001 - whatever it is, the rest goes on
                if self.attempts[item] < ATTEMPTS:
                    self._submit([item])
                else:
                    yield Outcome(item, {}, error)

    def _next_batch(self) -> list[Future[Metrics]]:
        """Return the futures that end next; also the one of a suspect, if its worker is gone."""
        for watch in self.scheduler.waits():
            if batch := list(self.running.next_batch(block=False)):
                return batch
            if self.alone and watch.workers is not None and self.alone not in watch.workers:
                break
        self.running = self._watch_nothing()
        return list(self.in_flight)

    def _metrics(self, future: Future[Metrics]) -> Metrics:
        """Return the metrics of a task, or raise what the task itself raised."""
        if self.alone and future.status == "pending":
            future.release()
            raise WorkersDied(1)
        return self.scheduler.result(future)

    def _watch_nothing(self) -> as_completed:
        """Return what watches futures, before there are any."""
        return as_completed(loop=self.scheduler.client.loop)
