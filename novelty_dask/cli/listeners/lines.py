"""Lines for a log, when a stage starts, when it ends, and every few seconds between."""

import time
from collections.abc import Callable
from typing import TextIO

from novelty_dask.cli.listeners.stage import StageProgress
from novelty_dask.cli.terminal import escape
from novelty_dask.counts import counted, duration
from novelty_dask.events import Event, StageFinished, StageStarted, TaskAdvanced, TaskDone

LINE_SECONDS = 10.0
EARLY_SECONDS = 4.0
"""Seconds by which a line may come too early, so that it is not too late by the time between two reports."""
LEAST_SECONDS = 0.1
"""The least time that is said to remain."""


class Lines:
    """Listener that writes a line when a stage starts, when it ends, and every few seconds between.

    Parameters
    ----------
    stream : text file
        Where to write.
    clock : callable
        Seconds.
    brief : bool
        True to write nothing of a stage that takes a few seconds.
    """

    def __init__(
        self, stream: TextIO, clock: Callable[[], float] = time.monotonic, *, brief: bool = False
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._brief = brief
        self._started = self._last_line = 0.0
        self._progress = StageProgress(StageStarted("", None))

    def __call__(self, event: Event) -> None:
        """Write an event, unless the last line was written a moment ago."""
        match event:
            case StageStarted():
                self._start(event)
            # A worker may still be at a task of an earlier client, of another stage.
            case TaskAdvanced(stage) if stage == self._progress.name:
                self._progress.advance(event)
                self._tell_unless_early(LINE_SECONDS - EARLY_SECONDS)
            case TaskAdvanced():
                pass
            case TaskDone():
                self._progress.done += 1
                # At the last task, the line that the stage is done comes at once.
                if self._progress.done != self._progress.total:
                    self._tell_unless_early(LINE_SECONDS)
            case StageFinished(stage, seconds):
                if not self._brief or self._last_line > self._started:
                    tasks = counted(self._progress.done, "task")
                    self._write(f"{stage}: done, {tasks} in {duration(seconds)}")
            case _:
                self._write(escape(str(event)))

    def _start(self, event: StageStarted) -> None:
        """Write that a stage starts."""
        self._started = self._last_line = self._clock()
        self._progress = StageProgress(event)
        tasks = "" if event.total is None else f", {counted(event.total, 'task')}"
        before = f", {event.done:,} done before" if event.done else ""
        if not self._brief:
            self._write(f"{event.stage}: started{tasks}{before}")

    def _tell_unless_early(self, seconds: float) -> None:
        """Write how far the stage is, unless that was written a moment ago."""
        now = self._clock()
        if now - self._last_line >= seconds:
            self._last_line = now
            self._write(f"{self._progress.name}: {self._state(now - self._started)}")

    def _state(self, elapsed: float) -> str:
        """Return tasks done, time elapsed, and the time remaining if the rest is as fast."""
        progress = self._progress
        if not progress.total:
            return f"{counted(progress.done, 'task')}, {duration(elapsed)} elapsed"
        tasks = f"{progress.done:,}/{progress.total:,} tasks"
        if progress.is_within:
            # Rounded down, as 100 % is the end.
            tasks += f" ({int(100 * progress.amount / progress.total)}%)"
        state = f"{tasks}, {duration(elapsed)} elapsed"
        if not progress.amount:
            return state
        remaining = elapsed / progress.amount * (progress.total - progress.amount)
        return f"{state}, about {duration(max(remaining, LEAST_SECONDS))} remaining"

    def _write(self, message: str) -> None:
        """Write a line, without buffering, so that a log can be followed."""
        self._stream.write(f"{message}\n")
        self._stream.flush()
