"""From sources to a complete run, stage by stage.  Emits events, prints nothing.

A stage is complete when the manifest says so, which it does after the stage's results are
stored.  A run that was stopped goes on after its last complete stage; before its rows are
stored it starts again.
"""

import time
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from typing import TypeVar

from novelty_dask.errors import InputError
from novelty_dask.events import Listener
from novelty_dask.execution.executors import Executor
from novelty_dask.execution.ingest import PieceRead, read_pieces
from novelty_dask.execution.rejected import store_rejected
from novelty_dask.execution.sort import sort_rows
from novelty_dask.execution.usage import Usage
from novelty_dask.planning.memory import Budget, Extent, fit
from novelty_dask.planning.tiles import TilePlan
from novelty_dask.stages import Stage, make_stages
from novelty_dask.storage.blocks import create_arrays, remove_arrays
from novelty_dask.storage.runs import Manifest, open_group, read_manifest, work_url, write_manifest
from novelty_dask.storage.sources import Piece, Source, cut
from novelty_dask.storage.tables import Table, remove_tables

Result = TypeVar("Result")


class Pipeline:
    """Takes one run through its stages.

    Parameters
    ----------
    url : str
        Where the run is; it exists, with its manifest.
    executor : Executor
        Runs the tasks.
    listener : Listener
        Hears of the progress.
    """

    def __init__(self, url: str, executor: Executor, listener: Listener) -> None:
        self.url = url
        self.executor = executor
        self.listener = listener
        self.group = open_group(url, "r+")
        self.manifest: Manifest = read_manifest(self.group)

    def run(self, sources: Sequence[Source], budget: Budget, block_rows: int | None = None) -> None:
        """Go through all stages that are not complete.

        Parameters
        ----------
        sources : sequence of Source
            Where the lines are.
        budget : Budget
            What a worker may use.
        block_rows : int or None
            Rows of a block; as many as the budget allows if None.

        Raises
        ------
        InputError
            There is no URL in the sources, or they can't be read.
        BudgetError
            The rows, once counted, turn out not to fit the budget.
        ClusterError
            The workers failed.
        """
        tables: list[Table] = []
        if not self.manifest.has_rows:
            tables = self._read(sources)
            extents = [Extent(table.n_rows, table.n_bytes) for table in tables]
            self.manifest.plan = asdict(fit(budget, extents, block_rows))
            write_manifest(self.group, self.manifest)
        for stage in make_stages(TilePlan(**self.manifest.plan), self.manifest.settings, tables):
            if stage.name not in self.manifest.stages:
                self._run(stage)
            remove_arrays(self.group, stage.removes)
        remove_tables(work_url(self.url))

    def _read(self, sources: Sequence[Source]) -> list[Table]:
        """Read and sort the lines; leave tables of distinct rows."""
        folder, pieces = work_url(self.url), cut(sources)
        bag = read_pieces(sources, pieces, folder, self.manifest.settings["normal_form"])
        parts = self._follow("ingest", self.executor.compute(bag), len(pieces))
        reads: list[PieceRead] = sorted(read for part in parts for read in part)
        rejected = self._store_rejected(pieces, reads)
        tables = sorted(self._follow("sort", sort_rows(self.executor, reads, folder), None))
        self._count_lines(reads, rejected, tables)
        return tables

    def _store_rejected(self, pieces: Sequence[Piece], reads: Sequence[PieceRead]) -> dict[str, int]:
        """Store rejected lines; refuse sources that hold nothing else."""
        rejected = store_rejected(self.url, pieces, reads)
        if not any(read.tables for read in reads):
            refused = ", ".join(f"{count:,} {reason}" for reason, count in rejected.items())
            found = f"all their lines were rejected ({refused})" if refused else "they are empty"
            message = f"There is no URL in the sources: {found}."
            raise InputError(message)
        return rejected

    def _count_lines(
        self, reads: Sequence[PieceRead], rejected: dict[str, int], tables: Sequence[Table]
    ) -> None:
        """Keep the books: every line is a row, a duplicate of one, or rejected."""
        lines, rows = sum(read.n_lines for read in reads), sum(table.n_rows for table in tables)
        duplicates = lines - rows - sum(rejected.values())
        self.manifest.counts = {"lines": lines, "rows": rows, "duplicates": duplicates, "rejected": rejected}

    def _run(self, stage: Stage) -> None:
        """Run the tasks of a stage, phase by phase."""
        create_arrays(self.group, stage.creates)
        results = (
            figures
            for task, items in stage.phases
            for figures in self.executor.map(stage.name, partial(task, self.url), items)
        )
        self._follow(stage.name, results, stage.n_tasks)

    def _follow(self, stage: str, results: Generator[Result, None, None], total: int | None) -> list[Result]:
        """Collect the results of a stage as they come; then mark it complete."""
        self.listener.stage_started(stage, total)
        began, used = time.monotonic(), self.executor.usage(forget_peak=True)
        collected = []
        with closing(results):
            for result in results:
                collected.append(result)
                self.listener.stage_advanced(stage)
        seconds = time.monotonic() - began
        measured = {
            "tasks": len(collected),
            "seconds": round(seconds, 3),
            **_usage(used, self.executor.usage()),
        }
        self.manifest.stages[stage] = {**measured, **_sums(collected)}
        write_manifest(self.group, self.manifest)
        self.listener.stage_finished(stage, seconds)
        return collected


def _usage(before: Sequence[Usage], after: Sequence[Usage]) -> dict[str, float]:
    """Core seconds of a stage, and the peak memory of its largest process."""
    core_seconds = sum(used.cpu_seconds for used in after) - sum(used.cpu_seconds for used in before)
    return {"core_seconds": round(core_seconds, 3), "peak_bytes": max(used.peak_bytes for used in after)}


def _sums(results: Iterable[object]) -> dict[str, float]:
    """The figures that tasks returned, added up."""
    sums: Counter[str] = Counter()
    for result in results:
        sums.update(result if isinstance(result, dict) else {})
    return dict(sums)
