"""Listeners that tests give to runs."""

from collections.abc import Callable

from novelty_dask.events import Event, StageFinished, StageStarted, TaskAdvanced, TaskDone


class Recorder:
    """Knows which stages ran, and how much was read again; calls a function at each of their tasks."""

    def __init__(self, advanced: Callable[[str, int], None] = lambda stage, count: None) -> None:
        self.stages: list[str] = []
        self.totals: dict[str, tuple[int | None, int]] = {}
        self.n_verified = 0
        self.notes: list[str] = []
        self.advanced = advanced
        self.count = 0

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        match event:
            case StageStarted("verify", total):
                self.n_verified += total or 0
                self.count = 0
            case StageStarted(stage, total, done):
                self.stages.append(stage)
                self.totals[stage] = (total, done)
                self.count = 0
            case TaskDone(stage):
                self.count += 1
                self.advanced(stage, self.count)
            case StageFinished() | TaskAdvanced():
                pass
            case _:
                self.notes.append(str(event))


def at_start(stage: str, function: Callable[[], object]) -> Callable[[Event], None]:
    """Return a listener that calls a function when a stage starts."""

    def listen(event: Event) -> None:
        if isinstance(event, StageStarted) and event.stage == stage:
            function()

    return listen


def interrupt() -> None:
    """Stop a run, as Ctrl-C does."""
    raise KeyboardInterrupt


def stop_at(stage: str, count: int) -> Recorder:
    """Return a listener that stops a run after a number of tasks of a stage."""

    def stop(at_stage: str, at_count: int) -> None:
        if (at_stage, at_count) == (stage, count):
            interrupt()

    return Recorder(stop)
