"""What a client says of its run to the board of a scheduler, for the page that shows it."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from novelty_dask.dashboard.board import TOPIC, pack_tiles
from novelty_dask.errors import ClusterError
from novelty_dask.execution.names import run_label
from novelty_dask.planning.memory import worker_bytes

if TYPE_CHECKING:
    from novelty_dask.execution.scheduler import Scheduler
    from novelty_dask.objects.commits import Metrics
    from novelty_dask.planning.stages import Stage
    from novelty_dask.storage.runs import StoredRun

FIGURES = ("multiply_adds",)
"""Metrics of tasks that are added up."""
REPORT_SECONDS = 5.0


class RunReport:
    """Description of a run, sent when a stage begins and every few seconds.

    Parameters
    ----------
    scheduler : Scheduler
    token : str
        Names the run in the keys of its tasks.
    run : StoredRun
    """

    def __init__(self, scheduler: Scheduler, token: str, run: StoredRun) -> None:
        self.scheduler = scheduler
        self.token = token
        self.run = run
        self._stage = ""
        self._sums = dict.fromkeys(FIGURES, 0.0)
        self._sent = 0.0

    def begin(self, stage: Stage, needed: set[str]) -> None:
        """Say how many tasks a stage has, and which of them are done."""
        manifest = self.run.manifest
        items = list(stage.items(manifest.shape) or ())
        described: dict[str, Any] = {
            "name": stage.name,
            "total": len(items),
            "done": len(items) - len(needed),
            "rows": manifest.plan.n_rows if manifest.plan else 0,
            "bytes": manifest.memory.get(stage.name, 0),
            "process_bytes": worker_bytes({stage.name: 0}, 1)[stage.name],
        }
        if manifest.plan and items and "-" in items[0]:
            described["shape"] = (manifest.plan.n_spans, manifest.plan.n_groups)
            described["finished"] = pack_tiles(described["shape"], [i for i in items if i not in needed])
        self._stage, self._sums = stage.name, dict.fromkeys(FIGURES, 0.0)
        self._send(stage=described)

    def count(self, metrics: Metrics) -> None:
        """Add the metrics of a task."""
        for name in FIGURES:
            self._sums[name] += metrics.get(name, 0)
        if self._stage and time.monotonic() - self._sent > REPORT_SECONDS:
            self._send(figures={self._stage: dict(self._sums)})

    def _send(self, **description: Any) -> None:
        """Send something to the board; without a board nobody takes it."""
        self._sent = time.monotonic()
        message = {"run": self.token, "label": run_label(self.run.url), **description}
        # Nobody needs the page: whether the scheduler is lost is found out by those who do.
        with suppress(ClusterError):
            self.scheduler.ask(lambda: self.scheduler.client.log_event(TOPIC, message))
