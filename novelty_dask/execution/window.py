"""The window of a stage: the tasks that a scheduler has now, submitted, watched, and tried again.

A task that raises an error is tried a few times.  A task whose workers died is a *suspect*: it may have
killed them, or another task on the same workers did.  It is tried once more when all other tasks have ended,
alone, on one worker.  If that worker dies too, the task is given up.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from functools import partial
from typing import TYPE_CHECKING

from distributed import Future, as_completed

from novelty_dask.errors import ClusterError, NoveltyError
from novelty_dask.execution.executors import TASK_ATTEMPTS, Outcome, Perform, is_final
from novelty_dask.execution.scheduler import Scheduler, WorkersDied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dask.typing import Key

    from novelty_dask.objects.commits import Metrics

TASKS_A_THREAD = 2
"""Tasks in flight: one at work, and one that waits on its worker while the outcome of the first travels."""
GATHERED_TASKS = 64
"""Ended tasks whose results are asked for at once: a question costs the scheduler as much as a task."""
GATHERING_SECONDS = 0.1
"""Longest time that the first of them waits for the others."""


class Window:
    """The tasks of a stage that a scheduler has now, and the suspects.

    Parameters
    ----------
    scheduler : Scheduler
    prefix : str
        Beginning of the keys of its tasks, by which the dashboard counts them.
    perform : callable
        Function that does the task of an item.
    """

    def __init__(self, scheduler: Scheduler, prefix: str, perform: Perform) -> None:
        self.scheduler = scheduler
        self.prefix = prefix
        self.perform = perform
        # By future, the item of its task.
        self.in_flight: dict[Future[Metrics], str] = {}
        self.attempts: Counter[str] = Counter()
        self.deaths: Counter[str] = Counter()
        # Items whose workers died, perhaps because of another task.
        self.suspects: deque[str] = deque()
        # The address of the worker on which a suspect runs alone; None while ordinary tasks run.
        self.alone: str | None = None
        self._looked: float | None = None
        self._threads = 0
        self.running = self._watch_nothing()

    def refill(self, ready: deque[str]) -> bool:
        """Submit items that are ready, as many as the workers need; return whether any are in flight."""
        # Suspects come last, and one at a time: by then nothing else runs that one could take with it, and if
        # its worker dies it is proven to be the cause.
        if not self.in_flight:
            self.alone = self._wait_for_worker() if self.suspects and not ready else None
        if self.alone and not self.in_flight:
            self._submit([self.suspects.popleft()])
        # Not fewer than none: workers may have left.
        room = max(self._size() - len(self.in_flight), 0)
        self._submit([ready.popleft() for _ in range(min(len(ready), room))])
        return bool(self.in_flight)

    def _size(self) -> int:
        """Return how many tasks shall be in flight, which follows the workers as they come and go."""
        # More would cost the scheduler memory, and put tasks at risk: each that is on a worker when it dies
        # may become a suspect.  Without any worker, tasks wait for one.
        if self._looked is None or time.monotonic() - self._looked > self.scheduler.patience.watch:
            self._looked = time.monotonic()
            self._threads = sum(self.scheduler.workers().values())
        return TASKS_A_THREAD * max(self._threads, 1)

    def _wait_for_worker(self) -> str:
        """Return the address of a worker; wait for one as long as the scheduler may get one."""
        for _ in self.scheduler.waits():
            if workers := self.scheduler.workers():
                # The same one for every suspect, as long as it lives, so that the others are spared.
                return min(workers)
        raise AssertionError

    def _submit(self, items: list[str]) -> None:
        """Submit items, to the chosen worker alone if there is one."""
        if items:
            self.attempts.update(items)
            # Dask remembers the keys of failed tasks, and would return the failure: a key for each attempt.
            keys = [f"{self.prefix}-{item}-{self.attempts[item]}" for item in items]
            # Bound to one worker, a suspect can't move on to the next when that one dies.
            where = [self.alone] if self.alone else None
            submit = partial(self.scheduler.client.map, key=keys, pure=False, workers=where)
            futures = self.scheduler.submit(lambda: submit(self.perform, items))
            self.in_flight.update(zip(futures, items, strict=True))
            self.running.update(futures)

    def next_outcomes(self) -> Iterator[Outcome]:
        """Yield the outcomes of the tasks that end next; submit again those that may yet succeed."""
        batch = self._next_batch()
        gathered = self._gather([future for future in batch if future.status == "finished"])
        for future in batch:
            item = self.in_flight.pop(future)
            try:
                yield Outcome(item, self._metrics(future, gathered), attempts=self.attempts[item])
            except NoveltyError as error:
                if is_final(error, self.attempts[item]):
                    raise
                self._submit([item])
            except WorkersDied as error:
                self.deaths[item] += error.n_workers
                if self.alone:
                    yield Outcome(item, {}, ClusterError(str(WorkersDied(self.deaths[item]))))
                else:
                    # Perhaps another task on the same worker killed it: decide when the others are done.
                    self.suspects.append(item)
            except Exception as error:  # noqa: BLE001 - whatever it is, the rest goes on
                if self.attempts[item] < TASK_ATTEMPTS:
                    self._submit([item])
                else:
                    yield Outcome(item, {}, error)

    def _gather(self, finished: list[Future[Metrics]]) -> dict[Key, Metrics]:
        """Return the metrics of finished tasks by key, as far as they can be had at once."""
        gathered: dict[Key, Metrics] = {}
        for first in range(0, len(finished), GATHERED_TASKS):
            gathered |= self.scheduler.results(finished[first : first + GATHERED_TASKS])
        return gathered

    def _next_batch(self) -> list[Future[Metrics]]:
        """Return the futures that end next, or that of a suspect whose worker is gone."""
        # A quarter of the window, at most: every thread has one more task to do meanwhile.
        enough = min(GATHERED_TASKS, 1 + len(self.in_flight) // 4)
        batch: list[Future[Metrics]] = []
        first_seen = 0.0
        for watch in self.scheduler.waits():
            first_seen = first_seen if batch else time.monotonic()
            batch += self.running.next_batch(block=False)
            if len(batch) >= enough or (batch and time.monotonic() - first_seen > GATHERING_SECONDS):
                return batch
            # Dask would keep a task that is bound to a dead worker pending without end.
            if self.alone and watch.workers is not None and self.alone not in watch.workers:
                break
        self.running = self._watch_nothing()
        return list(self.in_flight)

    def _metrics(self, future: Future[Metrics], gathered: dict[Key, Metrics]) -> Metrics:
        """Return the metrics of a task, or raise its error."""
        if future.key in gathered:
            future.release()
            return gathered[future.key]
        if self.alone and future.status == "pending":
            future.release()
            raise WorkersDied(1)
        return self.scheduler.result(future)

    def _watch_nothing(self) -> as_completed:
        """Return an iterator over futures as they end, without any future yet."""
        return as_completed(loop=self.scheduler.client.loop)
