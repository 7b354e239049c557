"""Metrics of runs for Prometheus, on ``/metrics`` of a scheduler."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from novelty_dask.dashboard.board import Board

LABELS = ("run", "session", "stage")
STATE_METRIC = "novelty_tasks"
COUNTERS = {
    "novelty_task_retries": "Tasks that were handed out again after an error.",
    "novelty_tasks_interrupted": "Tasks whose worker died.",
    "novelty_task_seconds": "Seconds that tasks took.",
    "novelty_rows": "Rows of tasks that are done.",
    "novelty_multiply_adds": "Multiply-adds of tasks that are done.",
}
"""What is counted of each stage; Prometheus adds ``_total`` to the names."""
WORKERS_DIED = "novelty_workers_died"


class BoardCollector:
    """Collector that reads a board whenever Prometheus asks.

    Parameters
    ----------
    board : Board
    """

    def __init__(self, board: Board) -> None:
        self.board = board

    def collect(self) -> Iterator[Any]:
        """Yield the families of metrics."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415

        states = GaugeMetricFamily(STATE_METRIC, "Tasks of a stage in a state.", labels=[*LABELS, "state"])
        counters = {name: CounterMetricFamily(name, text, labels=LABELS) for name, text in COUNTERS.items()}
        for session, run in self.board.runs.items():
            for stage in run.stages.values():
                where = [run.label, session, stage.name]
                for state, count in stage.counts.items():
                    states.add_metric([*where, state], count)
                values = (
                    stage.retries,
                    stage.interrupted,
                    stage.seconds,
                    stage.rows_done,
                    stage.figures.get("multiply_adds", 0),
                )
                for counter, value in zip(counters.values(), values, strict=True):
                    counter.add_metric(where, value)
        died = CounterMetricFamily(WORKERS_DIED, "Workers that died while they ran a task of a run.")
        died.add_metric([], self.board.deaths)
        yield from (states, *counters.values(), died)


_collectors: list[BoardCollector] = []


def export_metrics(board: Board) -> None:
    """Let Prometheus see a board, if its client is installed, as Dask's own metrics need it too."""
    # A process has one registry: of several schedulers, one after the other, it shows the last.
    if _collectors:
        _collectors[0].board = board
        return
    with suppress(ImportError):
        from prometheus_client import REGISTRY  # noqa: PLC0415

        _collectors.append(BoardCollector(board))
        REGISTRY.register(_collectors[0])
