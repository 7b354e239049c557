"""The stages of a run, each declared once: its tasks, their inputs, the arrays they write, their memory.

::

    ingest ──┬──► sort ──► vectorize ──┬──► columns ──┐
             │                         └──────────────┴──► weigh ──► compare ──► merge
             └──► rejected

A task is a stage and an item, which is a string: the number of a piece, of a block or of a chunk, the two
numbers of a tile, or "all".  All tasks and arrays of a run follow from a few numbers, its *shape*.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from novelty_dask.planning.arrays import (
    REJECTED_CHUNK,
    WHOLE,
    ArraySpec,
    column_arrays,
    rejected_arrays,
    result_arrays,
    row_arrays,
    strip_arrays,
    weight_arrays,
)
from novelty_dask.planning.budget import Budget, Load
from novelty_dask.planning.tiles import Tile, TilePlan

TEXT_BYTES = 160 * 10**6
"""A task that reads or sorts holds tables of fixed size, whatever the corpus."""


class TaskId(NamedTuple):
    """The identity of a task: the name of its stage, and its item."""

    stage: str
    item: str


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
    """

    n_features: int
    n_neighbors: int
    n_pieces: int | None = None
    n_rejected: int | None = None
    plan: TilePlan | None = None


Items = Sequence[str] | None
"""Items of a stage in the order in which they should be begun; None while they are not known."""


def _no_arrays(_shape: RunShape) -> list[ArraySpec]:
    """Return no arrays, for stages that leave tables."""
    return []


@dataclass(frozen=True)
class Stage:
    """One stage of a run.

    Parameters
    ----------
    name : str
        As people see it, here and on the dashboard.
    items : callable
        Takes the shape of a run; returns the items of the stage, or None.
    inputs : callable
        Takes the shape and an item; yields the tasks whose results its task reads: of earlier stages, or
        earlier ones of the same.
    task_bytes : callable
        Takes a budget and a load; returns the most bytes that a task holds, its process not included.
    arrays : callable
        Takes the shape; returns the arrays that its tasks write, none while they are not known.
    replaces : tuple of Stage
        Earlier stages whose results nobody needs after it.
    folders : tuple of str
        Folders of a run with all that its tasks leave; removed where another stage replaces it.
    has_blocks : bool
        True if the memory of a task depends on the rows of a block.
    may_fail : bool
        True if the rest is worth having without some of its tasks.
    """

    name: str
    items: Callable[[RunShape], Items]
    inputs: Callable[[RunShape, str], Iterable[TaskId]]
    task_bytes: Callable[[Budget, Load], int]
    arrays: Callable[[RunShape], list[ArraySpec]] = _no_arrays
    replaces: tuple["Stage", ...] = ()
    folders: tuple[str, ...] = ()
    has_blocks: bool = True
    may_fail: bool = False

    def task(self, item: str = WHOLE) -> TaskId:
        """Return the identity of one of its tasks."""
        return TaskId(self.name, item)

    def tasks(self, shape: RunShape) -> list[TaskId]:
        """Return the identities of all its tasks, none while they are not known."""
        return [self.task(item) for item in self.items(shape) or ()]


def _numbered(count: int | None) -> Items:
    """Return the items of a stage of numbered tasks."""
    return None if count is None else [str(number) for number in range(count)]


def _pieces(shape: RunShape) -> Items:
    """Return a task for each piece of the sources."""
    return _numbered(shape.n_pieces)


def _whole(_shape: RunShape) -> Items:
    """Return a single task."""
    return [WHOLE]


def _rejected_chunks(shape: RunShape) -> Items:
    """Return a task for each chunk of the rejected lines."""
    return _numbered(None if shape.n_rejected is None else -(-shape.n_rejected // REJECTED_CHUNK))


def _blocks(shape: RunShape) -> Items:
    """Return a task for each block."""
    return _numbered(shape.plan.n_blocks if shape.plan else None)


def _columns(shape: RunShape) -> Items:
    """Return a single task, once there are blocks."""
    return [WHOLE] if shape.plan else None


def _tiles(shape: RunShape) -> Items:
    """Return a task for each tile: the first of all spans, from which the others start."""
    if shape.plan is None:
        return None
    return [tile.item for tile in [*shape.plan.first_tiles(), *shape.plan.later_tiles()]]


def _no_inputs(_shape: RunShape, _item: str) -> list[TaskId]:
    """Return nothing: the sources are no task's."""
    return []


def _all_pieces(shape: RunShape, _item: str) -> list[TaskId]:
    """Return all pieces, whose lines can be anywhere in the order."""
    return INGEST.tasks(shape)


def _sorted_rows(_shape: RunShape, _item: str) -> list[TaskId]:
    """Return the sort, which leaves all rows at once."""
    return [SORT.task()]


def _all_blocks(shape: RunShape, _item: str) -> list[TaskId]:
    """Return the rows of all blocks."""
    return VECTORIZE.tasks(shape)


def _block_and_columns(_shape: RunShape, item: str) -> list[TaskId]:
    """Return the rows of the same block, and the columns."""
    return [VECTORIZE.task(item), COLUMNS.task()]


def _first_tile(_shape: RunShape, item: str) -> list[TaskId]:
    """Return the first tile of the same span, unless it is that.

    The weights of its blocks are left out: they are kept in a run, hence wanted anyway and there by then,
    and to name those of each tile would take the longest of all planning.
    """
    tile = Tile.of_item(item)
    return [COMPARE.task(Tile(tile.span, 0).item)] if tile.group else []


def _strips_and_weights(shape: RunShape, item: str) -> list[TaskId]:
    """Return all tiles of the span of a block, and its weights, which tell the rows that are zero."""
    assert shape.plan
    span = int(item) // shape.plan.span_blocks
    tiles = [COMPARE.task(Tile(span, group).item) for group in range(shape.plan.n_groups)]
    return [*tiles, WEIGH.task(item)]


def _nonzeros(budget: Budget, load: Load) -> int:
    """Return the most non-zeros of a block: an n-gram of each length begins at each byte of its text."""
    return min(load.text_bytes * budget.ngram_sizes, load.rows * budget.n_features)


def _strip_bytes(budget: Budget, load: Load) -> int:
    """Return the bytes of the neighbors of a block: an id and a similarity each."""
    return load.rows * budget.n_neighbors * 12


def _ingest_bytes(_budget: Budget, load: Load) -> int:
    """Return the bytes of the tables that are gathered, and of a decompressor."""
    return TEXT_BYTES + load.decompressor_bytes


def _sort_bytes(budget: Budget, load: Load) -> int:
    """Return the bytes of the tables of a range, and of the rows that a process alone keeps."""
    return TEXT_BYTES + min(load.moved_bytes, budget.buffer)


def _rejected_bytes(_budget: Budget, _load: Load) -> int:
    """Return the bytes of the tables that hold the lines of a chunk."""
    return TEXT_BYTES


def _vectorize_bytes(budget: Budget, load: Load) -> int:
    """Return the bytes of the text in its forms, of the counts, and of the frequencies."""
    counts = 24 * _nonzeros(budget, load)
    return 4 * load.text_bytes + 300 * load.rows + counts + 12 * budget.n_features


def _column_bytes(budget: Budget, _load: Load) -> int:
    """Return the bytes of the arrays of columns, and of what orders them."""
    return 40 * budget.n_features


def _weigh_bytes(budget: Budget, load: Load) -> int:
    """Return the bytes of the counts, their weights, and both renumbered."""
    return 36 * _nonzeros(budget, load) + 12 * budget.n_features


def _compare_bytes(budget: Budget, load: Load) -> int:
    """Return the bytes of the blocks of a span and one that passes by, and of the tiles of one."""
    nonzeros = _nonzeros(budget, load)
    block = 16 * nonzeros + 300 * load.rows + 2 * _strip_bytes(budget, load)
    return (load.span_blocks + 1) * block + 12 * nonzeros + 16 * budget.n_features


def _merge_bytes(budget: Budget, load: Load) -> int:
    """Return the bytes of the strips of a block, at most eight, and of what merges them."""
    return 16 * _strip_bytes(budget, load)


INGEST = Stage("ingest", _pieces, _no_inputs, _ingest_bytes, folders=("work",), has_blocks=False)
SORT = Stage("sort", _whole, _all_pieces, _sort_bytes, folders=("work",), has_blocks=False)
REJECTED = Stage(
    "rejected",
    _rejected_chunks,
    _all_pieces,
    _rejected_bytes,
    lambda shape: [] if shape.n_rejected is None else rejected_arrays(shape.n_rejected),
    has_blocks=False,
)
VECTORIZE = Stage(
    "vectorize",
    _blocks,
    _sorted_rows,
    _vectorize_bytes,
    lambda shape: row_arrays(shape.plan, shape.n_features) if shape.plan else [],
    replaces=(INGEST, SORT),
)
COLUMNS = Stage(
    "columns",
    _columns,
    _all_blocks,
    _column_bytes,
    lambda shape: column_arrays(shape.n_features) if shape.plan else [],
)
WEIGH = Stage(
    "weigh",
    _blocks,
    _block_and_columns,
    _weigh_bytes,
    lambda shape: weight_arrays(shape.plan) if shape.plan else [],
)
COMPARE = Stage(
    "compare",
    _tiles,
    _first_tile,
    _compare_bytes,
    lambda shape: strip_arrays(shape.plan, shape.n_neighbors) if shape.plan else [],
    folders=("strips",),
    may_fail=True,
)
MERGE = Stage(
    "merge",
    _blocks,
    _strips_and_weights,
    _merge_bytes,
    lambda shape: result_arrays(shape.plan, shape.n_neighbors) if shape.plan else [],
    replaces=(COMPARE,),
)

STAGES = (INGEST, SORT, REJECTED, VECTORIZE, COLUMNS, WEIGH, COMPARE, MERGE)
"""All stages, each after those whose results it reads."""


def find_stage(name: str) -> Stage:
    """Return the stage of a name.

    >>> find_stage("merge").task("3")
    TaskId(stage='merge', item='3')
    """
    return next(stage for stage in STAGES if stage.name == name)
