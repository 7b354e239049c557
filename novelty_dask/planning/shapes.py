"""The few numbers from which all tasks and arrays of a run follow, and the items of stages by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from novelty_dask.planning.matrix import Matrix
    from novelty_dask.planning.tiles import TilePlan

Items = Sequence[str] | None
"""Items of a stage in the order in which they should be begun; None while they are not known."""


class RunShape(NamedTuple):
    """Numbers from which all tasks and arrays of a run follow, as far as they are known.

    Parameters
    ----------
    n_features : int
        Columns of the hashed matrix.
    n_neighbors : int
        Neighbors kept of a row.
    n_pieces : int or None
        Pieces into which the sources are split.
    n_rejected : int or None
        Rejected lines.
    plan : TilePlan or None
        Blocks and tiles.
    widest_block : int or None
        Non-zeros of the block that has the most; known once all blocks are counted.
    n_kept : int
        Further fields of records that rows keep.
    growth : {"", "extended", "refreshed"}
        Whether a run is being made of another and of new rows, and has its weights or those of all.
    is_grouped : bool
        True if rows have neighbors outside their groups alone.
    is_joined : bool
        True if rows are compared with those of several references.
    matrix : Matrix or None
        The matrix whose rows are compared; None for lines.
    """

    n_features: int
    n_neighbors: int
    n_pieces: int | None = None
    n_rejected: int | None = None
    plan: TilePlan | None = None
    widest_block: int | None = None
    n_kept: int = 0
    growth: str = ""
    is_grouped: bool = False
    is_joined: bool = False
    matrix: Matrix | None = None

    @property
    def values(self) -> tuple[str, str]:
        """Name and type of the arrays that say how close neighbors are."""
        return (self.matrix.value_name, "float64") if self.matrix else ("similarities", "float32")


def list_numbers(count: int | None) -> Items:
    """Return the items of a stage of numbered tasks."""
    return None if count is None else [str(number) for number in range(count)]


def list_blocks(shape: RunShape) -> Items:
    """Return an item for each block."""
    return list_numbers(shape.plan.n_blocks if shape.plan else None)


def list_blocks_against(shape: RunShape) -> Items:
    """Return an item for each block where rows are compared with a reference, none otherwise."""
    return list_blocks(shape) if shape.plan is None or shape.plan.known_rows else []


def list_blocks_grouped(shape: RunShape) -> Items:
    """Return an item for each block where rows have groups, the last first, none otherwise."""
    # The last is linked with all blocks before it: it takes longest, and should not be begun last.
    blocks = list_blocks(shape) if shape.is_grouped else []
    return blocks and blocks[::-1]


def list_tiles(shape: RunShape) -> Items:
    """Return an item for each tile: first those of all spans from which the others start."""
    # What is compared with the new rows alone is compared where it is merged.
    if shape.plan is None or shape.growth == "extended":
        return None if shape.plan is None else []
    return [tile.item for tile in [*shape.plan.first_tiles(), *shape.plan.later_tiles()]]


def list_periods(shape: RunShape) -> Items:
    """Return an item for each period."""
    return list_numbers(len(shape.plan.periods)) if shape.plan else None


def list_periods_and_blocks(shape: RunShape) -> Items:
    """Return an item for each period and block."""
    if shape.plan is None:
        return None
    return list_blocks_of_periods(shape, range(shape.plan.n_blocks))


def list_blocks_of_periods(shape: RunShape, numbers: Sequence[int]) -> list[str]:
    """Return an item for each period and each of some blocks."""
    return [f"{period}-{block}" for period in list_periods(shape) or () for block in numbers]
