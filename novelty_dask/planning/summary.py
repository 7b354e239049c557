"""Summaries of plans: tasks, memory and disk of a run, before anything runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from novelty_dask.cards import card
from novelty_dask.counts import counted, duration
from novelty_dask.planning.budget import megabytes
from novelty_dask.planning.cost import joining_seconds
from novelty_dask.planning.disk import disk_bytes
from novelty_dask.planning.memory import fit, moved_bytes, plan_bytes, worker_bytes
from novelty_dask.planning.stages import STAGES, RunShape

if TYPE_CHECKING:
    from novelty_dask.planning.budget import Budget, Extent
    from novelty_dask.planning.tiles import TilePlan


@dataclass(frozen=True)
class RunPlan:
    """Forecast of a run: its plan, its tasks, memory and disk.

    Parameters
    ----------
    n_rows : int
        Rows, if no line repeats another.
    tiles : TilePlan
        Blocks and tiles.
    tasks : dict
        Number of tasks of each stage that has blocks.
    stage_bytes : dict
        Most bytes of memory that a task of each stage holds.
    worker_bytes, memory_limit : int
        Most bytes that a worker holds, and may hold.
    disk_bytes : int
        Most bytes that the run takes on disk, at its largest.
    temporary_bytes : int
        Most bytes of temporary files of all workers together, while rows are sorted.
    workers, threads : int
        Worker processes, 0 for none, and tasks that each runs at once.
    core_seconds : float
        CPU seconds of all processes together.
    is_of_lines : bool
        True for lines of text, whose number is estimated; False for vectors.
    """

    n_rows: int
    tiles: TilePlan
    tasks: dict[str, int]
    stage_bytes: dict[str, int]
    worker_bytes: int
    memory_limit: int
    disk_bytes: int
    temporary_bytes: int
    workers: int
    threads: int
    core_seconds: float
    is_of_lines: bool = True

    @property
    def seconds(self) -> float:
        """Seconds of the run on cores that nobody else uses."""
        return self.core_seconds / (max(self.workers, 1) * self.threads)

    def facts(self) -> dict[str, str]:
        """Return the forecast in words."""
        tasks = ", ".join(f"{count:,} {stage}" for stage, count in self.tasks.items())
        workers = f"{self.workers} with {counted(self.threads, 'thread')} each"
        most = max(self.stage_bytes, key=self.stage_bytes.__getitem__)
        rows = (
            f"about {self.n_rows:,}, if no line repeats another" if self.is_of_lines else f"{self.n_rows:,}"
        )
        memory = f"{megabytes(self.worker_bytes)} of {megabytes(self.memory_limit)}"
        temporary = (
            f", and {megabytes(self.temporary_bytes)} of temporary files" if self.temporary_bytes else ""
        )
        cost = f"{duration(self.core_seconds)} of one core"
        alike = ", if its lines are like those of public lists" * self.is_of_lines
        return {
            "rows": rows,
            "blocks": f"{self.tiles.n_blocks:,} of {self.tiles.block_rows:,} rows",
            "tasks": tasks,
            "workers": workers if self.workers else "none but this process",
            "memory": f"{memory} a worker, most in {most}",
            "disk": f"up to {megabytes(self.disk_bytes)}{temporary}",
            "time": f"about {duration(self.seconds)} ({cost}){alike}",
        }

    def __str__(self) -> str:
        """Return the forecast, one fact a line."""
        return "\n".join(f"{name:<8} {fact}" for name, fact in self.facts().items())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the same for notebooks."""
        return card("RunPlan", "", self.facts())


def make_run_plan(
    budget: Budget, extent: Extent, block_rows: int | None, workers: int, core_seconds: float
) -> RunPlan:
    """Plan the run of a corpus.

    Parameters
    ----------
    budget : Budget
    extent : Extent
        All its rows.
    block_rows : int or None
        Rows of a block; as many as the budget allows if None.
    workers : int
        Worker processes, 0 for none.
    core_seconds : float
        What it costs.

    Raises
    ------
    BudgetError
        It does not fit in memory.
    """
    tiles = fit(budget, [extent], block_rows)
    stages = plan_bytes(budget, [extent], tiles)
    shape = RunShape(
        budget.n_features,
        budget.n_neighbors,
        plan=tiles,
        is_grouped=budget.is_grouped,
        matrix=budget.matrix,
    )
    return RunPlan(
        n_rows=extent.n_rows,
        tiles=tiles,
        tasks={
            stage.name: len(stage.items(shape) or ())
            for stage in STAGES
            if stage.has_blocks and stage.is_needed(budget)
        },
        stage_bytes=stages,
        worker_bytes=max(worker_bytes(stages, budget.threads).values()),
        memory_limit=budget.limit,
        disk_bytes=disk_bytes(budget, extent, tiles),
        # A process that works alone keeps the first of the moved rows in memory.
        temporary_bytes=max(moved_bytes([extent]) - budget.buffer, 0),
        workers=workers,
        threads=budget.threads,
        core_seconds=core_seconds,
        is_of_lines=budget.matrix is None,
    )


def add_joining(
    plan: RunPlan, budget: Budget, joined: Extent, block_rows: int | None, speed: float
) -> RunPlan:
    """Return the plan of a run that first joins the rows of several references.

    Parameters
    ----------
    plan : RunPlan
        Without that.
    budget : Budget
        Of the run.
    joined : Extent
        Rows of all references, if they have none in common.
    block_rows : int or None
        Rows of a block.
    speed : float
        Of this machine, beside that on which costs were measured.

    Raises
    ------
    BudgetError
        They can't be joined in the memory of a worker.
    """
    # They are not compared with each other, so that they have no neighbors; a plan needs one.
    alone = replace(budget, known=None, n_neighbors=1)
    join = make_run_plan(alone, joined, block_rows, plan.workers, joining_seconds(joined) / speed)
    return replace(
        plan,
        disk_bytes=plan.disk_bytes + join.disk_bytes,
        temporary_bytes=max(plan.temporary_bytes, join.temporary_bytes),
        core_seconds=plan.core_seconds + join.core_seconds,
    )
