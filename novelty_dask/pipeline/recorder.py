"""The books of a run: what each stage took, what was given up, told to the manifest and to a listener."""

import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any, NamedTuple

from novelty_dask.errors import NoveltyError
from novelty_dask.events import Listener
from novelty_dask.execution.executors import Executor
from novelty_dask.execution.usage import core_seconds
from novelty_dask.objects.owners import check_epoch
from novelty_dask.pipeline.measurements import joined, sums
from novelty_dask.planning.memory import worker_bytes
from novelty_dask.storage.runs import StoredRun


class Progress(NamedTuple):
    """Tasks of a stage, all and those that were done before, and what these took.

    Parameters
    ----------
    total : int or None
        None where it is not known.
    done : int
        Tasks that need not be done any more.
    took : callable
        Gives what their commits say, when the others are done, as to read many takes a while.
    """

    total: int | None
    done: int = 0
    took: Callable[[], dict[str, float]] = dict


class Books:
    """Keeps the books of one run.

    Parameters
    ----------
    run : StoredRun
        Its manifest is kept up to date, in memory and on disk.
    epoch : int
        Of the run's owner.
    executor : Executor
        Tells what the processes use.
    listener : Listener
        Hears of the progress.
    threads : int
        Tasks that a worker runs at once.
    """

    def __init__(
        self, run: StoredRun, epoch: int, executor: Executor, listener: Listener, threads: int
    ) -> None:
        self.run = run
        self.manifest = run.manifest
        self.epoch = epoch
        self.executor = executor
        self.listener = listener
        self.threads = threads

    def begin(self, needed: dict[str, list[str]]) -> None:
        """Let the manifest say that the run is not complete, if some items are needed."""
        if any(needed.values()):
            self.manifest.failures = []
            for name in [name for name in self.manifest.stages if needed.get(name)]:
                self.reopen(name)
            self.save()

    def reopen(self, stage: str) -> None:
        """Let a complete stage be one of which something is to be done again."""
        if stage in self.manifest.stages:
            self.manifest.earlier[stage] = self.manifest.stages.pop(stage)

    def save(self) -> None:
        """Store the manifest, unless a newer client has taken over that may have written another.

        Raises
        ------
        StoreError
            It has.
        """
        check_epoch(self.run.objects, self.epoch)
        self.run.save()

    def follow(self, stage: str, results: Generator[Any, None, Any], progress: Progress) -> None:
        """Let the results of a stage's tasks come in; then write down what it took."""
        self.reopen(stage)
        self.listener.stage_started(stage, progress.total, progress.done)
        began, used = time.monotonic(), self.executor.usage(forget_peak=True)
        n_tasks, figures = progress.done, Counter[str]()
        with closing(results):
            for result in results:
                n_tasks += 1
                figures.update(sums(result))
                self.listener.stage_advanced(stage)
        seconds, now = time.monotonic() - began, self.executor.usage()
        took = {
            "seconds": seconds,
            "core_seconds": core_seconds(used, now),
            "peak_bytes": max(each.peak_bytes for each in now),
        }
        # Of what is done again, commits may have been removed.
        before = {**progress.took(), **self.manifest.earlier.pop(stage, {})}
        self._enter(stage, n_tasks, joined(before, {**figures, **took}))
        self.listener.stage_finished(stage, seconds)

    def _enter(self, stage: str, n_tasks: int, took: dict[str, float]) -> None:
        """Write down that a stage is complete, and what it took."""
        projected = worker_bytes({stage: self.manifest.memory[stage]}, self.threads)[stage]
        rounded = {name: round(took[name], 3) for name in ("seconds", "core_seconds")}
        self.manifest.stages[stage] = {**took, **rounded, "tasks": n_tasks, "projected_bytes": projected}
        self.save()

    def give_up(self, stage: str, item: str, reason: str) -> None:
        """Write down that a task is given up."""
        self.manifest.failures.append({"stage": stage, "item": item, "reason": reason})
        self.save()
        self.listener.note(f"Given up: task {item} of {stage}; {reason}.")


def reason_of(error: Exception) -> str:
    """Why a task was given up, without what it may have said of the data."""
    if isinstance(error, NoveltyError):
        return str(error)
    said = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    return f"it raised {type(error).__name__}{said}"
