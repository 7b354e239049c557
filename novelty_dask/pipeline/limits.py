"""Decides whether the tasks of a run fit in the memory of a worker, whenever more is known of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from novelty_dask.execution.executors import MEMORY_BYTES
from novelty_dask.planning.budget import Budget, Extent, Load
from novelty_dask.planning.memory import check_limit, fit, plan_bytes, reading_bytes
from novelty_dask.planning.stages import SORT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from novelty_dask.execution.clusters.resources import Resources
    from novelty_dask.pipeline.inputs import Inputs
    from novelty_dask.settings import ResultSettings
    from novelty_dask.storage.manifest import Manifest


class MemoryLimits:
    """Checks projections against the budget, and records them in the manifest.

    Parameters
    ----------
    manifest : Manifest
        Of the run.
    budget : Budget
        What a worker may use.
    block_rows : int or None
        Rows of a block; as many as the budget allows if None.
    """

    def __init__(self, manifest: Manifest, budget: Budget, block_rows: int | None) -> None:
        self.manifest = manifest
        self.budget = budget
        self.block_rows = block_rows

    def check(self, inputs: Inputs) -> None:
        """Refuse a run that won't fit: by its plan, or by an estimate where there is none yet.

        Raises
        ------
        BudgetError
        """
        plan = self.manifest.plan
        if plan is None:
            fit(self.budget, [inputs.extent], self.block_rows)
        else:
            # The sort's rows in memory depend on who sorts; they are checked where it is done.
            reading = reading_bytes(self.budget, Load(decompressor_bytes=inputs.decompressor_bytes))
            check_limit({**self.manifest.memory, **reading}, self.budget, plan.block_rows)

    def start_reading(self, inputs: Inputs) -> None:
        """Record what the stages take that need no plan."""
        reading = reading_bytes(self.budget, Load(decompressor_bytes=inputs.decompressor_bytes))
        self.manifest.memory = {**reading, **self.manifest.memory}

    def check_sort(self, moved_bytes: int) -> None:
        """Record what the sort takes, and refuse it if it won't fit.

        Raises
        ------
        BudgetError
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


def make_budget(settings: ResultSettings, workers: Resources) -> Budget:
    """Return what a worker may use, and what its memory depends on."""
    shortest, longest = settings.ngram_range
    return Budget(
        n_neighbors=settings.n_neighbors,
        n_features=settings.n_features,
        ngram_sizes=longest - shortest + 1,
        threads=workers.threads,
        limit=workers.memory_limit,
        workers=max(workers.workers, 1),
        buffer=0 if workers.workers else MEMORY_BYTES,
        shortest_ngram=shortest,
    )
