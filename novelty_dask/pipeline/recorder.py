"""The recorder of a run: it writes measurements and failures into the manifest, and emits events."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

from novelty_dask.errors import NoveltyError
from novelty_dask.events import StageFinished, StageStarted, TaskDone, TaskGivenUp
from novelty_dask.execution.usage import core_seconds
from novelty_dask.objects.owners import check_epoch
from novelty_dask.pipeline.measurements import merge_metrics, select_numbers
from novelty_dask.planning.memory import worker_bytes
from novelty_dask.storage.manifest import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from novelty_dask.pipeline.session import Session
    from novelty_dask.planning.stages import Stage
    from novelty_dask.storage.manifest import StageMetrics


class Progress(NamedTuple):
    """Progress of a stage when its session begins.

    Parameters
    ----------
    total : int or None
        Number of all tasks; None where it is not known.
    done : int
        Number of tasks that were done before.
    took : callable
        Returns the measurements of the tasks that were done before.
    """

    total: int | None
    done: int = 0
    took: Callable[[], StageMetrics] = dict


class StageRecorder:
    """Recorder that keeps the manifest of a session's run up to date, and its listener informed."""

    def __init__(self, session: Session) -> None:
        self.run = session.run
        self.manifest = session.manifest
        self.epoch = session.epoch
        self.executor = session.executor
        self.listener = session.listener
        self.threads = session.limits.budget.threads

    def reopen_pending(self, needed: dict[str, list[str]]) -> None:
        """Record that stages are not complete any more, if items of them are needed."""
        if any(needed.values()):
            # All of them are tried again, and recorded anew if they fail once more.
            self.manifest.failures = []
            for name in [name for name in self.manifest.stages if needed.get(name)]:
                self._reopen(name)
            self.save()

    def _reopen(self, name: str) -> None:
        """Record that tasks of a complete stage are to be done again."""
        if name in self.manifest.stages:
            self.manifest.earlier[name] = self.manifest.stages.pop(name)

    def save(self) -> None:
        """Store the manifest.

        Raises
        ------
        StoreError
            A newer client has taken over.
        """
        # The newer client may have written a manifest of its own, which must not be replaced by an old one.
        check_epoch(self.run.objects, self.epoch)
        self.run.save()

    def run_stage(self, stage: Stage, results: Generator[Any, None, Any], progress: Progress) -> None:
        """Consume the results of a stage's tasks as they come; then record what the stage took."""
        self._reopen(stage.name)
        self.listener(StageStarted(stage.name, progress.total, progress.done))
        # A clock that is never set back: unlike those of tasks, these times are compared within one process.
        began, used = time.monotonic(), self.executor.usage(forget_peak=True)
        n_tasks, sums, n_dead = progress.done, Counter[str](), self.executor.count_deaths()
        # Closed at an error, too, so that no worker goes on with tasks that nobody waits for.
        with closing(results):
            for result in results:
                n_tasks += 1
                sums.update(select_numbers(result))
                self.listener(TaskDone(stage.name))
        seconds, now = time.monotonic() - began, self.executor.usage()
        took = {
            "seconds": seconds,
            "core_seconds": core_seconds(used, now),
            "peak_bytes": max(each.peak_bytes for each in now),
            "deaths": max(self.executor.count_deaths() - n_dead, 0),
        }
        # Only now, as to read the commits of many tasks takes a while, in which the workers would wait.  The
        # manifest's own figures come first where it has any: of a stage that is done again, commits may have
        # been removed.
        before = {**progress.took(), **self.manifest.earlier.pop(stage.name, {})}
        self._record(stage, n_tasks, merge_metrics(before, {**sums, **took}))
        self.listener(StageFinished(stage.name, seconds))

    def _record(self, stage: Stage, n_tasks: int, took: StageMetrics) -> None:
        """Record that a stage is complete, and what it took."""
        projected = worker_bytes({stage.name: self.manifest.memory[stage.name]}, self.threads)[stage.name]
        rounded = {name: round(took[name], 3) for name in ("seconds", "core_seconds")}
        self.manifest.stages[stage.name] = {
            **took,
            **rounded,
            "tasks": n_tasks,
            "projected_bytes": projected,
        }
        self.save()

    def give_up(self, stage: Stage, item: str, reason: str) -> None:
        """Record that a task is given up."""
        self.manifest.failures.append(Failure(stage=stage.name, item=item, reason=reason))
        self.save()
        self.listener(TaskGivenUp(stage.name, item, reason))


def explain_failure(error: Exception) -> str:
    """Return why a task was given up, without any text of the corpus."""
    if isinstance(error, NoveltyError):
        return str(error)
    # The message of any other error may quote a URL, and with it a token, which must not end up in a log.
    said = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    return f"it raised {type(error).__name__}{said}"
