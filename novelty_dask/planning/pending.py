"""What has to be done: planned backwards from what is wanted, over what is missing."""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import NamedTuple


class StageItems(NamedTuple):
    """The items of a stage, and what each needs: pairs of a stage, also its own, and an item."""

    name: str
    items: Sequence[str]
    inputs: Callable[[str], Iterable[tuple[str, str]]]


def needed_items(
    stages: Sequence[StageItems], wanted: Container[str], done: Mapping[str, Container[str]]
) -> dict[str, list[str]]:
    """Items of each stage that have to be done so that all of the wanted stages are.

    Parameters
    ----------
    stages : sequence of StageItems
        In order; what an item needs is of an earlier stage, or comes earlier in its own.
    wanted : container of str
        Names of stages of which all items are wanted.
    done : mapping
        Items of each stage that are done.

    Returns
    -------
    dict
        Of each stage, items in their order.

    Examples
    --------
    >>> squares = StageItems("square", ["1", "2"], lambda item: [])
    >>> total = StageItems("sum", ["all"], lambda item: [("square", "1"), ("square", "2")])
    >>> needed_items([squares, total], ["sum"], {"square": {"1"}})
    {'square': ['2'], 'sum': ['all']}
    >>> needed_items([squares, total], ["sum"], {"sum": {"all"}})
    {'square': [], 'sum': []}
    """
    inputs = {stage.name: stage.inputs for stage in stages}
    needed: dict[str, set[str]] = {stage.name: set() for stage in stages}
    open_ends = [(stage.name, item) for stage in stages if stage.name in wanted for item in stage.items]
    while open_ends:
        name, item = open_ends.pop()
        if item in needed[name] or item in done.get(name, ()):
            continue
        needed[name].add(item)
        open_ends.extend(inputs[name](item))
    return {stage.name: [item for item in stage.items if item in needed[stage.name]] for stage in stages}
