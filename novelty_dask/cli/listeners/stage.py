"""The stage at work, as listeners count it: tasks that are done, and shares of those that are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from novelty_dask.events import StageStarted, TaskAdvanced


class StageProgress:
    """Progress of a stage in this session.

    Parameters
    ----------
    event : StageStarted

    Attributes
    ----------
    done : int
        Tasks that were done since.
    total : int or None
        Tasks to do; None where their number is not known.
    """

    def __init__(self, event: StageStarted) -> None:
        self.name = event.stage
        self.done = 0
        self.total = None if event.total is None else event.total - event.done
        self._shares: dict[str, float] = {}

    def advance(self, event: TaskAdvanced) -> None:
        """Take note of a task under way.  One that begins anew, as its worker died, begins at 0 again."""
        if event.item:
            self._shares[event.item] = event.share

    @property
    def is_within(self) -> bool:
        """True if tasks have reported shares."""
        return bool(self._shares)

    @property
    def amount(self) -> float:
        """Tasks that are done, and shares of the others: at most all."""
        # Most tasks end without having reported.  Those that have report 1 at their end, in any order with
        # the event that they are done.
        ended = sum(share == 1 for share in self._shares.values())
        under_way = sum(share for share in self._shares.values() if share < 1)
        amount = max(self.done, ended) + under_way
        return amount if self.total is None else min(amount, self.total)
