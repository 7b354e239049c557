"""Items of stages: the tasks into which each is cut, as they follow from the shape of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from novelty_dask.planning.stage import Items, RunShape


def numbered(count: int | None) -> Items:
    """Return the items of a stage of numbered tasks."""
    return None if count is None else [str(number) for number in range(count)]


def blocks(shape: RunShape) -> Items:
    """Return an item for each block."""
    return numbered(shape.plan.n_blocks if shape.plan else None)


def blocks_against(shape: RunShape) -> Items:
    """Return an item for each block where rows are compared with a reference, none otherwise."""
    return blocks(shape) if shape.plan is None or shape.plan.known_rows else []


def tiles(shape: RunShape) -> Items:
    """Return an item for each tile: first those of all spans from which the others start."""
    if shape.plan is None:
        return None
    return [tile.item for tile in [*shape.plan.first_tiles(), *shape.plan.later_tiles()]]


def periods(shape: RunShape) -> Items:
    """Return an item for each period."""
    return numbered(len(shape.plan.periods)) if shape.plan else None


def periods_and_blocks(shape: RunShape) -> Items:
    """Return an item for each period and block."""
    if shape.plan is None:
        return None
    return blocks_of_periods(shape, range(shape.plan.n_blocks))


def blocks_of_periods(shape: RunShape, numbers: Sequence[int]) -> list[str]:
    """Return an item for each period and each of some blocks."""
    return [f"{period}-{block}" for period in periods(shape) or () for block in numbers]
