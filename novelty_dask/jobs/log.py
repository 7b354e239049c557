"""Log of a driver: lines in the store, a bounded number of them, which everybody can follow."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from novelty_dask.errors import LONGEST_REASON, without_secrets
from novelty_dask.events import Event, StageFinished, StageStarted, TaskAdvanced, TaskDone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from novelty_dask.jobs.record import JobRecord

FIRST_LINES, LAST_LINES = 50, 200
"""Lines of the beginning and of the end that are kept."""
LINE_SECONDS = 10.0
"""Seconds between two lines on the progress of a stage."""


class JobLog:
    """Log of a driver, a listener to the events of its session."""

    def __init__(self) -> None:
        self._first: list[str] = []
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        self._n_lines = 0
        self._is_new = False
        # Events come in the driver's thread, and another one stores the lines.
        self._lock = threading.Lock()
        self._done, self._total, self._said = 0, 0, 0.0

    def __call__(self, event: Event) -> None:
        """Take an event; of tasks a line is made every few seconds."""
        match event:
            case StageStarted(stage, total, done):
                self._done, self._total, self._said = done, total or 0, time.monotonic()
                before = f", {done:,} done before" if done else ""
                self.say(f"{stage}: started" + (f", {total:,} tasks" if total else "") + before)
            case TaskDone(stage):
                self._done += 1
                if time.monotonic() - self._said >= LINE_SECONDS:
                    self._said = time.monotonic()
                    self.say(f"{stage}: {self._done:,}" + (f"/{self._total:,}" if self._total else ""))
            case StageFinished(stage, seconds):
                self.say(f"{stage}: done, {self._done:,} tasks in {seconds:.1f} s")
            case TaskAdvanced():
                pass
            case _:
                self.say(str(event))

    def say(self, text: str) -> None:
        """Add a line."""
        with self._lock:
            self._n_lines += 1
            shown = without_secrets(text)[:LONGEST_REASON]
            line = json.dumps({"line": self._n_lines, "at": round(time.time(), 1), "text": shown})
            (self._first if len(self._first) < FIRST_LINES else self._last).append(line)
            self._is_new = True

    def store(self, record: JobRecord, number: int) -> None:
        """Store the lines of a driver, if there are new ones."""
        with self._lock:
            lines, is_new = [*self._first, *self._last], self._is_new
            self._is_new = False
        if is_new:
            record.write_log(number, "".join(f"{line}\n" for line in lines).encode())


def read_lines(record: JobRecord, known: dict[int, int]) -> Iterator[str]:
    """Yield the lines of all logs of a job that are not known yet.

    Parameters
    ----------
    record : JobRecord
    known : dict of int to int
        Last line that is known, by the number of the driver; it is kept up to date.
    """
    for number, lines in record.read_logs().items():
        for line in lines.splitlines():
            try:
                said = json.loads(line)
                place, at, text = int(said["line"]), float(said["at"]), str(said["text"])
                when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
            except (KeyError, OSError, OverflowError, TypeError, ValueError):
                continue
            if place > known.get(number, 0):
                known[number] = place
                yield f"{when} driver {number}: {text}"
