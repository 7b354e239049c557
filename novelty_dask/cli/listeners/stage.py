"""The stage at work, as listeners count it: tasks that are done, and shares of those that are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from novelty_dask.events import StageStarted, TaskAdvanced

UNFINISHED = 0.01
"""What is missing of a task, at least, that has not ended."""


class StageProgress:
    """Progress of a stage in this session.

    Parameters
    ----------
    event : StageStarted

    Attributes
    ----------
    before : int
        Tasks that were done before.
    done : int
        Tasks that were done since.
    total : int or None
        Tasks to do; None where their number is not known.
    """

    def __init__(self, event: StageStarted) -> None:
        self.name = event.stage
        self.before = event.done
        self.done = 0
        self.total = None if event.total is None else event.total - event.done
        # Shares of tasks under way, and tasks that have reported their end: a stage may have many thousands.
        self._shares: dict[str, float] = {}
        self._ended: set[str] = set()

    def advance(self, event: TaskAdvanced) -> None:
        """Take note of a task under way.  One that begins anew, as its worker died, begins at 0 again."""
        if event.item and event.share == 1:
            self._shares.pop(event.item, None)
            self._ended.add(event.item)
        elif event.item:
            self._ended.discard(event.item)
            self._shares[event.item] = event.share

    @property
    def is_within(self) -> bool:
        """True if tasks have reported shares."""
        return bool(self._shares or self._ended)

    @property
    def amount(self) -> float:
        """Tasks that are done, and shares of the others: all at the end alone."""
        # Most tasks end without having reported.  Those that have report 1 at their end, in any order with
        # the event that they are done.
        amount = max(self.done, len(self._ended)) + sum(self._shares.values())
        if self.total is None:
            return amount
        return min(amount, self.total if self.done >= self.total else self.total - UNFINISHED)
