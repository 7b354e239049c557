"""The stages as data: what each creates, which tasks it has, and what it makes superfluous."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from novelty_dask.execution import compare, vectorize
from novelty_dask.planning.tiles import TilePlan
from novelty_dask.storage import blocks
from novelty_dask.storage.tables import Table

Task = Callable[[str, Any], dict[str, float]]
"""A task takes the URL of its run and an item of ids, and returns figures to add up."""


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    Parameters
    ----------
    name : str
        As people see it, here and on the dashboard.
    creates : sequence of ArraySpec
        Arrays to create before its tasks start.
    phases : sequence of (Task, items)
        Tasks to call, each for its items; a phase starts when the one before has ended.
    removes : sequence of str
        Arrays that nobody needs after it.
    """

    name: str
    creates: Sequence[blocks.ArraySpec]
    phases: Sequence[tuple[Task, Sequence[Any]]]
    removes: Sequence[str] = ()

    @property
    def n_tasks(self) -> int:
        """Number of tasks."""
        return sum(len(items) for _, items in self.phases)


def make_stages(plan: TilePlan, settings: dict[str, Any], tables: Sequence[Table]) -> list[Stage]:
    """The stages that follow the sorting.

    Parameters
    ----------
    plan : TilePlan
        How the rows are cut into blocks and tiles.
    settings : dict
        The settings that change numbers.
    tables : sequence of Table
        The sorted rows; empty when they are stored in blocks already.
    """
    n_blocks, rows, n_rows = plan.n_blocks, plan.block_rows, plan.n_rows
    n_features, k = settings["n_features"], settings["n_neighbors"]
    column_parts = range(-(-n_features // blocks.COLUMNS_CHUNK))
    return [
        Stage(
            name="vectorize",
            creates=[
                *blocks.row_specs(n_rows, rows),
                *blocks.sparse_specs("counts", n_blocks, rows, "uint32"),
                *blocks.frequency_specs(n_features, n_blocks),
            ],
            phases=[(vectorize.vectorize, list(vectorize.block_rows(tables, plan)) if tables else [])],
        ),
        Stage(
            name="document-frequency",
            creates=blocks.column_specs(n_features),
            phases=[(vectorize.sum_frequency, column_parts), (vectorize.order, [None])],
            removes=["partial_frequency"],
        ),
        Stage(
            name="weigh",
            creates=blocks.sparse_specs("weights", n_blocks, rows, "float32"),
            phases=[(vectorize.weigh_block, range(n_blocks))],
            removes=["counts"],
        ),
        Stage(
            name="compare",
            creates=blocks.neighbor_specs("strips", (plan.n_groups, n_rows, k), rows),
            phases=[(compare.compare, plan.first_tiles()), (compare.compare, plan.later_tiles())],
        ),
        Stage(
            name="merge",
            creates=[
                *blocks.neighbor_specs("neighbors", (n_rows, k), rows),
                *blocks.novelty_specs(n_rows, rows),
            ],
            phases=[(compare.merge_block, range(n_blocks))],
            removes=["strips"],
        ),
    ]
