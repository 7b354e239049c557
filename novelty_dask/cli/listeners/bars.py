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
from rich.text import Text

from novelty_dask.cli.listeners.stage import StageProgress
from novelty_dask.cli.terminal import duration, escape
from novelty_dask.events import Event, StageFinished, StageStarted, TaskAdvanced, TaskDone


class Bars:
    """Listener that draws a bar for each stage.

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
            case TaskAdvanced(stage):
                self._stages[stage].advance(event)
                self._update(stage)
            case TaskDone(stage):
                self._stages[stage].done += 1
                self._update(stage)
            case StageFinished(stage):
                self._fill(self._bars[stage])
            case _:
                self._progress.console.print(escape(str(event)), markup=False, highlight=False)

    def _update(self, stage: str) -> None:
        """Draw how far a stage is, with shares of tasks that are not done."""
        progress = self._stages[stage]
        self._progress.update(self._bars[stage], completed=progress.before + progress.amount)

    def _fill(self, bar: TaskID) -> None:
        """Fill a bar, also one whose length was not known."""
        done = round(self._progress.tasks[bar].completed)
        self._progress.update(bar, total=done, completed=done)


class Times(ProgressColumn):
    """Column with the time that a stage has taken, and while it runs, the time remaining."""

    def render(self, task: Task) -> Text:
        """Draw."""
        elapsed = task.finished_time if task.finished else task.elapsed
        remaining = "" if task.finished or task.time_remaining is None else duration(task.time_remaining)
        return Text(f"{duration(elapsed or 0):>10}" + (f", {remaining} left" if remaining else ""))
