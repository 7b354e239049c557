"""The scheduler of a run: every question to it, or through it to workers, is asked here.

Dask waits without end for a scheduler that is frozen or cut off.  Here it has half a minute to answer.
"""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, wait
from concurrent.futures import Future as Answer
from contextlib import contextmanager
from typing import Any, TypeVar

from distributed import Client, Future, KilledWorker, as_completed
from distributed.scheduler import NoValidWorkerError, NoWorkerError

from novelty_dask.errors import ClusterError

T = TypeVar("T")

ANSWER_SECONDS = 30.0
"""Longest time that a scheduler may take for an answer."""
WATCH_SECONDS = 5.0
WORKERLESS_SECONDS = 60.0
"""Longest time that work waits for a worker."""
POLL_SECONDS = 0.01


class WorkersDied(Exception):  # noqa: N818 - it says what happened
    """Workers died while they ran a task.

    Parameters
    ----------
    n_workers : int
    """

    def __init__(self, n_workers: int) -> None:
        message = (
            f"{n_workers} worker{'s' * (n_workers > 1)} died in it, most likely for lack of memory; lower "
            "--block-rows or raise --memory-limit"
        )
        super().__init__(message)
        self.n_workers = n_workers


class Scheduler:
    """The scheduler of a client; no wait for it is endless.

    Parameters
    ----------
    client : distributed.Client
        A connected client; it is not closed here.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self._is_silent = False

    def ask(self, question: Callable[[], T], seconds: float | None = None) -> T:
        """Return what a call of the client returns, if the scheduler answers in time.

        Raises
        ------
        ClusterError
            It does not, or did not before, or the connection is lost.
        """
        seconds = ANSWER_SECONDS if seconds is None else seconds
        if self._is_silent or wait([answer := _in_thread(question)], seconds).not_done:
            # Once is enough: every further question would wait as long, and the command would not end.
            self._is_silent = True
            message = (
                f"The Dask scheduler has not answered for {seconds:.0f} s, so it is frozen or cut off; "
                "restart it and go on."
            )
            raise ClusterError(message)
        with _connection_errors():
            return answer.result()

    def ask_workers(self, call: Callable[[], dict[str, T]]) -> dict[str, T]:
        """Return what a call of the client returns that asks workers, as long as any may answer.

        Raises
        ------
        ClusterError
            No worker may answer any more.
        """
        answer = _in_thread(call)
        for _ in self.waits():
            if answer.done():
                break
        with _connection_errors():
            return answer.result()

    def workers(self) -> dict[str, int]:
        """Return the threads of each worker that there is now, by address."""
        return self.ask(self.client.nthreads)

    def waits(self) -> Iterator["Watch"]:
        """Yield again and again, after a little time, as long as the scheduler and a worker may answer.

        Raises
        ------
        ClusterError
            The scheduler is silent, or there has been no worker for too long.
        """
        watch = Watch(self)
        while True:
            yield watch
            watch.check()
            time.sleep(POLL_SECONDS)

    def next_batch(self, running: as_completed) -> list["Future[Any]"]:
        """Return the futures that end next."""
        for _ in self.waits():
            if batch := list(running.next_batch(block=False)):
                return batch
        raise AssertionError

    def result(self, future: "Future[T]") -> T:
        """Return the result of an ended future.

        Raises
        ------
        WorkersDied
            Workers died while they ran it.
        ClusterError
            There is no worker, or no scheduler.
        """
        try:
            if future.status == "error":
                return future.result()
            return self._fetched(future)
        except KilledWorker as error:
            raise WorkersDied(error.allowed_failures + 1) from None
        except NoValidWorkerError:
            raise WorkersDied(1) from None
        except NoWorkerError as error:
            raise ClusterError(_no_worker(error.timeout)) from None
        finally:
            future.release()

    def _fetched(self, future: "Future[T]") -> T:
        """Return the result of a finished future."""
        # If the worker that holds the result is gone, Dask waits for another one, without end.
        watch = Watch(self)
        with _connection_errors():
            while True:
                try:
                    return future.result(timeout=WATCH_SECONDS)
                except TimeoutError:
                    watch.check()


class Watch:
    """Looks now and then for workers.

    Parameters
    ----------
    scheduler : Scheduler

    Attributes
    ----------
    workers : dict or None
        Threads of the workers that were there at the last look.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.workers: dict[str, int] | None = None
        self._looked = self._seen = time.monotonic()

    def check(self) -> None:
        """Give up if the scheduler is silent, or there has been no worker for too long.

        Raises
        ------
        ClusterError
            Nobody may do the work any more.
        """
        now = time.monotonic()
        if now - self._looked > WATCH_SECONDS:
            self._looked = now
            self.workers = self.scheduler.workers()
            self._seen = now if self.workers else self._seen
        if now - self._seen > WORKERLESS_SECONDS:
            raise ClusterError(_no_worker(now - self._seen))


def _in_thread(call: Callable[[], T]) -> "Answer[T]":
    """Start a call in a thread of its own; return the answer to wait for."""
    # A daemon: if the call never returns, the process must still be able to end.
    answer: Answer[T] = Answer()

    def wait_for_it() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it is raised where the answer is awaited
            answer.set_exception(error)

    threading.Thread(target=wait_for_it, name="novelty-question", daemon=True).start()
    return answer


@contextmanager
def _connection_errors() -> Iterator[None]:
    """Raise a ClusterError where the scheduler can't be reached."""
    try:
        yield
    except (CancelledError, OSError):
        message = "The connection to the Dask scheduler was lost; start it again and go on."
        raise ClusterError(message) from None


def _no_worker(seconds: float) -> str:
    """Return the sentence that there is nobody to do the work."""
    return f"There has been no worker for {seconds:.0f} s; start some and go on."
