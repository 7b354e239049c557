"""What a run tells of its progress.  The pipeline emits events; who listens decides how they look."""

from typing import Protocol


class Listener(Protocol):
    """Hears how far a run is."""

    def stage_started(self, stage: str, total: int | None, done: int = 0) -> None:
        """A stage of so many tasks begins, some done before; None where their number is not known."""
        ...

    def stage_advanced(self, stage: str) -> None:
        """A task of a stage is done."""
        ...

    def stage_finished(self, stage: str, seconds: float) -> None:
        """All tasks of a stage are done, after so many seconds."""
        ...

    def note(self, message: str) -> None:
        """Something a person should know, in one sentence."""
        ...


class Silence:
    """A listener that does nothing."""

    def stage_started(self, stage: str, total: int | None, done: int = 0) -> None:
        """Do nothing."""

    def stage_advanced(self, stage: str) -> None:
        """Do nothing."""

    def stage_finished(self, stage: str, seconds: float) -> None:
        """Do nothing."""

    def note(self, message: str) -> None:
        """Do nothing."""
