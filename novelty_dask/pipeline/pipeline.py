"""The pipeline from sources to a complete run, stage by stage.  It emits events and prints nothing.

Commits, one for each task, decide what is done.  A run that was stopped, or in which something was damaged,
does only what is missing.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from novelty_dask.errors import DamageError
from novelty_dask.events import VERIFY, DamageFound, report_each
from novelty_dask.pipeline.graph import PREPARING, lasting_stages
from novelty_dask.pipeline.reading import make_plan, measure_blocks
from novelty_dask.pipeline.runner import StageRunner
from novelty_dask.planning.pending import pending_tasks
from novelty_dask.planning.stages import INGEST, LASTING_STAGES, REWEIGH, SORT, WEIGH, Stage, stages_of
from novelty_dask.storage.audit import check_commits, check_complete, find_damage, list_done, take_back
from novelty_dask.storage.growths import check_parts
from novelty_dask.storage.references import check_reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from novelty_dask.pipeline.session import Session

REPAIRS = 3
"""Number of times that the results of one task may turn out to be damaged before its store is given up."""


class Pipeline:
    """The way of a session's run through its stages.

    Parameters
    ----------
    session : Session
    is_preparing : bool
        True to end where rows of other runs can be compared with those of the run.
    """

    def __init__(self, session: Session, *, is_preparing: bool = False) -> None:
        self.session = session
        self.run = session.run
        self.stages = PREPARING if is_preparing else stages_of(self.run.manifest.identity.matrix)
        self.runner = StageRunner(session)
        self.damages: Counter[tuple[str, str]] = Counter()
        # A complete run was read as a whole before this.
        stages = () if self.run.manifest.is_complete else LASTING_STAGES
        self.unread = {task for stage in stages for task in self.run.commits.tasks(stage.name)}

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
        """Forget the commit of a task whose results are damaged, so that it is done again."""
        task = (error.stage, error.item)
        self.damages[task] += 1
        if self.damages[task] == REPAIRS:
            # A store that damages the same results again and again would let this loop run for ever.
            raise error
        take_back(self.run, error, self.session.epoch)
        self.session.listener(DamageFound(str(error)))

    def _go_on(self) -> None:
        """Do what is missing, until something is found to be damaged."""
        if self.run.manifest.plan is None:
            inputs = self.session.inputs
            if inputs.is_counted:
                self.run.manifest.totals = inputs.totals
                self.session.limits.plan(inputs.extents, inputs)
            else:
                self._do([INGEST, SORT])
                make_plan(self.session)
            self.runner.recorder.save()
        is_against = self.run.manifest.reference is not None
        self._do([stage for stage in self.stages if is_against or not stage.is_against])
        if self.run.manifest.growth:
            # From here on it is a run like any other, and what it is made of may go.
            self.run.manifest.growth = None
            self.runner.recorder.save()

    def _do(self, stages: Sequence[Stage]) -> None:
        """Do the missing tasks of some stages."""
        shape, lasting = self.session.shape, lasting_stages(stages)
        # Nothing reads what the last stage left: its objects are looked for at once.
        done = {stage.name: self._find_done(stage, believed=stage is not stages[-1]) for stage in stages}
        needed = pending_tasks(stages, shape, [stage.name for stage in lasting], done)
        self.runner.recorder.reopen_pending(needed)
        wanted = [stage for stage in stages if needed[stage.name] or self._is_unrecorded(stage)]
        if any(stage.has_blocks for stage in wanted):
            check_reference(self.run)
            check_parts(self.run)
        # Before any task runs: tasks write chunks only, as two that create one array would race.
        read = [earlier for stage in wanted for earlier in stage.replaces]
        for stage in dict.fromkeys([*lasting, *wanted, *read]):
            self.run.create_arrays(stage)
        for stage in stages:
            if stage in wanted:
                if stage is WEIGH:
                    self._make_room()
                if stage is stages[-1]:
                    self._check_kept(lasting[:-1])
                self.runner.run(stage, set(needed[stage.name]), done[stage.name])
            # If tiles failed, a later session does them, and merges them with the strips of the others.
            if not self.run.manifest.failures:
                self.run.remove_stages(stage.replaces)

    def _make_room(self) -> None:
        """Create the arrays of weights, which are as wide as the widest block."""
        if self.run.manifest.widest_block is None:
            measure_blocks(self.session)
            self.runner.recorder.save()
            self.run.create_arrays(WEIGH)
            self.run.create_arrays(REWEIGH)

    def _check_kept(self, stages: Sequence[Stage]) -> None:
        """Look at all objects that the last stage, which makes the run complete, leaves as they are.

        Raises
        ------
        DamageError
            One of them is damaged; of those of earlier sessions all bytes are read.
        """
        for stage in stages:
            check_complete(self.run, stage, self.session.shape)
        # A later stage need not read all that is kept, and what earlier sessions left may have changed since.
        there = sorted(self.unread.intersection(self.run.commits.tasks()))
        self.unread = set()
        told = report_each(VERIFY, there, self.session.listener) if there else ()
        damages = {(error.stage, error.item): error for error in find_damage(self.run, told)}
        # The first is taken back where it is caught, the others here: so all are mended in one pass.
        for error in [*damages.values()][1:]:
            self._take_back(error)
        for error in [*damages.values()][:1]:
            raise error

    def _is_unrecorded(self, stage: Stage) -> bool:
        """Return whether a stage has yet to be recorded in the manifest."""
        # A client may have been killed between the last commit of a stage and its record.
        return not self.run.manifest.has(stage) and bool(stage.items(self.session.shape))

    def _find_done(self, stage: Stage, *, believed: bool) -> set[str]:
        """Return the items of a stage that are done; remove commits whose objects are gone."""
        # As long as no damage was found, the names of commits are believed: the objects that they list are
        # checked when a later stage reads them, or before the last stage.  So planning 100,000 tiles takes
        # seconds.
        if believed and not self.damages:
            return list_done(self.run, stage)
        check = check_commits(self.run, stage)
        for item in check.broken:
            self.run.commits.forget(stage.task(item))
        return check.done
