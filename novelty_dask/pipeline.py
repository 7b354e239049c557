"""From sources to a complete run, stage by stage.  Emits events, prints nothing.

What is done is told by commits, one a task.  A run that was stopped does what is missing; so does one of
which something was damaged.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from typing import Any

from novelty_dask.books import Books
from novelty_dask.errors import ClusterError, DamageError, InputError, NoveltyError
from novelty_dask.events import Listener
from novelty_dask.execution.executors import Executor, Outcome
from novelty_dask.execution.ingest import PieceRead, read_pieces
from novelty_dask.execution.rejected import count_rejected, store_rejected
from novelty_dask.execution.sort import SORTED, sort_rows, sorted_tables
from novelty_dask.execution.tasks import Job, perform
from novelty_dask.planning.memory import Budget, Extent, check_limit, fit, plan_bytes
from novelty_dask.planning.needs import needed_items
from novelty_dask.planning.tiles import TilePlan
from novelty_dask.stages import Stage, lasting, make_stages
from novelty_dask.storage.audit import take_stock
from novelty_dask.storage.commits import FOLDER, TaskId
from novelty_dask.storage.runs import StoredRun
from novelty_dask.storage.sources import Piece, Source, check_unchanged, cut
from novelty_dask.storage.tables import Table

REPAIRS = 3
"""How often the same task's results may turn out to be damaged before its store is given up."""


class Pipeline:
    """Takes one run through its stages.

    Parameters
    ----------
    run : StoredRun
        The run; it has been claimed.
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
        self.books = Books(run, executor, listener, budget.threads)

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
        damages: Counter[TaskId] = Counter()
        while True:
            try:
                return self._go_on(sources, block_rows)
            except DamageError as error:
                task = TaskId(error.stage, error.item)
                damages[task] += 1
                if damages[task] == REPAIRS:
                    raise
                self.stored.commits.forget(task)
                self.books.listener.note(f"Damage: {error}")

    def _go_on(self, sources: Sequence[Source], block_rows: int | None) -> None:
        """Do what is missing, as far as nothing is found to be damaged."""
        tables: list[Table] = []
        if not self.manifest.plan:
            tables = self._read(sources)
            self._plan(tables, block_rows)
        plan = TilePlan(**self.manifest.plan)
        check_limit(self.manifest.memory, self.budget, plan.block_rows)
        stages = make_stages(plan)
        needed = self._needed(stages)
        if not tables and (needed["vectorize"] or not self._stock("rejected")):
            # What is read again must be what was read.
            for source in sources:
                check_unchanged(source)
            tables = self._read(sources)
        self.books.begin(needed)
        kept = [stage.name for stage in lasting(stages)]
        for name in ("rejected", *kept):
            self.stored.create_arrays(name)
        for stage in make_stages(plan, tables):
            # A client may have been killed between the last commit of a stage and its entry in the books.
            if needed[stage.name] or (stage.name in kept and stage.name not in self.manifest.stages):
                self._run(stage, set(needed[stage.name]))
            if not self.manifest.failures:
                self._remove(stage)

    def _plan(self, tables: Sequence[Table], block_rows: int | None) -> None:
        """Cut the rows into blocks that fit the budget; from now on the run keeps to it."""
        extents = [Extent(table.n_rows, table.n_bytes) for table in tables]
        plan = fit(self.budget, extents, block_rows)
        self.manifest.plan = asdict(plan)
        self.manifest.memory = plan_bytes(self.budget, extents, plan)
        self.stored.save()

    def _needed(self, stages: Sequence[Stage]) -> dict[str, list[str]]:
        """Items of each stage that have to be done; commits of theirs that don't count are taken back."""
        done = {stage.name: self._stock(stage.name) for stage in stages}
        wanted = {stage.name for stage in lasting(stages)}
        return needed_items([stage.items for stage in stages], wanted, done)

    def _stock(self, stage: str) -> set[str]:
        """Items of a stage that are done; commits that don't count are taken back."""
        stock = take_stock(self.stored, stage)
        for item in stock.broken:
            self.stored.commits.forget(TaskId(stage, item))
        return stock.done

    def _remove(self, stage: Stage) -> None:
        """Remove what nobody needs after a stage, commits first."""
        for name, arrays in stage.removes.items():
            self.stored.remove([f"{FOLDER}{name}", *arrays])

    def _read(self, sources: Sequence[Source]) -> list[Table]:
        """Read and sort the lines; leave tables of distinct rows."""
        pieces = cut(sources)
        reads = self._ingest(sources, pieces)
        for source in sources:
            check_unchanged(source)
        rejected = count_rejected(self.stored, reads)
        if not any(read.tables for read in reads):
            raise InputError(_nothing_to_score(rejected))
        tables = self._sort(reads)
        lines, rows = sum(read.n_lines for read in reads), sum(table.n_rows for table in tables)
        duplicates = lines - rows - sum(rejected.values())
        # Every line is a row, a duplicate of one, or rejected.
        self.manifest.counts = {"lines": lines, "rows": rows, "duplicates": duplicates, "rejected": rejected}
        self.stored.save()
        store_rejected(self.stored, self.epoch, pieces, reads)
        return tables

    def _ingest(self, sources: Sequence[Source], pieces: Sequence[Piece]) -> list[PieceRead]:
        """Read the lines of all pieces that have not been read."""
        done = self._stock("ingest")
        missing = [(number, piece) for number, piece in enumerate(pieces) if str(number) not in done]
        if missing:
            form = self.manifest.settings["normal_form"]
            bag = read_pieces(sources, missing, self.stored.url, self.epoch, form)
            self.books.follow("ingest", self.executor.compute(bag), len(pieces), len(pieces) - len(missing))
        return sorted(PieceRead.of(commit.figures) for _, commit in self.stored.commits.items("ingest"))

    def _sort(self, reads: Sequence[PieceRead]) -> list[Table]:
        """Sort the rows, unless that is done."""
        if not self._stock(SORTED.stage):
            self.books.follow(SORTED.stage, sort_rows(self.executor, self.stored, self.epoch, reads), None)
        commit = self.stored.commits.find(SORTED)
        assert commit
        return sorted_tables(commit.figures)

    def _run(self, stage: Stage, needed: set[str]) -> None:
        """Run the needed tasks of a stage, each after what it needs of the same stage."""
        self.stored.create_arrays(stage.name)
        ready, unlocked = self._schedule(stage, needed)
        work = partial(perform, self.stored.url, self.epoch, stage.name, stage.work)
        outcomes = self._outcomes(stage, self.executor.map(stage.name, work, ready), ready, unlocked)
        self.books.follow(stage.name, outcomes, len(stage.jobs), len(stage.jobs) - len(needed))
        for first, jobs in unlocked.items():
            for job in jobs:
                self.books.give_up(stage.name, job.item, f"it needs task {first}, which was given up")

    def _schedule(self, stage: Stage, needed: set[str]) -> tuple[deque[Job], dict[str, list[Job]]]:
        """The needed jobs that are ready, and those that another one unlocks; give up what can't be done."""
        given_up = set(self.manifest.absent)
        ready: deque[Job] = deque()
        unlocked: defaultdict[str, list[Job]] = defaultdict(list)
        for job in stage.jobs:
            if job.item not in needed:
                continue
            inputs = [TaskId(*each) for each in stage.inputs(job.item)]
            lacking = given_up.intersection(inputs)
            own = [task.item for task in inputs if task.stage == stage.name and task.item in needed]
            if lacking:
                first = min(lacking)
                self.books.give_up(
                    stage.name, job.item, f"it needs task {first.item} of {first.stage}, which was given up"
                )
            else:
                (unlocked[own[0]] if own else ready).append(job)
        return ready, unlocked

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
                    self.books.give_up(stage.name, outcome.item, _reason(outcome.error))
                else:
                    message = f"Task {outcome.item} of {stage.name} was given up: {_reason(outcome.error)}."
                    raise ClusterError(message) from outcome.error


def _reason(error: Exception) -> str:
    """Why a task was given up, without what it may have said of the data."""
    if isinstance(error, NoveltyError):
        return str(error)
    said = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    return f"it raised {type(error).__name__}{said}"


def _nothing_to_score(rejected: dict[str, int]) -> str:
    """What to say of sources without a URL."""
    refused = ", ".join(f"{count:,} {reason}" for reason, count in rejected.items())
    found = f"all their lines were rejected ({refused})" if refused else "they are empty"
    return f"There is no URL in the sources: {found}."
