"""The jobs of a stage that a scheduler has: submitted, watched, and tried again.

A task that raises an error is tried a few times.  One whose workers died may have been beside the one
that killed them: it is tried once more when all else has ended, alone.
"""

import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

from distributed import Client, Future, KilledWorker, as_completed
from distributed.scheduler import NoWorkerError

from novelty_dask.errors import ClusterError, NoveltyError
from novelty_dask.execution.executors import ATTEMPTS, Outcome, Perform
from novelty_dask.execution.tasks import Figures, Job

WATCH_SECONDS = 5.0
WORKERLESS_SECONDS = 60.0
"""How long work waits for a worker."""
POLL_SECONDS = 0.01


@contextmanager
def reaching_scheduler() -> Iterator[None]:
    """Say in the user's terms that the scheduler can't be reached."""
    try:
        yield
    except (CancelledError, OSError):
        message = "The connection to the Dask scheduler was lost; start it again and go on."
        raise ClusterError(message) from None


def ended_well(future: "Future[Any]") -> Any:
    """The result of an ended future, or in the user's terms why there is none."""
    try:
        if future.status == "error":
            return future.result()
        return _fetched(future)
    except KilledWorker as error:
        raise ClusterError(f"Task {error.task!r} was given up: {_said(error)}.") from None
    except NoWorkerError as error:
        raise ClusterError(_no_worker(error.timeout)) from None
    finally:
        future.release()


class _Watch:
    """Looks now and then whether there is anybody to do the work."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.looked = self.seen = time.monotonic()

    def check(self) -> None:
        """Give up if there has been nobody for too long."""
        now = time.monotonic()
        if now - self.looked > WATCH_SECONDS:
            self.looked = now
            with reaching_scheduler():
                self.seen = now if self.client.nthreads() else self.seen
        if now - self.seen > WORKERLESS_SECONDS:
            raise ClusterError(_no_worker(now - self.seen))


def _fetched(future: "Future[Any]") -> Any:
    """The result of a future; if its worker is gone Dask waits for another one, without end."""
    watch = _Watch(future.client)
    with reaching_scheduler():
        while True:
            try:
                return future.result(timeout=WATCH_SECONDS)
            except TimeoutError:
                watch.check()


def _said(error: KilledWorker) -> str:
    """What killed workers are a sign of."""
    died = f"{error.allowed_failures + 1} workers died in it"
    return f"{died}, most likely for lack of memory; lower --block-rows or raise --memory-limit"


def _no_worker(seconds: float) -> str:
    """That there is nobody to do the work."""
    return f"There has been no worker for {seconds:.0f} s; start some and go on."


class Window:
    """The jobs of a stage that a scheduler has, and those that are to be tried once more."""

    def __init__(self, client: Client, prefix: str, perform: Perform) -> None:
        self.client = client
        self.prefix = prefix
        self.perform = perform
        self.in_flight: dict[Future[Figures], Job] = {}
        self.attempts: Counter[str] = Counter()
        self.suspects: deque[Job] = deque()
        self.running = as_completed()

    def refill(self, ready: deque[Job], size: int) -> bool:
        """Submit jobs that are ready, until so many are in flight; whether any are.

        What was in a worker that died may not have been the reason.  So it is tried once more when all else
        has ended, alone.
        """
        if not ready and not self.in_flight and self.suspects:
            self._submit([self.suspects.popleft()])
        self._submit([ready.popleft() for _ in range(min(len(ready), size - len(self.in_flight)))])
        return bool(self.in_flight)

    def _submit(self, jobs: list[Job]) -> None:
        """Submit jobs; the first word of their keys names the stage on the dashboard."""
        if jobs:
            self.attempts.update(job.item for job in jobs)
            keys = [f"{self.prefix}-{job.item}-{self.attempts[job.item]}" for job in jobs]
            futures = self.client.map(self.perform, jobs, key=keys, pure=False)
            self.in_flight.update(zip(futures, jobs, strict=True))
            self.running.update(futures)

    def next_outcomes(self) -> Iterator[Outcome]:
        """How the jobs ended that end next."""
        for future in self._next_batch():
            job = self.in_flight.pop(future)
            try:
                yield Outcome(job.item, self._result(future))
            except NoveltyError:
                raise
            except KilledWorker as error:
                if self.attempts[job.item] == 1:
                    self.suspects.append(job)
                else:
                    yield Outcome(job.item, {}, ClusterError(_said(error)))
            except Exception as error:  # noqa: BLE001 - whatever it is, the rest goes on
                if self.attempts[job.item] < ATTEMPTS:
                    self._submit([job])
                else:
                    yield Outcome(job.item, {}, error)

    def _result(self, future: "Future[Figures]") -> Figures:
        """The figures of a job; what the job itself raised."""
        if future.status == "error" and isinstance(future.exception(), KilledWorker):
            error = future.exception()
            future.release()
            assert error
            raise error
        figures: Figures = ended_well(future)
        return figures

    def _next_batch(self) -> list["Future[Figures]"]:
        """Futures that have ended; waits for the first, as long as there is hope."""
        watch = _Watch(self.client)
        while not (batch := list[Future[Figures]](self.running.next_batch(block=False))):
            watch.check()
            time.sleep(POLL_SECONDS)
        return batch
