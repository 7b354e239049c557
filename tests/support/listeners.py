"""Listeners that tests give to runs."""

from collections.abc import Callable

from novelty_dask.events import Silence


class Recorder(Silence):
    """Knows which stages ran; calls a function at each of their tasks."""

    def __init__(self, advanced: Callable[[str, int], None] = lambda stage, count: None) -> None:
        self.stages: list[str] = []
        self.totals: dict[str, tuple[int | None, int]] = {}
        self.notes: list[str] = []
        self.advanced = advanced
        self.count = 0

    def stage_started(self, stage: str, total: int | None, done: int = 0) -> None:
        self.stages.append(stage)
        self.totals[stage] = (total, done)
        self.count = 0

    def stage_advanced(self, stage: str) -> None:
        self.count += 1
        self.advanced(stage, self.count)

    def note(self, message: str) -> None:
        self.notes.append(message)


class At(Silence):
    """Calls a function when a stage starts."""

    def __init__(self, stage: str, function: Callable[[], None]) -> None:
        self.stage, self.function = stage, function

    def stage_started(self, stage: str, total: int | None, done: int = 0) -> None:
        if stage == self.stage:
            self.function()


def interrupt() -> None:
    """Stop a run, as Ctrl-C does."""
    raise KeyboardInterrupt


def stop_at(stage: str, count: int) -> Recorder:
    """Return a listener that stops a run after so many tasks of a stage."""

    def stop(at_stage: str, at_count: int) -> None:
        if (at_stage, at_count) == (stage, count):
            interrupt()

    return Recorder(stop)
