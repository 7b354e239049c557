"""Measurements of a stage, added up from the commits of its tasks, so that they survive a killed client."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from novelty_dask.execution.usage import USAGE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from novelty_dask.objects.commits import Metrics
    from novelty_dask.planning.stages import Stage
    from novelty_dask.storage.manifest import StageMetrics
    from novelty_dask.storage.runs import StoredRun


class Intervals:
    """The smallest interval that covers all parts of it, for each of several names.

    >>> intervals = Intervals()
    >>> intervals.widen("a", 1, 3); intervals.widen("b", 5, 6); intervals.widen("a", 2, 4)
    >>> intervals.total
    4
    """

    def __init__(self) -> None:
        self._ends: dict[Any, tuple[float, float]] = {}

    def widen(self, name: Any, start: float, stop: float) -> None:
        """Widen the interval of a name to cover a part."""
        first, last = self._ends.get(name, (start, stop))
        self._ends[name] = min(first, start), max(last, stop)

    @property
    def total(self) -> float:
        """The sum of all lengths."""
        return sum(last - first for first, last in self._ends.values())


class StageMeasurements:
    """Sums over the metrics of the tasks of one stage."""

    # CPU seconds are those of each process from its first task to its last, as tasks of several threads of a
    # process overlap.  Wall seconds are those of each epoch in the same way.  Commits don't know what
    # processes did before and after, nor the client between the tasks.

    def __init__(self) -> None:
        self._sums: Counter[str] = Counter()
        self._cpu, self._clock = Intervals(), Intervals()
        self._peak_bytes = 0

    def add(self, epoch: int, metrics: Metrics) -> None:
        """Add the metrics of a task that was ordered in an epoch."""
        self._sums.update(select_numbers(metrics))
        usage = metrics.get(USAGE)
        if usage:
            self._cpu.widen((epoch, usage["process"]), *usage["cpu"])
            self._clock.widen(epoch, *usage["clock"])
            self._peak_bytes = max(self._peak_bytes, usage["peak_bytes"])

    @property
    def totals(self) -> StageMetrics:
        """The sums as a manifest holds them; empty if no task was added."""
        if not self._peak_bytes:
            return dict(self._sums)
        return {
            "seconds": self._clock.total,
            "core_seconds": self._cpu.total,
            "peak_bytes": self._peak_bytes,
            **self._sums,
        }


def measure_stage(run: StoredRun, stage: Stage, items: Iterable[str]) -> StageMetrics:
    """Return the measurements of finished tasks, as a manifest holds them."""
    measurements, commits = StageMeasurements(), run.commits
    for commit in (commits.find(stage.task(item)) for item in items):
        if commit:
            measurements.add(commit.epoch, commit.metrics)
    return measurements.totals


def select_numbers(metrics: object) -> StageMetrics:
    """Return the metrics of a task that are numbers.

    >>> select_numbers({"nonzeros": 3, "usage": {"process": "a"}})
    {'nonzeros': 3}
    """
    entries = metrics.items() if isinstance(metrics, dict) else ()
    return {name: value for name, value in entries if isinstance(value, int | float)}


def merge_metrics(earlier: StageMetrics, later: StageMetrics) -> StageMetrics:
    """Return the metrics of a stage that was done in two sessions.

    >>> merge_metrics({"seconds": 1.5, "peak_bytes": 7}, {"seconds": 2, "peak_bytes": 9, "nonzeros": 3})
    {'seconds': 3.5, 'peak_bytes': 9, 'nonzeros': 3}
    """
    together: Counter[str] = Counter(earlier)
    together.update(later)
    peaks = [metrics["peak_bytes"] for metrics in (earlier, later) if "peak_bytes" in metrics]
    return {**together, **({"peak_bytes": max(peaks)} if peaks else {})}
