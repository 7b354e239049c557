"""How far a run is, on standard error: bars in a terminal, now and then a line in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.text import Text

from novelty_dask.cli.terminal import counted, escape
from novelty_dask.events import Listener, Silence

LINE_SECONDS = 10.0


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Listener]:
    """The listener that suits standard error, as long as a run takes."""
    if quiet:
        yield Silence()
    elif sys.stderr.isatty():
        with Bars(Console(stderr=True)) as bars:
            yield bars
    else:
        yield Lines(sys.stderr)


class Bars:
    """Draws a bar for each stage.

    Parameters
    ----------
    console : rich.console.Console
        Where to draw.
    """

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<18}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            Times(),
            console=console,
        )
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> "Bars":
        """Start to draw."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; what was drawn remains."""
        self._progress.stop()

    def stage_started(self, stage: str, total: int | None, done: int = 0) -> None:
        """Add a bar."""
        self._bars[stage] = self._progress.add_task(stage, total=total, completed=done)

    def stage_advanced(self, stage: str) -> None:
        """Move a bar."""
        self._progress.advance(self._bars[stage])

    def stage_finished(self, stage: str, seconds: float) -> None:
        """Fill a bar, also one whose length was not known."""
        bar = self._bars[stage]
        done = self._progress.tasks[bar].completed
        self._progress.update(bar, total=done, completed=done)

    def note(self, message: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(escape(message), markup=False, highlight=False)


class Times(ProgressColumn):
    """How long a stage has taken, and while it runs, how long the rest will take."""

    def render(self, task: Task) -> Text:
        """Draw."""
        elapsed = task.finished_time if task.finished else task.elapsed
        remaining = "" if task.finished or task.time_remaining is None else duration(task.time_remaining)
        return Text(f"{duration(elapsed or 0):>10}" + (f", {remaining} left" if remaining else ""))


class Lines:
    """Writes a line when a stage starts, when it ends, and now and then between.

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

    def stage_started(self, stage: str, total: int | None, done: int = 0) -> None:
        """Write that a stage starts."""
        self._started = self._last_line = self._clock()
        self._done, self._total = 0, None if total is None else total - done
        tasks = "" if total is None else f", {counted(total, 'task')}"
        self._write(f"{stage}: started{tasks}" + (f", {done:,} done before" if done else ""))

    def stage_advanced(self, stage: str) -> None:
        """Write how far a stage is, unless that was written a moment ago."""
        self._done += 1
        now = self._clock()
        if now - self._last_line >= LINE_SECONDS and self._done != self._total:
            self._last_line = now
            self._write(f"{stage}: {self._state(now - self._started)}")

    def stage_finished(self, stage: str, seconds: float) -> None:
        """Write that a stage is done."""
        self._write(f"{stage}: done, {counted(self._done, 'task')} in {duration(seconds)}")

    def note(self, message: str) -> None:
        """Write a line."""
        self._write(escape(message))

    def _state(self, elapsed: float) -> str:
        """Tasks done, time gone, and time to go if the rest is as fast."""
        if not self._total:
            return f"{counted(self._done, 'task')}, {duration(elapsed)} elapsed"
        remaining = elapsed / self._done * (self._total - self._done)
        tasks = f"{self._done:,}/{self._total:,} tasks"
        return f"{tasks}, {duration(elapsed)} elapsed, about {duration(remaining)} remaining"

    def _write(self, message: str) -> None:
        """Write a line at once, so that it is there when someone looks."""
        self._stream.write(f"{message}\n")
        self._stream.flush()


def duration(seconds: float) -> str:
    """Time as people say it.

    >>> duration(0.25), duration(75), duration(7325)
    ('0.2 s', '1 min 15 s', '2 h 2 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
