"""The books of a run: what each stage took, what was given up, told to the manifest and to a listener."""

import time
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from typing import Any

from novelty_dask.events import Listener
from novelty_dask.execution.executors import Executor
from novelty_dask.execution.usage import Usage
from novelty_dask.planning.memory import TEXT_BYTES, worker_bytes
from novelty_dask.storage.runs import StoredRun


class Books:
    """Keeps the books of one run.

    Parameters
    ----------
    run : StoredRun
        Its manifest is kept up to date, in memory and on disk.
    executor : Executor
        Tells what the processes use.
    listener : Listener
        Hears of the progress.
    threads : int
        Tasks that a worker runs at once.
    """

    def __init__(self, run: StoredRun, executor: Executor, listener: Listener, threads: int) -> None:
        self.run = run
        self.manifest = run.manifest
        self.executor = executor
        self.listener = listener
        self.threads = threads

    def begin(self, needed: dict[str, list[str]]) -> None:
        """Let the manifest say that the run is not complete, if some items are needed."""
        if any(needed.values()):
            self.manifest.failures = []
            self.manifest.stages = {
                name: figures for name, figures in self.manifest.stages.items() if not needed.get(name)
            }
            self.run.save()

    def follow(
        self, stage: str, results: Generator[Any, None, Any], total: int | None, done: int = 0
    ) -> None:
        """Let the results of a stage's tasks come in; then write down what it took."""
        self.listener.stage_started(stage, total, done)
        began, used = time.monotonic(), self.executor.usage(forget_peak=True)
        collected = []
        with closing(results):
            for result in results:
                collected.append(result)
                self.listener.stage_advanced(stage)
        seconds = time.monotonic() - began
        # There is no plan before the rows are counted, nor need of one: text is read in tables of one size.
        task = self.manifest.memory.get(stage, TEXT_BYTES)
        projected = worker_bytes({stage: task}, self.threads)[stage]
        measured = {"tasks": len(collected), "seconds": round(seconds, 3), "projected_bytes": projected}
        self.manifest.stages[stage] = {
            **measured,
            **_usage(used, self.executor.usage()),
            **_sums(collected),
        }
        self.run.save()
        self.listener.stage_finished(stage, seconds)

    def give_up(self, stage: str, item: str, reason: str) -> None:
        """Write down that a task is given up."""
        self.manifest.failures.append({"stage": stage, "item": item, "reason": reason})
        self.run.save()
        self.listener.note(f"Given up: task {item} of {stage}; {reason}.")


def _usage(before: Sequence[Usage], after: Sequence[Usage]) -> dict[str, float]:
    """Core seconds of a stage, and the peak memory of its largest process."""
    core_seconds = sum(used.cpu_seconds for used in after) - sum(used.cpu_seconds for used in before)
    return {"core_seconds": round(core_seconds, 3), "peak_bytes": max(used.peak_bytes for used in after)}


def _sums(results: Iterable[object]) -> dict[str, float]:
    """The figures that tasks returned, added up."""
    sums: Counter[str] = Counter()
    for result in results:
        numbers = result.items() if isinstance(result, dict) else ()
        sums.update({name: value for name, value in numbers if isinstance(value, int | float)})
    return dict(sums)
