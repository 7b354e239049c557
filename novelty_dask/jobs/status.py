"""Status of a job, as the store of its run tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from novelty_dask.jobs.record import COMPLETE

if TYPE_CHECKING:
    from novelty_dask.jobs.record import JobRecord
    from novelty_dask.storage.runs import StoredRun

OVER = ("complete", "partial", "cancelled", "failed", "given up")
"""States of a job that will not change any more."""


@dataclass(frozen=True)
class JobStatus:
    """Status of a job.

    Parameters
    ----------
    number : int
        Number of the job among those of its run, from 1.
    state : {"waiting", "running", "cancelling", "complete", "partial", "cancelled", "failed", "given up"}
        Waiting: no driver is at work now, be it that none has begun yet, or that the next has not.
    starts : int
        Drivers that began.
    deaths : int
        Those of them that were killed.
    words : str
        The last words: how the job ended, or what its last driver said when it failed; may be empty.
    """

    number: int
    state: str
    starts: int
    deaths: int
    words: str

    @property
    def is_over(self) -> bool:
        """True if nobody works on the job any more."""
        return self.state in OVER


def job_status(stored: StoredRun, record: JobRecord) -> JobStatus:
    """Return the status of a job of a run."""
    view, is_driven = record.view(), record.is_driven()
    # Verdicts first: the run of a job that is over may be worked on by others.  A driver may have been killed
    # between the end of the run and its verdict.
    state = view.verdict or ("complete" if stored.manifest.is_complete else "")
    if not state and view.is_unwanted:
        state = "cancelling" if is_driven else "cancelled"
    is_running = not view.verdict and not view.has_ended and (is_driven or stored.manifest.is_complete)
    deaths = max(0, view.starts - view.ends - is_running)
    words = view.words if view.verdict or state != "complete" else COMPLETE
    return JobStatus(
        record.number, state or ("running" if is_driven else "waiting"), view.starts, deaths, words
    )
