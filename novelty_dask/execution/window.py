"""The jobs of a stage that a scheduler has: submitted, watched, and tried again.

A task that raises an error is tried a few times.  One whose workers died may have been beside the one
that killed them: it is tried once more when all else has ended, alone, on one worker.  If that dies too,
there is no doubt left.
"""

from collections import Counter, deque
from collections.abc import Iterator

from distributed import Future, as_completed

from novelty_dask.errors import ClusterError, NoveltyError
from novelty_dask.execution.executors import ATTEMPTS, Figures, Job, Outcome, Perform
from novelty_dask.execution.scheduler import Scheduler, WorkersDied


class Window:
    """The jobs of a stage that a scheduler has, and those that are to be tried once more.

    Parameters
    ----------
    scheduler : Scheduler
        Where they are done.
    prefix : str
        Of their keys; its first word names the stage on the dashboard.
    perform : callable
        What does a job.
    """

    def __init__(self, scheduler: Scheduler, prefix: str, perform: Perform) -> None:
        self.scheduler = scheduler
        self.prefix = prefix
        self.perform = perform
        self.in_flight: dict[Future[Figures], Job] = {}
        self.attempts: Counter[str] = Counter()
        self.deaths: Counter[str] = Counter()
        self.suspects: deque[Job] = deque()
        self.alone: str | None = None
        self.running = self._nothing()

    def refill(self, ready: deque[Job], size: int) -> bool:
        """Submit jobs that are ready, until so many are in flight; whether any are.

        When all else has ended, what was in workers that died follows, one after the other.
        """
        if not self.in_flight:
            self.alone = self._some_worker() if self.suspects and not ready else None
        if self.alone and not self.in_flight:
            self._submit([self.suspects.popleft()])
        self._submit([ready.popleft() for _ in range(min(len(ready), size - len(self.in_flight)))])
        return bool(self.in_flight)

    def _some_worker(self) -> str:
        """A worker; waits for one as long as there is hope."""
        return next(min(workers) for _ in self.scheduler.waits() if (workers := self.scheduler.workers()))

    def _submit(self, jobs: list[Job]) -> None:
        """Submit jobs; one that is alone to one worker, so that another is not tried if that dies."""
        if jobs:
            self.attempts.update(job.item for job in jobs)
            keys = [f"{self.prefix}-{job.item}-{self.attempts[job.item]}" for job in jobs]
            where = [self.alone] if self.alone else None
            futures = self.scheduler.client.map(self.perform, jobs, key=keys, pure=False, workers=where)
            self.in_flight.update(zip(futures, jobs, strict=True))
            self.running.update(futures)

    def next_outcomes(self) -> Iterator[Outcome]:
        """How the jobs ended that end next."""
        for future in self._next_batch():
            job = self.in_flight.pop(future)
            try:
                yield Outcome(job.item, self._figures(future))
            except NoveltyError:
                raise
            except WorkersDied as error:
                self.deaths[job.item] += error.n_workers
                if self.alone:
                    yield Outcome(job.item, {}, ClusterError(str(WorkersDied(self.deaths[job.item]))))
                else:
                    self.suspects.append(job)
            except Exception as error:  # noqa: BLE001 - whatever it is, the rest goes on
                if self.attempts[job.item] < ATTEMPTS:
                    self._submit([job])
                else:
                    yield Outcome(job.item, {}, error)

    def _next_batch(self) -> list["Future[Figures]"]:
        """The futures that end next; also the one that is alone, if its worker is gone."""
        for watch in self.scheduler.waits():
            if batch := list(self.running.next_batch(block=False)):
                return batch
            if self.alone and watch.workers is not None and self.alone not in watch.workers:
                break
        self.running = self._nothing()
        return list(self.in_flight)

    def _figures(self, future: "Future[Figures]") -> Figures:
        """The figures of a job, or what the job itself raised."""
        if self.alone and future.status == "pending":
            future.release()
            raise WorkersDied(1)
        return self.scheduler.result(future)

    def _nothing(self) -> as_completed:
        """What tells of futures, before there is any."""
        return as_completed(loop=self.scheduler.client.loop)
