"""Driver of a job: a task on a worker that takes a run through its stages, as ``novelty resume`` does."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from distributed import get_worker, secede

from novelty_dask.errors import (
    DiskFullError,
    NoveltyError,
    OwnedError,
    StoreError,
    UnreachableError,
    reason,
    without_secrets,
)
from novelty_dask.execution.clusters.connect import connect
from novelty_dask.jobs.log import JobLog
from novelty_dask.jobs.pace import Pace
from novelty_dask.jobs.record import COMPLETE, JobRecord, find_job
from novelty_dask.objects.owners import JobToken
from novelty_dask.pipeline.reading import check_none_rejected
from novelty_dask.pipeline.start import Terms, run_session
from novelty_dask.settings import WorkSettings
from novelty_dask.storage.runs import StoredRun, open_repairable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

    from novelty_dask.events import Event
    from novelty_dask.execution.dask_executor import DaskExecutor
    from novelty_dask.pipeline.session import Session

PREFIX = "novelty-driver-"
"""Beginning of the keys of driver tasks; the token of the job follows."""


class _UnwantedError(Exception):
    """The job of a driver was cancelled."""


def drive(url: str, token: str, scheduler: str) -> str:
    """Drive a run until it is complete or its job is over, as a task of a worker; return what came of it.

    Parameters
    ----------
    url : str
        The run.
    token : str
        Of the job.
    scheduler : str
        Name of the scheduler that started this driver.

    Raises
    ------
    RuntimeError
        The driver failed, and another may succeed.
    """
    worker = get_worker()
    # The worker starts a thread in the place of this one, so that all of its threads are left for tiles.
    secede()
    stored = open_repairable(url)
    record = find_job(stored.objects)
    if record is None or record.token != token:
        return "There is a newer job."
    driver = Driver(stored, record, scheduler)
    # Whoever started the workers has allowed their connections.
    options: dict[str, Any] = {"security": worker.security, "set_as_default": False, "name": "novelty-driver"}
    with driver.watching():
        try:
            with connect(str(worker.scheduler.address), insecure=True, **options) as client:
                return driver.drive(client)
        except Exception as error:  # noqa: BLE001 - it is recorded, and raised again
            return driver.fail(error)


class Driver:
    """Driver of a job.

    Parameters
    ----------
    stored : StoredRun
        The run.
    record : JobRecord
        Of the job.
    scheduler : str
        Name of the scheduler that started this driver.
    """

    def __init__(self, stored: StoredRun, record: JobRecord, scheduler: str) -> None:
        self.stored = stored
        self.record = record
        self.token = JobToken(record.token, scheduler)
        self.pace = Pace.read()
        self.log = JobLog()
        self._number = 0
        self._is_told = False
        self._is_unwanted = threading.Event()
        self._has_ended = threading.Event()

    def drive(self, client: Client) -> str:
        """Work on the run when it is this driver's turn; return what came of it."""
        work = WorkSettings.make(**self.record.order.get("work", {}))
        while True:
            if not self.record.view().is_open:
                return self._close("cancelled", "It was cancelled.")
            self.stored.refresh()
            if self.stored.manifest.is_complete:
                return self._close("complete", COMPLETE)
            try:
                terms = Terms(self.token, self._begin)
                run_session(self.stored, work, client, self._listen, terms=terms)
            except OwnedError as error:
                self._stand_by(error)
                continue
            if work.strict:
                check_none_rejected(self.stored)
            if failures := self.stored.manifest.failures:
                return self._close("partial", f"Tasks were given up: {len(failures):,}.")
            return self._close("complete", COMPLETE)

    def _stand_by(self, error: OwnedError) -> None:
        """Wait a moment for the turn of this driver, if it has yet to come."""
        # A driver that was succeeded leaves.
        if self._number:
            raise error
        if not self._is_told:
            self.log.say(f"Waiting: {error}")
        self._is_told = True
        self._is_unwanted.wait(self.pace.look)

    def fail(self, error: Exception) -> str:
        """Record what ended the driver; return it if no other driver would do better.

        Raises
        ------
        RuntimeError
            Another may.
        """
        if isinstance(error, _UnwantedError):
            return self._close("cancelled", "It was cancelled.")
        words = without_secrets(str(error) if isinstance(error, NoveltyError) else f"{reason(error)}.")
        is_passing = isinstance(error, (DiskFullError, OwnedError, UnreachableError))
        # Settings, sources, memory, and what is stored are the same for every driver.
        is_final = isinstance(error, (StoreError, ValueError)) and isinstance(error, NoveltyError)
        if is_final and not is_passing:
            return self._close("failed", words)
        self._end(words)
        raise RuntimeError(words) from None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look for a wish to cancel every few seconds, and store the log, while the block lasts."""
        thread = threading.Thread(target=self._watch, name="novelty-driver-watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._has_ended.set()
            thread.join()

    def _watch(self) -> None:
        """Look for a wish to cancel, and store the log, until the driver ends."""
        while not self._has_ended.wait(self.pace.beat):
            # The store may fail now and work a moment later; where it matters, the driver itself finds out.
            try:
                if self.record.is_unwanted():
                    self._is_unwanted.set()
                if self._number:
                    self.log.store(self.record, self._number)
            except BaseException:  # noqa: BLE001, S112 - each store has its own
                continue

    def _begin(self, session: Session) -> bool:
        """Record that the driver is at work."""
        self._start(epoch=session.epoch)
        # Called again and again while the session waits for tasks.
        cast("DaskExecutor", session.executor).scheduler.on_wait.append(self._check)
        return True

    def _listen(self, event: Event) -> None:
        """Take an event of the session."""
        self.log(event)
        self._check()

    def _check(self) -> None:
        """End the session if the job was cancelled."""
        if self._is_unwanted.is_set():
            raise _UnwantedError

    def _start(self, **facts: int) -> None:
        """Record that the driver begins, once."""
        if not self._number:
            where = f"process {os.getpid()} on {socket.gethostname()}"
            self._number = self.record.start(where=where, **facts)
            self.log.say(f"At work in {where}.")

    def _close(self, state: str, words: str) -> str:
        """Record how the job ended."""
        if self._number:
            self._end(words)
        self.record.close(state, words)
        return words

    def _end(self, words: str) -> None:
        """Record the last words of the driver, also of one that failed before it was at work."""
        self._start()
        self.log.say(words)
        self.log.store(self.record, self._number)
        self.record.end(self._number, words)
