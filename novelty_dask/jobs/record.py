"""Record of a job: the objects under ``jobs/`` of its run, which tell everybody who sees the store of it.

``order.json`` says what is wanted, ``start-N.json`` and ``end-N.json`` that a driver began and ended,
``cancel.json`` that the job is not wanted any more, and ``verdict.json`` how it ended.  Each is stored once.
"""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from novelty_dask.objects.creation import create_object, make_token
from novelty_dask.objects.owners import DRIVER_START as START
from novelty_dask.objects.owners import JOBS_FOLDER as FOLDER
from novelty_dask.objects.owners import find_driven

if TYPE_CHECKING:
    from novelty_dask.objects.protocol import Objects

ORDER, CANCEL, VERDICT = "order.json", "cancel.json", "verdict.json"
END, LOG = "end-", "log-"
COMPLETE = "The run is complete."
"""Last words of a job that did all of its work."""
KEPT_LOGS = 20
"""Logs of the last drivers, which are kept; one for each start would grow with the time of a job."""


class JobView(NamedTuple):
    """View of a job: all that its objects tell at one moment.

    Parameters
    ----------
    starts, ends : int
        Drivers that began, and those that ended without being killed.
    has_ended : bool
        True if the last driver that began has ended so.
    is_unwanted : bool
        True once somebody has cancelled it.
    verdict : str
        How the job ended; empty while it is open.
    words : str
        The last words of the job, or of its last driver that had any.
    """

    starts: int
    ends: int
    has_ended: bool
    is_unwanted: bool
    verdict: str
    words: str

    @property
    def is_open(self) -> bool:
        """True if the job is to be driven."""
        return not (self.verdict or self.is_unwanted)


class JobRecord:
    """Record of one job of a run.

    Parameters
    ----------
    objects : Objects
        Of the run.
    number : int
        Number of the job, from 1.
    """

    def __init__(self, objects: Objects, number: int) -> None:
        self.objects = objects
        self.number = number
        self._folder = f"{FOLDER}{number:05d}/"
        self.order = self._read(ORDER)
        self.token = str(self.order.get("token", ""))

    def view(self) -> JobView:
        """Return what is known of the job now."""
        names = self._names()
        verdict = self._read(VERDICT) if VERDICT in names else {}
        ends = sorted(name for name in names if name.startswith(END))
        last = verdict or (self._read(ends[-1]) if ends else {})
        starts = sorted(name for name in names if name.startswith(START))
        has_ended = bool(starts) and starts[-1].replace(START, END) in ends
        words = str(last.get("words", ""))
        return JobView(
            len(starts), len(ends), has_ended, CANCEL in names, str(verdict.get("state", "")), words
        )

    def is_driven(self) -> bool:
        """Return whether a driver of the job is at work, or may be."""
        return bool(self.token) and find_driven(self.objects) == self.token

    def is_unwanted(self) -> bool:
        """Return whether somebody has cancelled the job."""
        return bool(self._read(CANCEL))

    def start(self, **facts: Any) -> int:
        """Record that a driver begins; return its number, from 1."""
        number = 1 + sum(name.startswith(START) for name in self._names())
        while not self._create(f"{START}{number:05d}.json", **facts):
            number += 1
        self.objects.remove(f"{self._folder}{LOG}{number - KEPT_LOGS:05d}.jsonl")
        return number

    def end(self, number: int, words: str) -> None:
        """Record the last words of a driver."""
        self._create(f"{END}{number:05d}.json", words=words)

    def cancel(self) -> None:
        """Record that the job is not wanted any more."""
        self._create(CANCEL)

    def close(self, state: str, words: str) -> None:
        """Record how the job ended, unless that is known."""
        self._create(VERDICT, state=state, words=words)

    def write_log(self, number: int, lines: bytes) -> None:
        """Store the log of a driver, in place of what it said before."""
        if self.is_there():
            self.objects.write(f"{self._folder}{LOG}{number:05d}.jsonl", lines)

    def read_logs(self) -> dict[int, bytes]:
        """Return the logs of the last drivers by their numbers."""
        found = {}
        for name in sorted(name for name in self._names() if name.startswith(LOG)):
            try:
                number = int(name.removeprefix(LOG).partition(".")[0])
                found[number] = self.objects.read(self._folder + name)
            except (KeyError, ValueError):
                # A driver may have removed an old one since the listing.
                continue
        return found

    def is_there(self) -> bool:
        """Return whether the record still exists: the run may have been moved or removed."""
        return bool(self._read(ORDER))

    def _names(self) -> list[str]:
        """Return the names of its objects."""
        return [key.removeprefix(self._folder) for key in self.objects.sizes(self._folder)]

    def _create(self, name: str, **facts: Any) -> bool:
        """Store an object of the record, if there is none and the run is there."""
        # In a run that was removed it would make a folder in which nothing else is.
        return not self.is_there() or _create(self.objects, self._folder + name, **facts)

    def _read(self, name: str) -> dict[str, Any]:
        """Return what an object of the record holds; nothing if it can't be read."""
        try:
            found = json.loads(self.objects.read(self._folder + name))
        except (KeyError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


def find_job(objects: Objects) -> JobRecord | None:
    """Return the newest job of a run; None if it has none."""
    orders = [key for key in objects.sizes(FOLDER) if key.endswith(f"/{ORDER}")]
    numbers = [key.removeprefix(FOLDER).partition("/")[0] for key in orders]
    newest = max((int(number) for number in numbers if number.isdecimal()), default=0)
    return JobRecord(objects, newest) if newest else None


def create_job(objects: Objects, token: str, scheduler: str, work: dict[str, Any]) -> JobRecord:
    """Make the next job of a run.

    Parameters
    ----------
    objects : Objects
    token : str
        That no other job has.
    scheduler : str
        Address of the scheduler to which it is handed, for people.
    work : dict
        Settings of its sessions that change no number.
    """
    before = find_job(objects)
    number = before.number + 1 if before else 1
    facts = {"token": token, "host": socket.gethostname(), "scheduler": scheduler, "work": work}
    while not _create(objects, f"{FOLDER}{number:05d}/{ORDER}", **facts):
        number += 1
    return JobRecord(objects, number)


def _create(objects: Objects, key: str, **facts: Any) -> bool:
    """Store an object with facts, and when and by whom they were stored; return whether it is the first."""
    said = {**facts, "at": time.time(), "by": make_token()}
    return create_object(objects, key, json.dumps(said).encode())
