"""The scheduler of a run: whatever is asked of it, or through it of workers, is asked here.

Dask waits without end for a scheduler that is frozen or cut off.  Here it gets half a minute to answer.
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
"""How long a scheduler may take for an answer."""
WATCH_SECONDS = 5.0
WORKERLESS_SECONDS = 60.0
"""How long work waits for a worker."""
POLL_SECONDS = 0.01


class WorkersDied(Exception):  # noqa: N818 - it says what happened
    """Workers died in a task.

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
    """The scheduler of a client, that is not waited for without end.

    Parameters
    ----------
    client : distributed.Client
        A connected client; it is not closed here.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self._is_silent = False

    def ask(self, question: Callable[[], T], seconds: float | None = None) -> T:
        """What a call of the client returns that takes an answer of the scheduler.

        Raises
        ------
        ClusterError
            There is none within so many seconds, or was none before, or the connection is lost.
        """
        seconds = ANSWER_SECONDS if seconds is None else seconds
        if self._is_silent or wait([answer := _in_thread(question)], seconds).not_done:
            self._is_silent = True
            message = (
                f"The Dask scheduler has not answered for {seconds:.0f} s, so it is frozen or cut off; "
                "restart it and go on."
            )
            raise ClusterError(message)
        with _connection_errors():
            return answer.result()

    def ask_workers(self, call: Callable[[], dict[str, T]]) -> dict[str, T]:
        """What a call of the client returns that takes answers of workers; waits as long as there is hope.

        Raises
        ------
        ClusterError
            There is none.
        """
        answer = _in_thread(call)
        for _ in self.waits():
            if answer.done():
                break
        with _connection_errors():
            return answer.result()

    def workers(self) -> dict[str, int]:
        """Threads of each worker that there is now, by address."""
        return self.ask(self.client.nthreads)

    def waits(self) -> Iterator["Watch"]:
        """Wait a little, again and again, as long as there is hope.

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
        """The result of an ended future, or in the user's terms why there is none.

        Raises
        ------
        WorkersDied
            In it.
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
        """The result of a future; if its worker is gone Dask waits for another one, without end."""
        watch = Watch(self)
        with _connection_errors():
            while True:
                try:
                    return future.result(timeout=WATCH_SECONDS)
                except TimeoutError:
                    watch.check()


class Watch:
    """Looks now and then whether there is anybody to do the work.

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
            So it is.
        """
        now = time.monotonic()
        if now - self._looked > WATCH_SECONDS:
            self._looked = now
            self.workers = self.scheduler.workers()
            self._seen = now if self.workers else self._seen
        if now - self._seen > WORKERLESS_SECONDS:
            raise ClusterError(_no_worker(now - self._seen))


def _in_thread(call: Callable[[], T]) -> "Answer[T]":
    """A call that waits in a thread of its own, so that nothing else has to; nobody waits for the thread."""
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
    """Say in the user's terms that the scheduler can't be reached."""
    try:
        yield
    except (CancelledError, OSError):
        message = "The connection to the Dask scheduler was lost; start it again and go on."
        raise ClusterError(message) from None


def _no_worker(seconds: float) -> str:
    """That there is nobody to do the work."""
    return f"There has been no worker for {seconds:.0f} s; start some and go on."
