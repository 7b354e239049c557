"""Lines for a log, when a stage starts, when it ends, and every few seconds between."""

import time
from collections.abc import Callable
from typing import TextIO

from novelty_dask.cli.terminal import counted, duration, escape
from novelty_dask.events import Event, StageFinished, StageStarted, TaskDone

LINE_SECONDS = 10.0


class Lines:
    """Listener that writes a line when a stage starts, when it ends, and every few seconds between.

    Parameters
    ----------
    stream : text file
        Where to write.
    clock : callable
        Seconds.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._started = self._last_line = 0.0
        self._done = 0
        self._total: int | None = None

    def __call__(self, event: Event) -> None:
        """Write an event, unless the last line was written a moment ago."""
        match event:
            case StageStarted():
                self._start(event)
            case TaskDone(stage):
                self._advance(stage)
            case StageFinished(stage, seconds):
                self._write(f"{stage}: done, {counted(self._done, 'task')} in {duration(seconds)}")
            case _:
                self._write(escape(str(event)))

    def _start(self, event: StageStarted) -> None:
        """Write that a stage starts."""
        self._started = self._last_line = self._clock()
        self._done, self._total = 0, None if event.total is None else event.total - event.done
        tasks = "" if event.total is None else f", {counted(event.total, 'task')}"
        before = f", {event.done:,} done before" if event.done else ""
        self._write(f"{event.stage}: started{tasks}{before}")

    def _advance(self, stage: str) -> None:
        """Write how far a stage is, unless that was written a moment ago."""
        self._done += 1
        now = self._clock()
        if now - self._last_line >= LINE_SECONDS and self._done != self._total:
            self._last_line = now
            self._write(f"{stage}: {self._state(now - self._started)}")

    def _state(self, elapsed: float) -> str:
        """Return tasks done, time elapsed, and the time remaining if the rest is as fast."""
        if not self._total:
            return f"{counted(self._done, 'task')}, {duration(elapsed)} elapsed"
        remaining = elapsed / self._done * (self._total - self._done)
        tasks = f"{self._done:,}/{self._total:,} tasks"
        return f"{tasks}, {duration(elapsed)} elapsed, about {duration(remaining)} remaining"

    def _write(self, message: str) -> None:
        """Write a line, without buffering, so that a log can be followed."""
        self._stream.write(f"{message}\n")
        self._stream.flush()
