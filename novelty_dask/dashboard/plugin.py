"""The plugin of a scheduler that fills its board, and shows it."""

from __future__ import annotations

import logging
from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin

from novelty_dask.dashboard.board import DONE, FAILED, TOPIC, WAITING, Board
from novelty_dask.dashboard.exports import export_metrics
from novelty_dask.dashboard.page import add_page

PLUGIN = "novelty-dashboard"
logger = logging.getLogger(__name__)


class BoardPlugin(SchedulerPlugin):
    """Plugin that notes what the tasks of runs do.

    Attributes
    ----------
    board : Board
    """

    name = PLUGIN

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        self.board = Board()
        self._lost = 0

    def log_event(self, topic: str, message: Any) -> None:
        """Take a description that a client has sent."""
        if topic == TOPIC:
            try:
                self.board.describe(message)
            except (KeyError, TypeError, ValueError, AttributeError):
                # A client of another version may say it otherwise; the scheduler has to go on.
                logger.warning("A description of a run was not understood.")

    def transition(self, key: Any, start: str, finish: str, *_arguments: Any, **options: Any) -> None:
        """Note that a task begins or ends."""
        # It is called several times for every task of everybody: most calls end here.
        if "processing" not in (start, finish) or not self.board.runs or not (found := self.board.find(key)):
            return
        stage, item, attempt = found
        if finish == "processing":
            stage.begin(item, attempt)
        elif finish == "memory":
            stage.end(item, DONE, _seconds(options.get("startstops")))
        elif finish == "erred":
            stage.end(item, FAILED)
        else:
            stage.end(item, WAITING)
            task = self.scheduler.tasks.get(key)
            # A client that drops a task does not want it any more.
            stage.interrupted += bool(task and task.who_wants)

    def remove_worker(self, scheduler: Any, worker: str, **_options: Any) -> None:
        """Count a worker that died with tasks of a run."""
        lost = sum(stage.interrupted for run in self.board.runs.values() for stage in run.stages.values())
        lost += sum(len(stage.failed) for run in self.board.runs.values() for stage in run.stages.values())
        self.board.deaths += lost > self._lost
        self._lost = lost


def install(dask_scheduler: Any) -> None:
    """Give a scheduler the plugin, the page and the metrics, once."""
    # The parameter has the name by which `run_on_scheduler` hands over the scheduler.
    if PLUGIN not in dask_scheduler.plugins:
        plugin = BoardPlugin(dask_scheduler)
        dask_scheduler.add_plugin(plugin)
        export_metrics(plugin.board)
        add_page(dask_scheduler)


def _seconds(startstops: Any) -> float | None:
    """Return the time that a task took, as its worker says."""
    spans = [each["stop"] - each["start"] for each in startstops or () if each.get("action") == "compute"]
    return sum(spans) if spans else None
