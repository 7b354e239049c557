"""The stages that follow the sorting, as data: tasks, what each needs, and what they make superfluous."""

from collections import deque
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from novelty_dask.execution.executors import Job
from novelty_dask.objects.commits import TaskId
from novelty_dask.planning.pending import StageItems
from novelty_dask.planning.tiles import Tile, TilePlan
from novelty_dask.stages import compare, vectorize
from novelty_dask.stages.tasks import Work
from novelty_dask.storage.layout import WHOLE, tile_item
from novelty_dask.storage.tables import Table


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    Parameters
    ----------
    name : str
        As people see it, here and on the dashboard.
    work : callable
        What each task does.
    jobs : sequence of Job
        Its tasks, in the order in which they should be begun.
    inputs : callable
        What an item needs: pairs of an earlier stage, or this one, and an item.
    removes : mapping
        Stages whose results nobody needs after it, and the arrays that hold them.
    may_fail : bool
        Whether the rest is worth having without some of its tasks.
    """

    name: str
    work: Work
    jobs: Sequence[Job]
    inputs: Callable[[str], Iterable[tuple[str, str]]]
    removes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    may_fail: bool = False

    @property
    def items(self) -> StageItems:
        """Its items and what they need."""
        return StageItems(self.name, [job.item for job in self.jobs], self.inputs)


def make_stages(plan: TilePlan, tables: Sequence[Table] = ()) -> list[Stage]:
    """The stages that follow the sorting.

    Parameters
    ----------
    plan : TilePlan
        How the rows are cut into blocks and tiles.
    tables : sequence of Table
        The sorted rows; not needed where they are stored in blocks already.
    """
    blocks = [Job(str(block), block) for block in range(plan.n_blocks)]
    rows = list(vectorize.block_rows(tables, plan)) if tables else [None] * plan.n_blocks
    return [
        Stage(
            name="vectorize",
            work=vectorize.vectorize,
            jobs=[Job(str(block), part) for block, part in enumerate(rows)],
            inputs=lambda _item: [],
            removes={"sort": ["work"], "ingest": []},
        ),
        Stage(
            name="columns",
            work=vectorize.order,
            jobs=[Job(WHOLE)],
            inputs=lambda _item: [("vectorize", block.item) for block in blocks],
        ),
        Stage(
            name="weigh",
            work=vectorize.weigh_block,
            jobs=blocks,
            inputs=lambda item: [("vectorize", item), ("columns", WHOLE)],
        ),
        Stage(
            name="compare",
            work=compare.compare,
            jobs=[Job(tile_item(tile), tile) for tile in [*plan.first_tiles(), *plan.later_tiles()]],
            inputs=_tile_inputs,
            may_fail=True,
        ),
        Stage(
            name="merge",
            work=compare.merge_block,
            jobs=blocks,
            inputs=lambda item: _merge_inputs(plan, int(item)),
            removes={"compare": ["strips"]},
        ),
    ]


def lasting(stages: Sequence[Stage]) -> list[Stage]:
    """The stages of which the results are kept."""
    removed = {name for stage in stages for name in stage.removes}
    return [stage for stage in stages if stage.name not in removed]


class Schedule(NamedTuple):
    """In which order the tasks of a stage can be done.

    Parameters
    ----------
    ready : deque of Job
        What can be begun at once.
    unlocked : dict
        By item, the jobs that can be begun when it is done.
    hopeless : list of (Job, TaskId)
        What can't be done, and the first task that it lacks.
    """

    ready: deque[Job]
    unlocked: dict[str, list[Job]]
    hopeless: list[tuple[Job, TaskId]]


def schedule(stage: Stage, needed: Container[str], given_up: set[TaskId]) -> Schedule:
    """Put the needed jobs of a stage in order, of which some need others of the same stage."""
    made = Schedule(deque(), {}, [])
    for job in stage.jobs:
        if job.item not in needed:
            continue
        inputs = [TaskId(*each) for each in stage.inputs(job.item)]
        own = [task.item for task in inputs if task.stage == stage.name and task.item in needed]
        if lacking := given_up.intersection(inputs):
            made.hopeless.append((job, min(lacking)))
        elif own:
            made.unlocked.setdefault(own[0], []).append(job)
        else:
            made.ready.append(job)
    return made


def _tile_inputs(item: str) -> list[tuple[str, str]]:
    """What a tile needs: the first tile of its span.

    The weights of its blocks are kept, hence wanted anyway and there by then; to name those of each tile
    would take the longest of all planning.
    """
    span, _, group = item.partition("-")
    return [("compare", f"{span}-0")] if group != "0" else []


def _merge_inputs(plan: TilePlan, block: int) -> list[tuple[str, str]]:
    """What the neighbors of a block need: all tiles of its span, and which of its rows are zero."""
    span = block // plan.span_blocks
    tiles: list[tuple[str, Any]] = [
        ("compare", tile_item(Tile(span, group))) for group in range(plan.n_groups)
    ]
    return [*tiles, ("weigh", str(block))]
