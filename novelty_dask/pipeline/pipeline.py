"""From sources to a complete run, stage by stage.  Emits events, prints nothing.

Commits, one a task, decide what is done.  A run that was stopped does what is missing; so does one of which
something was damaged.
"""

from collections import Counter, deque
from collections.abc import Generator, Sequence
from contextlib import closing
from functools import partial

from novelty_dask.errors import ClusterError, DamageError, InputError
from novelty_dask.events import DamageFound, Listener
from novelty_dask.execution.executors import Executor, Outcome
from novelty_dask.objects.commits import FOLDER as COMMITS
from novelty_dask.objects.commits import Metrics, commit_key
from novelty_dask.objects.owners import check_epoch
from novelty_dask.pipeline.graph import TEXT_STAGES, lasting_stages, make_schedule
from novelty_dask.pipeline.inputs import Inputs
from novelty_dask.pipeline.limits import MemoryLimits
from novelty_dask.pipeline.measurements import measure_stage
from novelty_dask.pipeline.reading import Sorting, read_sources
from novelty_dask.pipeline.recorder import Progress, StageRecorder, explain_failure
from novelty_dask.planning.pending import pending_tasks
from novelty_dask.planning.stages import INGEST, SORT, RunShape, Stage, TaskId
from novelty_dask.stages.ingest import read_results
from novelty_dask.stages.perform import perform
from novelty_dask.stages.rejected import count_rejected, explain_empty
from novelty_dask.stages.sort import read_sorted_tables
from novelty_dask.storage.audit import check_commits, list_done
from novelty_dask.storage.manifest import Totals
from novelty_dask.storage.runs import StoredRun

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
        Takes the events.
    inputs : Inputs
        The sources of the run.
    limits : MemoryLimits
        Decides what fits in a worker.
    """

    def __init__(
        self,
        run: StoredRun,
        epoch: int,
        executor: Executor,
        listener: Listener,
        inputs: Inputs,
        limits: MemoryLimits,
    ) -> None:
        self.run = run
        self.manifest = run.manifest
        self.epoch = epoch
        self.executor = executor
        self.inputs = inputs
        self.limits = limits
        self.damages: Counter[TaskId] = Counter()
        self.recorder = StageRecorder(run, epoch, executor, listener, limits.budget.threads)

    @property
    def shape(self) -> RunShape:
        """The numbers from which the tasks follow."""
        return self.manifest.shape._replace(n_pieces=len(self.inputs.pieces))

    def execute(self) -> None:
        """Do all that is not done.

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
                return self._go_on()
            except DamageError as error:
                self._take_back(error)

    def _take_back(self, error: DamageError) -> None:
        """Forget the commit of a task whose results are damaged, so that it is done again.

        Raises
        ------
        DamageError
            It was damaged too often: the store damages what it is given.
        """
        task = TaskId(error.stage, error.item)
        self.damages[task] += 1
        if self.damages[task] == REPAIRS:
            raise error
        check_epoch(self.run.objects, self.epoch)
        self.run.commits.forget(task)
        self.recorder.listener(DamageFound(str(error)))

    def _go_on(self) -> None:
        """Do what is missing, until something is found to be damaged."""
        if self.manifest.plan is None:
            self._do([INGEST, SORT])
            self._make_plan()
        self._do(TEXT_STAGES)

    def _make_plan(self) -> None:
        """Count the rows and split them into blocks that fit the budget; from now on the run keeps to it."""
        reads, tables = read_results(self.run.commits), read_sorted_tables(self.run.commits)
        lines, rows = sum(read.n_lines for read in reads), sum(table.n_rows for table in tables)
        rejected = count_rejected(reads)
        # Every line is a row, a duplicate of one, or rejected.
        duplicates = lines - rows - sum(rejected.values())
        self.manifest.totals = Totals(lines=lines, rows=rows, duplicates=duplicates, rejected=rejected)
        self.limits.plan(tables, self.inputs)
        self.recorder.save()

    def _do(self, stages: Sequence[Stage]) -> None:
        """Do what is missing of some stages, and of what these need."""
        lasting = lasting_stages(stages)
        done = {stage.name: self._find_done(stage, believed=stage is not stages[-1]) for stage in stages}
        needed = pending_tasks(stages, self.shape, [stage.name for stage in lasting], done)
        self.recorder.reopen_pending(needed)
        wanted = [stage for stage in stages if needed[stage.name] or self._is_unrecorded(stage)]
        for stage in dict.fromkeys([*lasting, *wanted]):
            self.run.create_arrays(stage)
        for stage in stages:
            if stage in wanted:
                self._check_complete(lasting[:-1] if stage is stages[-1] else [])
                self._run(stage, set(needed[stage.name]), done[stage.name])
            if not self.manifest.failures:
                self._remove_replaced(stage)

    def _is_unrecorded(self, stage: Stage) -> bool:
        """Return whether a stage has yet to be recorded in the manifest.

        A client may have been killed between the last commit of a stage and that.
        """
        return not self.manifest.has(stage) and bool(stage.items(self.shape))

    def _find_done(self, stage: Stage, *, believed: bool) -> set[str]:
        """Return the items of a stage that are done; take back commits that don't count.

        As long as nothing was found to be damaged, the names of commits may be believed: later stages read
        what they list, or it is checked before the last stage.
        """
        if believed and not self.damages:
            return list_done(self.run, stage)
        check = check_commits(self.run, stage)
        for item in check.broken:
            self.run.commits.forget(stage.task(item))
        return check.done

    def _check_complete(self, stages: Sequence[Stage]) -> None:
        """Check that complete stages left all that they should.

        Raises
        ------
        DamageError
            The results of a task are gone.
        """
        for stage in stages:
            missing = {*(stage.items(self.shape) or ())} - self._find_done(stage, believed=False)
            if missing:
                task = stage.task(min(missing))
                raise DamageError.of(task, commit_key(task), "is gone, or an object that it lists")

    def _remove_replaced(self, stage: Stage) -> None:
        """Remove what nobody needs after a stage, commits first."""
        self.run.remove(f"{COMMITS}{replaced.name}" for replaced in stage.replaces)
        self.run.remove(folder for replaced in stage.replaces for folder in replaced.folders)

    def _run(self, stage: Stage, needed: set[str], done: set[str]) -> None:
        """Run the needed tasks of a stage."""
        total = len(stage.items(self.shape) or ())
        progress = Progress(total, total - len(needed), partial(measure_stage, self.run, stage, done))
        if stage is INGEST:
            results = self._ingest(needed)
        elif stage is SORT:
            results, progress = self._sort(needed), Progress(None)
        else:
            results = self._map(stage, needed)
        self.recorder.run_stage(stage, results, progress)

    def _ingest(self, needed: set[str]) -> Generator[Metrics, None, None]:
        """Read the pieces that have not been read."""
        self.limits.start_reading(self.inputs)
        if needed:
            self.inputs.check_unchanged()
            parts = [part for part in self.inputs.parts() if str(part[0]) in needed]
            yield from read_sources(self.executor, self.run, self.epoch, parts)
            # A piece that was read before a change, and one that was read after it, would not fit together.
            self.inputs.check_unchanged()

    def _sort(self, needed: set[str]) -> Generator[Metrics, None, None]:
        """Sort the rows, unless that is done."""
        if not needed:
            yield from ({} for _ in read_sorted_tables(self.run.commits))
            return
        reads = read_results(self.run.commits)
        if not any(read.tables for read in reads):
            raise InputError(explain_empty(count_rejected(reads)))
        sorting = Sorting(reads)
        self.limits.check_sort(sorting.moved_bytes)
        yield from sorting.run(self.executor, self.run, self.epoch)

    def _map(self, stage: Stage, needed: set[str]) -> Generator[Metrics, None, None]:
        """Run the needed tasks of a stage, each after what it needs of the same stage."""
        ready, unlocked, hopeless = make_schedule(stage, self.shape, needed, {*self.manifest.failed_tasks})
        for item, first in hopeless:
            reason = f"it needs task {first.item} of {first.stage}, which was given up"
            self.recorder.give_up(stage, item, reason)
        task = partial(perform, self.run.url, self.epoch, stage.name)
        outcomes = self.executor.map(stage.name, task, ready)
        yield from self._follow(stage, outcomes, ready, unlocked)
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
                    ready.extend(unlocked.pop(outcome.item, []))
                    yield outcome.metrics
                elif stage.may_fail:
                    self.recorder.give_up(stage, outcome.item, explain_failure(outcome.error))
                else:
                    reason = explain_failure(outcome.error)
                    message = f"Task {outcome.item} of {stage.name} was given up: {reason}."
                    raise ClusterError(message) from outcome.error
