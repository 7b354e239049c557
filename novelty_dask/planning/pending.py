"""Tasks that have to be done: planned backwards from what is wanted, over what is missing."""

from collections.abc import Container, Mapping, Sequence

from novelty_dask.planning.stages import RunShape, Stage, TaskId


def pending_tasks(
    stages: Sequence[Stage], shape: RunShape, wanted: Container[str], done: Mapping[str, Container[str]]
) -> dict[str, list[str]]:
    """Return the items of each stage that have to be done so that all of the wanted stages are.

    Parameters
    ----------
    stages : sequence of Stage
        In order; the inputs of a task are of an earlier stage, or come earlier in its own.
    shape : RunShape
        From which their items follow; stages whose items are not known have none.
    wanted : container of str
        Names of stages whose items are all wanted.
    done : mapping
        Items of each stage that are done.

    Returns
    -------
    dict
        Items of each stage in their order, by the name of the stage.

    Examples
    --------
    >>> from novelty_dask.planning.stages import COLUMNS, SORT, VECTORIZE
    >>> from novelty_dask.planning.tiles import TilePlan
    >>> shape = RunShape(8, 1, n_pieces=0, plan=TilePlan(4, 2, 1, 1))
    >>> pending_tasks([SORT, VECTORIZE, COLUMNS], shape, ["columns"], {"vectorize": {"1"}})
    {'sort': ['all'], 'vectorize': ['0'], 'columns': ['all']}
    >>> pending_tasks([SORT, VECTORIZE, COLUMNS], shape, ["columns"], {"columns": {"all"}})
    {'sort': [], 'vectorize': [], 'columns': []}
    """
    inputs = {stage.name: stage.inputs for stage in stages}
    items = {stage.name: stage.items(shape) or () for stage in stages}
    needed: dict[str, set[str]] = {stage.name: set() for stage in stages}
    open_ends = [TaskId(name, item) for name in items if name in wanted for item in items[name]]
    # Depth first, each task once. What is done is a leaf: its own inputs may be gone, and are not asked for.
    while open_ends:
        name, item = open_ends.pop()
        if item in needed[name] or item in done.get(name, ()):
            continue
        needed[name].add(item)
        open_ends.extend(inputs[name](shape, item))
    return {name: [item for item in items[name] if item in needed[name]] for name in items}
