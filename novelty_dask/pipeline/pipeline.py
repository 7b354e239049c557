"""From sources to a complete run, stage by stage.  Emits events, prints nothing.

What is done is told by commits, one a task.  A run that was stopped does what is missing; so does one of
which something was damaged.
"""

from collections import Counter, deque
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from typing import Any

from novelty_dask.errors import ClusterError, DamageError, InputError
from novelty_dask.events import Listener
from novelty_dask.execution.bags import make_bag
from novelty_dask.execution.executors import Executor, Job, Outcome
from novelty_dask.execution.usage import measured
from novelty_dask.objects.commits import FOLDER, TaskId
from novelty_dask.objects.owners import check_epoch
from novelty_dask.pipeline.graph import Stage, lasting, make_stages, schedule
from novelty_dask.pipeline.measurements import tally
from novelty_dask.pipeline.recorder import Books, Progress, reason_of
from novelty_dask.planning.memory import Budget, Extent, check_limit, fit, plan_bytes, reading_bytes
from novelty_dask.planning.pending import needed_items
from novelty_dask.planning.tiles import TilePlan
from novelty_dask.sources.estimate import held_bytes
from novelty_dask.sources.find import Source, check_unchanged
from novelty_dask.sources.pieces import Piece, cut
from novelty_dask.stages.ingest import PieceRead, ingest
from novelty_dask.stages.rejected import count_rejected, nothing_to_score, store_rejected
from novelty_dask.stages.sort import SORTED, sort_rows, sorted_tables
from novelty_dask.stages.tasks import perform
from novelty_dask.storage.audit import list_done, take_stock
from novelty_dask.storage.runs import StoredRun
from novelty_dask.storage.tables import Table

REPAIRS = 3
"""How often the same task's results may turn out to be damaged before its store is given up."""


class Pipeline:
    """Takes one run through its stages.

    Parameters
    ----------
    run : StoredRun
        It has been claimed.
    epoch : int
        Of its owner.
    executor : Executor
        Runs the tasks.
    listener : Listener
        Hears of the progress.
    budget : Budget
        What a worker may use.
    """

    def __init__(
        self, run: StoredRun, epoch: int, executor: Executor, listener: Listener, budget: Budget
    ) -> None:
        self.stored = run
        self.manifest = run.manifest
        self.epoch = epoch
        self.executor = executor
        self.budget = budget
        self.damages: Counter[TaskId] = Counter()
        self.books = Books(run, epoch, executor, listener, budget.threads)

    def run(self, sources: Sequence[Source], block_rows: int | None = None) -> None:
        """Do all that is not done.

        Parameters
        ----------
        sources : sequence of Source
            Where the lines are.
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
        StoreError
            The run can't be written or read.
        """
        while True:
            try:
                return self._go_on(sources, block_rows)
            except DamageError as error:
                task = TaskId(error.stage, error.item)
                self.damages[task] += 1
                if self.damages[task] == REPAIRS:
                    raise
                check_epoch(self.stored.objects, self.epoch)
                self.stored.commits.forget(task)
                self.books.listener.note(f"Damage: {error}")

    def _go_on(self, sources: Sequence[Source], block_rows: int | None) -> None:
        """Do what is missing, as far as nothing is found to be damaged."""
        tables: list[Table] = []
        if not self.manifest.plan:
            tables = self._read(sources)
            self._plan(tables, sources, block_rows)
        plan = TilePlan(**self.manifest.plan)
        # What sorting takes besides depends on who does it, and is checked if it is done.
        memory = {**self.manifest.memory, **reading_bytes(held_bytes(sources))}
        check_limit(memory, self.budget, plan.block_rows)
        stages = make_stages(plan, tables)
        kept = [stage.name for stage in lasting(stages)]
        done = {stage.name: self._done(stage.name, believed=stage is not stages[-1]) for stage in stages}
        needed = needed_items([stage.items for stage in stages], kept, done)
        if not tables and (needed["vectorize"] or not self._done("rejected")):
            # What is read again must be what was read.
            for source in sources:
                check_unchanged(source)
            stages = make_stages(plan, self._read(sources))
        self.books.begin(needed)
        self._do(stages, {name: set(items) for name, items in needed.items()}, done)

    def _do(self, stages: Sequence[Stage], needed: dict[str, set[str]], done: dict[str, set[str]]) -> None:
        """Do the needed items of all stages, as others are done."""
        kept = lasting(stages)
        # A client may have been killed between the last commit of a stage and its entry in the books.
        unentered = {stage.name for stage in kept} - {*self.manifest.stages}
        wanted = [stage for stage in stages if needed[stage.name] or stage.name in unentered]
        for name in dict.fromkeys(["rejected", *(stage.name for stage in [*kept, *wanted])]):
            self.stored.create_arrays(name)
        for stage in stages:
            if stage in wanted:
                self._look_at(kept[:-1] if stage is stages[-1] else [])
                self._run(stage, needed[stage.name], done[stage.name])
            if not self.manifest.failures:
                self._remove(stage)

    def _plan(self, tables: Sequence[Table], sources: Sequence[Source], block_rows: int | None) -> None:
        """Cut the rows into blocks that fit the budget; from now on the run keeps to it."""
        extents = [Extent(table.n_rows, table.n_bytes, held_bytes(sources)) for table in tables]
        plan = fit(self.budget, extents, block_rows)
        self.manifest.plan = asdict(plan)
        self.manifest.memory = plan_bytes(self.budget, extents, plan)
        self.books.save()

    def _done(self, stage: str, *, believed: bool = False) -> set[str]:
        """Items of a stage that are done; commits that don't count are taken back.

        As long as nothing is found to be damaged, commits may be believed: what they tell of is read by
        later stages, or looked at before the last.
        """
        if believed and not self.damages:
            return list_done(self.stored, stage)
        stock = take_stock(self.stored, stage)
        for item in stock.broken:
            self.stored.commits.forget(TaskId(stage, item))
        return stock.done

    def _look_at(self, stages: Sequence[Stage]) -> None:
        """Look for all that some complete stages left; raise DamageError if anything is gone."""
        for stage in stages:
            lacking = {job.item for job in stage.jobs} - self._done(stage.name)
            if lacking:
                task = TaskId(stage.name, min(lacking))
                raise DamageError.of(task, task.key, "is gone, or something that it tells of")

    def _remove(self, stage: Stage) -> None:
        """Remove what nobody needs after a stage, commits first."""
        self.stored.remove(f"{FOLDER}{name}" for name in stage.removes)
        for arrays in stage.removes.values():
            self.stored.remove(arrays)

    def _read(self, sources: Sequence[Source]) -> list[Table]:
        """Read and sort the lines; leave tables of distinct rows."""
        pieces = cut(sources)
        self.manifest.memory = self.manifest.memory or reading_bytes(held_bytes(sources))
        reads = self._ingest(sources, pieces)
        for source in sources:
            check_unchanged(source)
        rejected = count_rejected(self.stored, reads)
        if not any(read.tables for read in reads):
            raise InputError(nothing_to_score(rejected))
        tables = self._sort(reads)
        lines, rows = sum(read.n_lines for read in reads), sum(table.n_rows for table in tables)
        duplicates = lines - rows - sum(rejected.values())
        # Every line is a row, a duplicate of one, or rejected.
        self.manifest.counts = {"lines": lines, "rows": rows, "duplicates": duplicates, "rejected": rejected}
        self.books.save()
        store_rejected(self.stored, self.epoch, pieces, reads)
        return tables

    def _ingest(self, sources: Sequence[Source], pieces: Sequence[Piece]) -> list[PieceRead]:
        """Read the lines of all pieces that have not been read."""
        done = self._done("ingest")
        missing = [(number, piece) for number, piece in enumerate(pieces) if str(number) not in done]
        if missing:
            form = self.manifest.settings["normal_form"]
            parts = [(number, piece, sources[piece.source]) for number, piece in missing]
            bag = make_bag(parts, ingest, self.stored.url, self.epoch, form)
            took = partial(tally, self.stored, "ingest", done)
            progress = Progress(len(pieces), len(pieces) - len(missing), took)
            self.books.follow("ingest", self.executor.compute(bag), progress)
        return sorted(PieceRead.of(commit.figures) for _, commit in self.stored.commits.items("ingest"))

    def _sort(self, reads: Sequence[PieceRead]) -> list[Table]:
        """Sort the rows, unless that is done."""
        if not self._done(SORTED.stage):
            tables = sort_rows(self.executor, self.stored, self.epoch, self.budget, reads)
            self.books.follow(SORTED.stage, tables, Progress(None))
        commit = self.stored.commits.find(SORTED)
        assert commit
        return sorted_tables(commit.figures)

    def _run(self, stage: Stage, needed: set[str], done: set[str]) -> None:
        """Run the needed tasks of a stage, each after what it needs of the same stage."""
        ready, unlocked, hopeless = schedule(stage, needed, set(self.manifest.absent))
        for job, first in hopeless:
            self.books.give_up(
                stage.name, job.item, f"it needs task {first.item} of {first.stage}, which was given up"
            )
        work = partial(perform, self.stored.url, self.epoch, stage.name, partial(measured, stage.work))
        outcomes = self._outcomes(stage, self.executor.map(stage.name, work, ready), ready, unlocked)
        progress = Progress(
            len(stage.jobs), len(stage.jobs) - len(needed), partial(tally, self.stored, stage.name, done)
        )
        self.books.follow(stage.name, outcomes, progress)
        for item, jobs in unlocked.items():
            for job in jobs:
                self.books.give_up(stage.name, job.item, f"it needs task {item}, which was given up")

    def _outcomes(
        self,
        stage: Stage,
        outcomes: Generator[Outcome, None, None],
        ready: deque[Job],
        unlocked: dict[str, list[Job]],
    ) -> Generator[Any, None, None]:
        """Figures of the tasks that went well, as they come; keep the books of the others."""
        with closing(outcomes):
            for outcome in outcomes:
                if outcome.error is None:
                    ready.extend(unlocked.pop(outcome.item, []))
                    yield outcome.figures
                elif stage.may_fail:
                    self.books.give_up(stage.name, outcome.item, reason_of(outcome.error))
                else:
                    message = f"Task {outcome.item} of {stage.name} was given up: {reason_of(outcome.error)}."
                    raise ClusterError(message) from outcome.error
