"""The window of a stage: the tasks that a scheduler has now, submitted, watched, and tried again.

A task that raises an error is tried a few times.  A task whose workers died is a *suspect*: it may have
killed them, or another task on the same workers did.  It is tried once more when all other tasks have ended,
alone, on one worker.  If that worker dies too, the task is given up.
"""

from __future__ import annotations

from collections import Counter, deque
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from distributed import Client, Future, as_completed

from novelty_dask.errors import ClusterError, NoveltyError
from novelty_dask.execution.executors import TASK_ATTEMPTS, Outcome, Perform, is_final
from novelty_dask.execution.names import PART_TASKS
from novelty_dask.execution.scheduler import Scheduler, WorkersDied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from novelty_dask.objects.commits import Metrics


class CountedTasks:
    """Tasks that have ended, held until the others of the same name have, so that the dashboard counts them.

    A scheduler forgets a task that nobody holds, and its dashboard would show as many as are left, and none
    that is done.  If a worker dies, Dask computes results that are held again; a task that is committed
    returns at once.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._parts: dict[str, int] = {}
        self._n_begun = 0
        self._left: Counter[int] = Counter()
        self.held: dict[int, list[Future[Any]]] = {}

    def part(self, item: str) -> int:
        """Return the number of the thousand tasks to which an item belongs; a new item to the last."""
        if item not in self._parts:
            self._parts[item] = part = self._n_begun // PART_TASKS
            self._n_begun += 1
            self._left[part] += 1
        return self._parts[item]

    def hold(self, future: Future[Any], item: str) -> None:
        """Hold a task if it is finished."""
        if future.status == "finished":
            self.held.setdefault(self.part(item), []).append(Future(future.key, self._client))

    def end(self, item: str) -> None:
        """Let go of all tasks of a name when the last of them has ended, and others have begun."""
        part = self._parts.pop(item)
        self._left[part] -= 1
        if not self._left[part] and self._n_begun >= (part + 1) * PART_TASKS:
            for future in self.held.pop(part, []):
                future.release()

    def __iter__(self) -> Iterator[Future[Any]]:
        """Yield all tasks that are held."""
        return chain.from_iterable(self.held.values())


class Window:
    """The tasks of a stage that a scheduler has now, and the suspects.

    Parameters
    ----------
    scheduler : Scheduler
    prefix : callable
        Returns the beginning of the keys of a thousand tasks, by which the dashboard counts them.
    perform : callable
        Function that does the task of an item.
    """

    def __init__(self, scheduler: Scheduler, prefix: Callable[[int], str], perform: Perform) -> None:
        self.scheduler = scheduler
        self.prefix = prefix
        self.perform = perform
        self.counted = CountedTasks(scheduler.client)
        # By future, the item of its task.
        self.in_flight: dict[Future[Metrics], str] = {}
        self.attempts: Counter[str] = Counter()
        self.deaths: Counter[str] = Counter()
        # Items whose workers died, perhaps because of another task.
        self.suspects: deque[str] = deque()
        # The address of the worker on which a suspect runs alone; None while ordinary tasks run.
        self.alone: str | None = None
        self.running = self._watch_nothing()

    def refill(self, ready: deque[str], size: int) -> bool:
        """Submit items that are ready, until `size` are in flight; return whether any are."""
        # Suspects come last, and one at a time: by then nothing else runs that one could take with it, and if
        # its worker dies it is proven to be the cause.
        if not self.in_flight:
            self.alone = self._wait_for_worker() if self.suspects and not ready else None
        if self.alone and not self.in_flight:
            self._submit([self.suspects.popleft()])
        self._submit([ready.popleft() for _ in range(min(len(ready), size - len(self.in_flight)))])
        return bool(self.in_flight)

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
            parts = map(self.counted.part, items)
            keys = [
                f"{self.prefix(part)}-{item}-{self.attempts[item]}"
                for part, item in zip(parts, items, strict=True)
            ]
            # Bound to one worker, a suspect can't move on to the next when that one dies.
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
                # Before the future is released, as only tasks that somebody holds are counted.
                self.counted.hold(future, item)
                yield self._end(Outcome(item, self._metrics(future)))
            except NoveltyError as error:
                if is_final(error, self.attempts[item]):
                    raise
                self._submit([item])
            except WorkersDied as error:
                self.deaths[item] += error.n_workers
                if self.alone:
                    yield self._end(Outcome(item, {}, ClusterError(str(WorkersDied(self.deaths[item])))))
                else:
                    # Perhaps another task on the same worker killed it: decide when the others are done.
                    self.suspects.append(item)
            except Exception as error:  # noqa: BLE001 - whatever it is, the rest goes on
                if self.attempts[item] < TASK_ATTEMPTS:
                    self._submit([item])
                else:
                    yield self._end(Outcome(item, {}, error))

    def _end(self, outcome: Outcome) -> Outcome:
        """Count a task as ended; return its outcome."""
        self.counted.end(outcome.item)
        return outcome

    def _next_batch(self) -> list[Future[Metrics]]:
        """Return the futures that end next, or that of a suspect whose worker is gone."""
        for watch in self.scheduler.waits():
            if batch := list(self.running.next_batch(block=False)):
                return batch
            # Dask would keep a task that is bound to a dead worker pending without end.
            if self.alone and watch.workers is not None and self.alone not in watch.workers:
                break
        self.running = self._watch_nothing()
        return list(self.in_flight)

    def _metrics(self, future: Future[Metrics]) -> Metrics:
        """Return the metrics of a task, or raise its error."""
        if self.alone and future.status == "pending":
            future.release()
            raise WorkersDied(1)
        return self.scheduler.result(future)

    def _watch_nothing(self) -> as_completed:
        """Return an iterator over futures as they end, without any future yet."""
        return as_completed(loop=self.scheduler.client.loop)
