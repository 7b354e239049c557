"""Limits of memory: checks that the tasks of a run fit in a worker, repeated when more is known of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from novelty_dask.execution.executors import MEMORY_BYTES
from novelty_dask.features.choose import make_features
from novelty_dask.planning.budget import Load, budget_of, known_of
from novelty_dask.planning.memory import check_limit, fit, plan_bytes, reading_bytes
from novelty_dask.planning.stages import SORT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from novelty_dask.execution.clusters.resources import Resources
    from novelty_dask.pipeline.inputs import Inputs
    from novelty_dask.planning.budget import Budget, Extent
    from novelty_dask.settings import ResultSettings
    from novelty_dask.storage.manifest import Manifest
    from novelty_dask.storage.totals import Growth, Reference


class MemoryLimits:
    """The limits of a run: projections of memory, checked against the budget and recorded in the manifest.

    Parameters
    ----------
    manifest : Manifest
        Of the run.
    budget : Budget
        Memory that a worker may use.
    block_rows : int or None
        Rows of a block; as many as the budget allows if None.
    """

    def __init__(self, manifest: Manifest, budget: Budget, block_rows: int | None) -> None:
        self.manifest = manifest
        self.budget = budget
        self.block_rows = block_rows

    def check(self, inputs: Inputs) -> None:
        """Refuse a run that won't fit, by its plan, or by an estimate where there is no plan yet.

        Raises
        ------
        BudgetError
            A task would hold more than a worker may use.
        """
        plan = self.manifest.plan
        if plan is None:
            fit(self.budget, inputs.extents, self.block_rows)
        else:
            # The rows that the sort holds depend on the number of processes; `check_sort` checks them.
            reading = reading_bytes(self.budget, Load(decompressor_bytes=inputs.decompressor_bytes))
            check_limit({**self.manifest.memory, **reading}, self.budget, plan.block_rows)

    def start_reading(self, inputs: Inputs) -> None:
        """Record the projections of the stages that need no plan."""
        reading = reading_bytes(self.budget, Load(decompressor_bytes=inputs.decompressor_bytes))
        self.manifest.memory = {**reading, **self.manifest.memory}

    def check_sort(self, moved_bytes: int) -> None:
        """Record the projection of the sort, and refuse it if it won't fit.

        Raises
        ------
        BudgetError
            The sort would hold more than a worker may use.
        """
        sort_bytes = SORT.task_bytes(self.budget, Load(moved_bytes=moved_bytes))
        self.manifest.memory[SORT.name] = sort_bytes
        check_limit({SORT.name: sort_bytes}, self.budget)

    def plan(self, extents: Sequence[Extent], inputs: Inputs) -> None:
        """Record the plan of consecutive rows, with the largest blocks that fit.

        Raises
        ------
        BudgetError
            Not even the smallest blocks fit.
        """
        held = inputs.decompressor_bytes
        extents = [extent._replace(decompressor_bytes=held) for extent in extents]
        plan = fit(self.budget, extents, self.block_rows)
        self.manifest.plan = plan
        self.manifest.memory = plan_bytes(self.budget, extents, plan)


def make_budget(
    settings: ResultSettings, workers: Resources, reference: Reference | None, growth: Growth | None = None
) -> Budget:
    """Return the budget of a worker: its limit, and the numbers that its need depends on."""
    return budget_of(
        settings,
        make_features(settings),
        threads=workers.threads,
        limit=workers.memory_limit,
        workers=max(workers.workers, 1),
        buffer=0 if workers.workers else MEMORY_BYTES,
        shared=workers.shared,
        known=known_of(reference),
        base=known_of(growth.base if growth else None),
        added=known_of(growth.added if growth else None),
    )
