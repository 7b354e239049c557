"""The scheduler of a run: every question to it, or through it to workers, is asked here.

Dask waits without end for a scheduler that is frozen or cut off.  Here every wait has an end, which
`Patience` sets: half a minute for an answer.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, wait
from concurrent.futures import Future as Answer
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from distributed import Client, Future, KilledWorker, as_completed
from distributed.client import ClosedClientError
from distributed.scheduler import NoValidWorkerError, NoWorkerError

from novelty_dask.errors import ClusterError, NoveltyError, reason
from novelty_dask.execution.patience import Patience

if TYPE_CHECKING:
    from dask.typing import Key

T = TypeVar("T")

POLL_SECONDS = 0.01
LOST_MESSAGE = "The connection to the Dask scheduler was lost; start it again and go on."
# A client that has lost its scheduler cancels all its futures.
_LOST = (asyncio.CancelledError, CancelledError, OSError)


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
    """The scheduler of a client, with an end to every wait.

    Parameters
    ----------
    client : distributed.Client
        A connected client; it is not closed here.

    Attributes
    ----------
    on_wait : list of callable
        Called again and again while a caller waits, in its thread.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.on_wait: list[Callable[[], None]] = []
        self.patience = Patience.read()
        self._is_silent = False

    def ask(self, question: Callable[[], T], seconds: float | None = None) -> T:
        """Return the result of a call of the client, if the scheduler answers in time.

        Raises
        ------
        ClusterError
            The scheduler is silent, or was silent before, or the connection is lost.
        """
        seconds = self.patience.answer if seconds is None else seconds
        if self._is_silent or wait([answer := _in_thread(question)], seconds).not_done:
            # Silent once is silent for good: each further question, also those that tidy up, would wait as
            # long again, and the command would not end.
            self._is_silent = True
            message = (
                f"The Dask scheduler has not answered for {seconds:g} s, so it is frozen or cut off; "
                "restart it and go on."
            )
            raise ClusterError(message)
        with _connection_errors():
            return answer.result()

    def ask_workers(self, call: Callable[[], dict[str, T]]) -> dict[str, T]:
        """Return the result of a call of the client that asks workers, as long as any may answer.

        Raises
        ------
        ClusterError
            The scheduler is silent, or there is no worker.
        """
        # As long as there are workers, not half a minute: one that is busy for long answers late.
        answer = _in_thread(call)
        for _ in self.waits():
            if answer.done():
                break
        with _connection_errors():
            return answer.result()

    def submit(self, call: Callable[[], T]) -> T:
        """Return the result of a call of the client that hands tasks to the scheduler.

        Raises
        ------
        ClusterError
            The client has closed itself, as it does some seconds after the connection was lost.
        """
        try:
            return call()
        except ClosedClientError as error:
            raise ClusterError(LOST_MESSAGE) from error

    def workers(self) -> dict[str, int]:
        """Return the number of threads of each present worker, by address."""
        return self.ask(self.client.nthreads)

    def waits(self) -> Iterator["Watch"]:
        """Yield every few milliseconds, as long as the scheduler and a worker may answer.

        Raises
        ------
        ClusterError
            The scheduler is silent, or there has been no worker for too long.
        """
        watch = Watch(self)
        while True:
            yield watch
            for call in self.on_wait:
                call()
            watch.check()
            time.sleep(POLL_SECONDS)

    def next_batch(self, running: as_completed) -> list["Future[Any]"]:
        """Return the futures that end next."""
        for _ in self.waits():
            if batch := list(running.next_batch(block=False)):
                return batch
        raise AssertionError

    def gather(self, calls: list[Any]) -> list[Any]:
        """Return the results of delayed calls, in their order.

        Raises
        ------
        ClusterError
            Workers died in a call, or there is no worker, or no scheduler.
        """
        futures = self.submit(lambda: self.client.compute(calls))
        running, results = as_completed(futures, loop=self.client.loop), {}
        try:
            while not running.is_empty():
                results.update({future.key: self.result(future) for future in self.next_batch(running)})
        except WorkersDied as error:
            message = f"A partition of the collection was given up: {error}."
            raise ClusterError(message) from None
        finally:
            # After an error the others are dropped.
            for future in futures:
                future.release()
        return [results[future.key] for future in futures]

    def results(self, futures: list["Future[T]"]) -> "dict[Key, T]":
        """Return the results of finished futures by key, asked for at once; none if any can't be had.

        Raises
        ------
        ClusterError
            The scheduler is silent, or there is no worker.
        """
        answer = _in_thread(lambda: self.client.gather(futures))
        for _ in self.waits():
            if answer.done():
                break
        # Whoever asks for each result by itself then gets the error.
        return {} if answer.exception() else dict(zip((f.key for f in futures), answer.result(), strict=True))

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
            # Dask forgives a task `allowed-failures` dead workers, and gives it up at the next.
            raise WorkersDied(error.allowed_failures + 1) from None
        except NoValidWorkerError:
            # The worker to which a suspect was bound has been gone for `no-workers-timeout`.
            raise WorkersDied(1) from None
        except NoWorkerError as error:
            raise ClusterError(_no_worker(error.timeout)) from None
        finally:
            future.release()

    def _fetched(self, future: "Future[T]") -> T:
        """Return the result of a finished future."""
        # If the worker that holds the result has died, Dask computes it again, and waits without end for a
        # worker to do so: results are asked for with a timeout, and workers looked for in between.
        watch = Watch(self)

        def failed() -> bool:
            return bool(future.status == "error")

        # A task that is computed again may fail: its error is then the task's, not the connection's.
        with _connection_errors(of_task=failed):
            while True:
                try:
                    return future.result(timeout=self.patience.watch)
                except TimeoutError:
                    if failed():
                        raise
                    watch.check()


class Watch:
    """A watch over the workers, by a look at them now and then.

    Parameters
    ----------
    scheduler : Scheduler

    Attributes
    ----------
    workers : dict or None
        Number of threads of each worker at the last look; None before the first.
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
            Nobody can do the tasks any more.
        """
        now = time.monotonic()
        if now - self._looked > self.scheduler.patience.watch:
            self._looked = now
            self.workers = self.scheduler.workers()
            self._seen = now if self.workers else self._seen
            # Only after a look: the time since the last one may be longer than this patience.
            if now - self._seen > self.scheduler.patience.workerless:
                raise ClusterError(_no_worker(now - self._seen))


def _in_thread(call: Callable[[], T]) -> "Answer[T]":
    """Start a call in a thread of its own; return the answer to wait for."""
    # Not a thread of a pool, which the interpreter would join at exit.  A daemon does not keep the process
    # from ending if the call never returns.
    answer: Answer[T] = Answer()

    def wait_for_it() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it is raised where the answer is awaited
            answer.set_exception(error)

    threading.Thread(target=wait_for_it, name="novelty-question", daemon=True).start()
    return answer


@contextmanager
def _connection_errors(of_task: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Turn errors of Dask's connection to a scheduler into a ClusterError; pass on errors of tasks."""
    try:
        yield
    except (Exception, asyncio.CancelledError) as error:
        if isinstance(error, NoveltyError) or of_task():
            raise
        # Another server, such as a proxy, may answer at the scheduler's address.  Dask takes the first bytes
        # of its text for a length, of exabytes, and raises a MemoryError: hence any exception is caught.
        other = (
            f"Something that is no Dask scheduler answers in its place: {reason(error)}; start the scheduler "
            "again and go on."
        )
        raise ClusterError(LOST_MESSAGE if isinstance(error, _LOST) else other) from error


def _no_worker(seconds: float) -> str:
    """Return the message about a lack of workers."""
    return f"There has been no worker for {seconds:.0f} s; start some and go on."
