"""The runner of stages: it orders the tasks of a stage, hands them out, and gives up those that fail."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from novelty_dask.errors import ClusterError
from novelty_dask.features.given import Carried
from novelty_dask.pipeline.graph import make_schedule
from novelty_dask.pipeline.measurements import measure_stage
from novelty_dask.pipeline.reading import read_sources, sort_rows
from novelty_dask.pipeline.recorder import Progress, StageRecorder, explain_failure
from novelty_dask.pipeline.vector_inputs import import_rows
from novelty_dask.planning.stages import COLUMNS, IMPORT, INGEST, SORT, VECTORIZE, WEIGH, Stage
from novelty_dask.stages.perform import perform

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Generator

    from novelty_dask.execution.executors import Outcome, Perform
    from novelty_dask.objects.commits import Metrics
    from novelty_dask.pipeline.session import Session

OF_FEATURES = (VECTORIZE, COLUMNS, WEIGH)
"""Stages whose tasks compute features."""


class StageRunner:
    """Runner of the stages of a session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.recorder = StageRecorder(session)

    def run(self, stage: Stage, needed: set[str], done: set[str]) -> None:
        """Run the needed tasks of a stage, and record what it took.

        Raises
        ------
        ClusterError
            A task failed that all later stages need.
        """
        total = len(stage.items(self.session.shape) or ())
        took = partial(measure_stage, self.session.run, stage, done)
        progress = Progress(total, total - len(needed), took)
        if stage is INGEST:
            results = read_sources(self.session, needed)
        elif stage is SORT:
            # The one task of this stage writes many tables, whose number is known when the last has come.
            results, progress = sort_rows(self.session, needed), Progress(None)
        else:
            results = self._map(stage, needed)
        if stage is IMPORT:
            results = import_rows(self.session.inputs, results, is_needed=bool(needed))
        self.recorder.run_stage(stage, results, progress)

    def _map(self, stage: Stage, needed: set[str]) -> Generator[Metrics, None, None]:
        """Run the needed tasks of a stage, each after those of the same stage that it needs."""
        failed = {*self.session.manifest.failed_tasks}
        ready, unlocked, hopeless = make_schedule(stage, self.session.shape, needed, failed)
        for item, first in hopeless:
            reason = f"it needs task {first.item} of {first.stage}, which was given up"
            self.recorder.give_up(stage, item, reason)
        task: Perform = partial(perform, self.session.run.url, self.session.epoch, stage.name)
        # A vectorizer may be large: it travels with the tasks that use it alone, and lies in no run.
        if stage in OF_FEATURES:
            task = Carried(task)
        self.session.executor.announce(stage, needed)
        yield from self._follow(stage, self.session.executor.map(stage.name, task, ready), ready, unlocked)
        # What is still locked waits for tiles that were given up.
        for first_item, items in unlocked.items():
            for item in items:
                self.recorder.give_up(stage, item, f"it needs task {first_item}, which was given up")

    def _follow(
        self,
        stage: Stage,
        outcomes: Generator[Outcome, None, None],
        ready: deque[str],
        unlocked: dict[str, list[str]],
    ) -> Generator[Metrics, None, None]:
        """Yield the metrics of tasks that succeeded, as they come; give up the others."""
        with closing(outcomes):
            for outcome in outcomes:
                if outcome.error is None:
                    # The executor takes its next tasks from this very queue.
                    ready.extend(unlocked.pop(outcome.item, []))
                    retries = outcome.attempts - 1
                    yield {**outcome.metrics, "retries": retries} if retries else outcome.metrics
                elif stage.may_fail:
                    self.recorder.give_up(stage, outcome.item, explain_failure(outcome.error))
                else:
                    reason = explain_failure(outcome.error)
                    message = f"Task {outcome.item} of {stage.name} was given up: {reason}."
                    raise ClusterError(message) from outcome.error
