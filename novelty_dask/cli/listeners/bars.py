"""A bar for each stage, in a terminal."""

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
from rich.table import Column
from rich.text import Text

from novelty_dask.cli.listeners.stage import StageProgress
from novelty_dask.cli.terminal import escape
from novelty_dask.counts import duration
from novelty_dask.events import Event, StageFinished, StageStarted, TaskAdvanced, TaskDone

NARROW = 36
"""Columns of a terminal below which there is no place for counts and times."""
LONGEST_BAR, SHORTEST_BAR = 40, 6
BESIDE_BAR = 62
"""Columns that name, counts and times take, and hardly more of a long run."""


class Bars:
    """Listener that draws a bar for each stage.

    Parameters
    ----------
    console : rich.console.Console
        Where to draw.
    """

    def __init__(self, console: Console) -> None:
        self._progress = Progress(*_columns(console.width), console=console)
        self._bars: dict[str, TaskID] = {}
        self._stages: dict[str, StageProgress] = {}

    def __enter__(self) -> "Bars":
        """Start to draw."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; what was drawn remains."""
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Draw an event."""
        match event:
            case StageStarted(stage, total, done):
                self._bars[stage] = self._progress.add_task(stage, total=total, completed=done)
                self._stages[stage] = StageProgress(event)
            # A worker may still be at a task of an earlier client, of a stage that has not begun here.
            case TaskAdvanced(stage) if stage in self._stages:
                self._stages[stage].advance(event)
                self._update(stage)
            case TaskDone(stage):
                self._stages[stage].done += 1
                self._update(stage)
            case StageFinished(stage):
                self._fill(self._bars[stage])
            case TaskAdvanced():
                pass
            case _:
                self._progress.console.print(escape(str(event)), markup=False, highlight=False)

    def _update(self, stage: str) -> None:
        """Draw how far a stage is, with shares of tasks that are not done."""
        progress = self._stages[stage]
        self._progress.update(self._bars[stage], completed=progress.before + progress.amount)

    def _fill(self, bar: TaskID) -> None:
        """Fill a bar, also one whose length was not known."""
        # Tasks that were given up are not done: the bar is as long as what was.
        done = round(self._progress.tasks[bar].completed)
        self._progress.update(bar, total=done, completed=done)


def _columns(width: int) -> list[ProgressColumn]:
    """Return the columns that fit in a line of a terminal: of a narrow one name and share alone."""
    name = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True))
    if width < NARROW:
        return [name, Share(Column(no_wrap=True))]
    counts, times = MofNCompleteColumn(table_column=Column(no_wrap=True)), Times(Column(no_wrap=True))
    bar = min(LONGEST_BAR, width - BESIDE_BAR)
    if bar < SHORTEST_BAR:
        times.is_short = width < BESIDE_BAR
        return [name, counts, times]
    name.text_format = "{task.description:<18}"
    return [name, BarColumn(bar), counts, times]


class Share(ProgressColumn):
    """Column with the share of a stage that is done, or its tasks where their number is not known."""

    def render(self, task: Task) -> Text:
        """Draw."""
        return Text(f"{int(task.completed):,}" if task.total is None else f"{int(task.percentage)}%")


class Times(ProgressColumn):
    """Column with the time that a stage has taken, and while it runs, the time remaining."""

    is_short = False

    def render(self, task: Task) -> Text:
        """Draw."""
        elapsed = task.finished_time if task.finished else task.elapsed
        if self.is_short:
            return Text(duration(elapsed or 0))
        remaining = "" if task.finished or task.time_remaining is None else duration(task.time_remaining)
        return Text(f"{duration(elapsed or 0):>10}" + (f", {remaining} left" if remaining else ""))
