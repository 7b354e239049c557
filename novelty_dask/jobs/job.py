"""A job as its user sees it, from any process or machine that sees the store of its run."""

from __future__ import annotations

import time
from os import PathLike, fspath
from typing import TYPE_CHECKING

from novelty_dask.cards import card, lines
from novelty_dask.errors import JobError, StoreError
from novelty_dask.jobs.log import read_lines
from novelty_dask.jobs.record import find_job
from novelty_dask.jobs.status import JobStatus, job_status
from novelty_dask.storage.runs import open_repairable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from novelty_dask.jobs.record import JobRecord
    from novelty_dask.run import Run

POLL_SECONDS = 1.0
"""Seconds between two looks at the store."""


class Job:
    """The newest job of a run, found in the store of the run; nothing of it lives in this process.

    Parameters
    ----------
    run : Run, str or path
        The run, or its path or URL.

    Raises
    ------
    StoreError
        There is no run, or it has no job.
    """

    def __init__(self, run: str | PathLike[str]) -> None:
        self.url, found = _look(run)
        if found is None:
            message = f"The run {self.url!r} has no job; submit it to give it one."
            raise StoreError(message)
        self._record = found

    @classmethod
    def find(cls, run: str | PathLike[str]) -> Job | None:
        """Return the newest job of a run; None if it has none.

        Raises
        ------
        StoreError
            There is no run.
        """
        url, found = _look(run)
        if found is None:
            return None
        job = cls.__new__(cls)
        job.url, job._record = url, found  # noqa: SLF001 - of this class
        return job

    def status(self) -> JobStatus:
        """Return what the job does now, as its store tells.

        Raises
        ------
        StoreError
            The run is gone, or its store does not answer.
        """
        return job_status(open_repairable(self.url), self._record)

    def wait(self, timeout: float | None = None) -> Run:
        """Wait until the job is over; return the run.

        Parameters
        ----------
        timeout : float, optional
            Seconds; without end by default.

        Raises
        ------
        JobError
            It was cancelled, has failed, or was given up.
        TimeoutError
            It is not over in time; it goes on.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not (now := self.status()).is_over:
            if deadline is not None and time.monotonic() > deadline:
                message = f"The job of {self.url!r} is not over after {timeout:g} s; it goes on."
                raise TimeoutError(message)
            time.sleep(POLL_SECONDS)
        if now.state not in ("complete", "partial"):
            message = f"The job of {self.url!r} ended as {now.state}: {now.words or 'it said nothing.'}"
            raise JobError(message)
        # It needs pandas, for which `status` does not wait.
        from novelty_dask.vector_run import open_run  # noqa: PLC0415

        return open_run(self.url)

    def cancel(self) -> None:
        """Ask for the end of the job; what is done is kept, and its driver ends within seconds.

        A job that is over stays as it is.
        """
        if not self.status().is_over:
            self._record.cancel()

    def logs(self) -> list[str]:
        """Return the lines that the last drivers have said so far, each with its time."""
        return list(read_lines(self._record, {}))

    def follow(self) -> Iterator[str]:
        """Yield the lines of `logs`, and those that come, until the job is over."""
        known: dict[int, int] = {}
        while True:
            # Looked at first: the last lines are stored before a job is over.
            is_over = self.status().is_over
            if is_over and not self._record.view().verdict:
                # The run is complete, and its driver is about to say so, unless it was killed just now.
                time.sleep(POLL_SECONDS)
            yield from read_lines(self._record, known)
            if is_over:
                return
            time.sleep(POLL_SECONDS)

    def __repr__(self) -> str:
        """Return one line, also where the store does not answer."""
        try:
            state = self.status().state
        except StoreError as error:
            state = str(error)
        return f"<Job {self._record.number} of {self.url!r}: {state}>"

    def _repr_html_(self) -> str:
        """Return the status and the last lines, for notebooks."""
        now = self.status()
        drivers = f"{now.starts:,} started, {now.deaths:,} killed"
        facts = {"job": f"{now.number}, {now.state}", "drivers": drivers, "last words": now.words}
        return card(
            "Job", self.url, {name: fact for name, fact in facts.items() if fact}, lines(self.logs()[-5:])
        )


def _look(run: str | PathLike[str]) -> tuple[str, JobRecord | None]:
    """Return the URL of a run, and the record of its newest job, if it has one."""
    stored = open_repairable(fspath(run))
    return stored.url, find_job(stored.objects)
