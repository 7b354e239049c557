"""What finished tasks took, added up from their commits, so that no kind of end of a client loses it."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from novelty_dask.execution.usage import TOOK
from novelty_dask.objects.commits import TaskId
from novelty_dask.storage.runs import StoredRun


class Span:
    """The first and the last of what was seen, for each of several.

    >>> span = Span()
    >>> span.widen("a", 1, 3); span.widen("b", 5, 6); span.widen("a", 2, 4)
    >>> span.total
    4
    """

    def __init__(self) -> None:
        self._ends: dict[Any, tuple[float, float]] = {}

    def widen(self, name: Any, start: float, stop: float) -> None:
        """Take note of something that began and ended."""
        first, last = self._ends.get(name, (start, stop))
        self._ends[name] = min(first, start), max(last, stop)

    @property
    def total(self) -> float:
        """From the first to the last of each, added up."""
        return sum(last - first for first, last in self._ends.values())


class Tally:
    """Adds up the figures of tasks of one stage.

    CPU seconds are those of each process from its first task to its last, and seconds those of each epoch.
    What processes did before and after, and the client between the tasks, is not known to commits.
    """

    def __init__(self) -> None:
        self._sums: Counter[str] = Counter()
        self._cpu, self._clock = Span(), Span()
        self._peak_bytes = 0

    def add(self, epoch: int, figures: dict[str, Any]) -> None:
        """Add the figures of a task that was ordered in an epoch."""
        self._sums.update(sums(figures))
        took = figures.get(TOOK)
        if took:
            self._cpu.widen((epoch, took["process"]), *took["cpu"])
            self._clock.widen(epoch, *took["clock"])
            self._peak_bytes = max(self._peak_bytes, took["peak_bytes"])

    @property
    def figures(self) -> dict[str, float]:
        """All that was added, in the terms of a manifest; nothing if nothing was."""
        if not self._peak_bytes:
            return dict(self._sums)
        return {
            "seconds": self._clock.total,
            "core_seconds": self._cpu.total,
            "peak_bytes": self._peak_bytes,
            **self._sums,
        }


def sums(figures: object) -> dict[str, float]:
    """The figures of a task that are numbers.

    >>> sums({"nonzeros": 3, "took": {"process": "a"}})
    {'nonzeros': 3}
    """
    numbers = figures.items() if isinstance(figures, dict) else ()
    return {name: value for name, value in numbers if isinstance(value, int | float)}


def joined(earlier: dict[str, float], later: dict[str, float]) -> dict[str, float]:
    """Figures of a stage that was done in several goes.

    >>> joined({"seconds": 1.5, "peak_bytes": 7}, {"seconds": 2, "peak_bytes": 9, "nonzeros": 3})
    {'seconds': 3.5, 'peak_bytes': 9, 'nonzeros': 3}
    """
    together = Counter(earlier)
    together.update(later)
    peaks = [figures["peak_bytes"] for figures in (earlier, later) if "peak_bytes" in figures]
    return {**together, **({"peak_bytes": max(peaks)} if peaks else {})}


def tally(run: StoredRun, stage: str, items: Iterable[str]) -> dict[str, float]:
    """What some finished tasks took, in the terms of a manifest."""
    added = Tally()
    for commit in (run.commits.find(TaskId(stage, item)) for item in items):
        if commit:
            added.add(commit.epoch, commit.figures)
    return added.figures
