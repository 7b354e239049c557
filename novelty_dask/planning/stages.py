"""The stages of a run, each declared once: its tasks, their inputs, the arrays they write, their memory.

::

    ingest ──┬──► sort ──► vectorize ──┬──► columns ──┐
             │                         └──────────────┴──► weigh ──► compare ──► merge
             └──► rejected

    merge ──┬──► cover
            └──► density ──► lof

Where vectors are compared, `import` stands before compare in place of all stages of lines, and there is no
cover.  Where rows are compared with a reference, `locate` comes before compare, `cite` after merge, and
`calibrate` last.  Where they are compared in time, `date`, `tally` and `reweigh` come before compare; where
they have neighbors outside their groups alone, `link` and `group`.

A task is a stage and an item, which is a string: the number of a piece, of a block or of a chunk, the two
numbers of a tile, or "all".  All tasks and arrays of a run follow from a few numbers, its *shape*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from novelty_dask.planning import vector_sizes
from novelty_dask.planning.arrays import (
    REJECTED_CHUNK,
    WHOLE,
    calibration_arrays,
    cited_arrays,
    column_arrays,
    density_arrays,
    group_arrays,
    link_arrays,
    lof_arrays,
    place_arrays,
    rejected_arrays,
    result_arrays,
    row_arrays,
    strip_arrays,
    uncovered_arrays,
    vector_arrays,
    weight_arrays,
)
from novelty_dask.planning.period_arrays import date_arrays, past_arrays, tally_arrays
from novelty_dask.planning.shapes import (
    Items,
    RunShape,
    list_blocks,
    list_blocks_against,
    list_blocks_grouped,
    list_blocks_of_periods,
    list_numbers,
    list_periods,
    list_periods_and_blocks,
    list_tiles,
)
from novelty_dask.planning.sizes import (
    LINK_BYTES,
    TEXT_BYTES,
    compare_bytes,
    count_bytes,
    cover_bytes,
    gather_bytes,
    link_bytes,
    merge_bytes,
    nonzeros,
    reading_bytes,
    tally_bytes,
)
from novelty_dask.planning.stage import Stage, TaskId
from novelty_dask.planning.tiles import Tile

if TYPE_CHECKING:
    from collections.abc import Callable

    from novelty_dask.planning.matrix import Matrix

__all__ = ["Items", "RunShape", "Stage", "TaskId"]
# The stages themselves are all other names.


def _first_tile(shape: RunShape, item: str) -> list[TaskId]:
    """Return the first tile of the same span, unless it is that, and the weights that no run keeps."""
    # The weights of its blocks are left out: they are kept in a run, hence wanted anyway and there by then,
    # and to name those of each tile would take longer than all other planning.
    tile = Tile.of_item(item)
    return [*([COMPARE.task(Tile(tile.span, 0).item)] if tile.group else []), *REWEIGH.tasks(shape)]


def _strips_and_weights(shape: RunShape, item: str) -> list[TaskId]:
    """Return all tiles of the span of a block, and what shows the rows of it that are zero."""
    assert shape.plan
    span = shape.plan.span_of(int(item))
    tiles = [COMPARE.task(Tile(span, group).item) for group in range(shape.plan.n_groups)]
    return [*tiles, (IMPORT if shape.matrix else WEIGH).task(item)]


def _merged_stretch(shape: RunShape, item: str) -> list[TaskId]:
    """Return what merges the neighbors of a stretch, and weights that no run keeps; the others are there."""
    assert shape.plan
    stretch = shape.plan.stretch(int(item))
    past = [REWEIGH.task(item) for item in list_blocks_of_periods(shape, stretch)]
    return [*(MERGE.task(str(block)) for block in stretch), *past]


def _period_before(_shape: RunShape, item: str) -> list[TaskId]:
    """Return the times of periods, and the tally of the period before one."""
    return [DATE.task(), *([TALLY.task(str(int(item) - 1))] if int(item) else [])]


def _all_views(shape: RunShape, item: str) -> list[TaskId]:
    """Return what computes the views of a block."""
    assert shape.plan
    return [MERGE.task(item), COVER.task(str(shape.plan.stretch_of(int(item)))), LOF.task(item)]


def _after_all(earlier: Stage, own: Callable[[], Stage]) -> Callable[[RunShape, str], list[TaskId]]:
    """Return the inputs of tasks of blocks that may need any task of an earlier stage."""

    # Their own stage is given by a call, as it is declared with this as its inputs.
    def inputs(shape: RunShape, item: str) -> list[TaskId]:
        # The first task waits for all, and the others wait for the first: to name all for each would take
        # the square of the number of blocks.
        return earlier.tasks(shape) if item == "0" else [earlier.task(item), own().task("0")]

    return inputs


INGEST = Stage(
    "ingest",
    items=lambda shape: list_numbers(0 if shape.growth else shape.n_pieces),
    # The sources are no task's.
    inputs=lambda _shape, _item: [],
    task_bytes=lambda _budget, load: TEXT_BYTES + load.decompressor_bytes,
    folders=("work",),
    has_blocks=False,
)
SORT = Stage(
    "sort",
    items=lambda shape: [] if shape.growth else [WHOLE],
    # The lines of any piece may be anywhere in the order.
    inputs=lambda shape, _item: INGEST.tasks(shape),
    # A process that works alone keeps the rows that it moves.
    task_bytes=lambda budget, load: TEXT_BYTES + min(load.moved_bytes, budget.buffer),
    folders=("work",),
    has_blocks=False,
)
REJECTED = Stage(
    "rejected",
    items=lambda shape: list_numbers(
        None if shape.n_rejected is None else -(-shape.n_rejected // REJECTED_CHUNK)
    ),
    inputs=lambda shape, _item: INGEST.tasks(shape),
    task_bytes=lambda _budget, _load: TEXT_BYTES,
    arrays=lambda shape: [] if shape.n_rejected is None else rejected_arrays(shape.n_rejected),
    has_blocks=False,
)
VECTORIZE = Stage(
    "vectorize",
    items=list_blocks,
    inputs=lambda _shape, _item: [SORT.task()],
    task_bytes=count_bytes,
    arrays=lambda shape: row_arrays(shape.plan, shape.n_features, shape.n_kept) if shape.plan else [],
    replaces=(INGEST, SORT),
)
COLUMNS = Stage(
    "columns",
    items=lambda shape: [WHOLE] if shape.plan else None,
    inputs=lambda shape, _item: VECTORIZE.tasks(shape),
    # The arrays of columns, and what orders them.
    task_bytes=lambda budget, _load: 40 * budget.n_features,
    arrays=lambda shape: column_arrays(shape.n_features) if shape.plan else [],
)
WEIGH = Stage(
    "weigh",
    items=list_blocks,
    inputs=lambda _shape, item: [VECTORIZE.task(item), COLUMNS.task()],
    # The counts, their weights, and both renumbered.
    task_bytes=lambda budget, load: 36 * nonzeros(budget, load) + 12 * budget.n_features,
    arrays=lambda shape: (
        weight_arrays(shape.plan, shape.widest_block) if shape.plan and shape.widest_block is not None else []
    ),
)
LOCATE = Stage(
    "locate",
    items=list_blocks_against,
    inputs=lambda _shape, item: [VECTORIZE.task(item)],
    task_bytes=reading_bytes,
    arrays=lambda shape: place_arrays(shape.plan) if shape.plan and shape.plan.known_rows else [],
    is_against=True,
)
DATE = Stage(
    "date",
    items=lambda shape: ([WHOLE] if shape.plan.periods else []) if shape.plan else None,
    inputs=lambda shape, _item: VECTORIZE.tasks(shape),
    # All times, sorted in place, and those of a block.
    task_bytes=lambda _budget, load: 8 * load.all_rows + 64 * load.rows,
    arrays=lambda shape: date_arrays(shape.plan) if shape.plan and shape.plan.periods else [],
    is_in_time=True,
)
TALLY: Stage = Stage(
    "tally",
    items=list_periods,
    inputs=_period_before,
    task_bytes=tally_bytes,
    arrays=lambda shape: (
        tally_arrays(shape.plan, shape.n_features) if shape.plan and shape.plan.periods else []
    ),
    is_in_time=True,
)
REWEIGH = Stage(
    "reweigh",
    items=list_periods_and_blocks,
    inputs=lambda _shape, item: [TALLY.task(item.split("-")[0]), COLUMNS.task()],
    task_bytes=tally_bytes,
    arrays=lambda shape: (
        past_arrays(shape.plan, shape.widest_block)
        if shape.plan and shape.plan.periods and shape.widest_block is not None
        else []
    ),
    folders=("past",),
    is_in_time=True,
)
LINK = Stage(
    "link",
    items=list_blocks_grouped,
    # A block is linked with those before it; their weights are left out, as those of a tile are.
    inputs=lambda _shape, item: [WEIGH.task(item)],
    task_bytes=link_bytes,
    arrays=lambda shape: link_arrays(shape.plan) if shape.plan and shape.is_grouped else [],
    folders=("links",),
    is_grouped=True,
)
GROUP = Stage(
    "group",
    items=lambda shape: [WHOLE] if shape.plan and shape.is_grouped else [],
    inputs=lambda shape, _item: LINK.tasks(shape),
    task_bytes=lambda _budget, load: LINK_BYTES * load.all_rows,
    arrays=lambda shape: group_arrays(shape.plan) if shape.plan and shape.is_grouped else [],
    replaces=(LINK,),
    is_grouped=True,
)
IMPORT = Stage(
    "import",
    items=lambda shape: list_blocks(shape) if shape.matrix else [],
    # The source is no task's.
    inputs=lambda _shape, _item: [],
    task_bytes=vector_sizes.import_bytes,
    arrays=lambda shape: vector_arrays(shape.plan, shape.matrix) if shape.plan and shape.matrix else [],
    data="vectors",
)
COMPARE = Stage(
    "compare",
    items=list_tiles,
    inputs=_first_tile,
    task_bytes=vector_sizes.of_either(compare_bytes, vector_sizes.compare_vectors_bytes),
    arrays=lambda shape: strip_arrays(shape.plan, shape.n_neighbors, shape.values) if shape.plan else [],
    folders=("strips",),
    # The rows of all other tiles have their neighbors without it.
    may_fail=True,
    data="",
)
MERGE = Stage(
    "merge",
    items=list_blocks,
    inputs=_strips_and_weights,
    task_bytes=vector_sizes.of_either(merge_bytes, vector_sizes.merge_vectors_bytes),
    arrays=lambda shape: result_arrays(shape.plan, shape.n_neighbors, shape.values) if shape.plan else [],
    replaces=(COMPARE,),
    data="",
)
CITE = Stage(
    "cite",
    items=list_blocks_against,
    inputs=lambda _shape, item: [MERGE.task(item)],
    task_bytes=reading_bytes,
    arrays=lambda shape: (
        cited_arrays(shape.plan, shape.n_neighbors, is_joined=shape.is_joined)
        if shape.plan and shape.plan.known_rows
        else []
    ),
    is_against=True,
)
COVER = Stage(
    "cover",
    items=lambda shape: list_numbers(shape.plan.n_stretches if shape.plan else None),
    inputs=_merged_stretch,
    task_bytes=cover_bytes,
    arrays=lambda shape: uncovered_arrays(shape.plan) if shape.plan else [],
    replaces=(REWEIGH,),
)
DENSITY: Stage = Stage(
    "density",
    items=list_blocks,
    inputs=_after_all(MERGE, lambda: DENSITY),
    task_bytes=gather_bytes,
    arrays=lambda shape: density_arrays(shape.plan) if shape.plan else [],
    data="",
)
LOF: Stage = Stage(
    "lof",
    items=list_blocks,
    inputs=_after_all(DENSITY, lambda: LOF),
    task_bytes=gather_bytes,
    arrays=lambda shape: lof_arrays(shape.plan) if shape.plan else [],
    data="",
)
CALIBRATE = Stage(
    "calibrate",
    items=list_blocks_against,
    inputs=_all_views,
    task_bytes=gather_bytes,
    arrays=lambda shape: calibration_arrays(shape.plan) if shape.plan and shape.plan.known_rows else [],
    is_against=True,
)

STAGES = (
    *(INGEST, SORT, REJECTED, VECTORIZE, COLUMNS, WEIGH, IMPORT),
    *(LOCATE, DATE, TALLY, REWEIGH, LINK, GROUP),
    *(COMPARE, MERGE, CITE, COVER, DENSITY, LOF, CALIBRATE),
)
"""All stages, each after those whose results it reads."""
LAST_STAGE = LOF
"""The stage after which a run is complete, or partial; with a reference that is `CALIBRATE`."""
LASTING_STAGES = tuple(stage for stage in STAGES if not any(stage in other.replaces for other in STAGES))
"""Stages whose results are kept."""


def stages_of(matrix: Matrix | None) -> list[Stage]:
    """Return the stages of runs of a matrix, or of lines without one.

    >>> from novelty_dask.planning.matrix import Matrix
    >>> [stage.name for stage in stages_of(Matrix(9, 2, "float32", "cosine"))]
    ['import', 'compare', 'merge', 'density', 'lof']
    """
    return [stage for stage in STAGES if stage.is_of(matrix)]


def find_stage(name: str) -> Stage:
    """Return the stage of a name.

    >>> find_stage("merge").task("3")
    TaskId(stage='merge', item='3')
    """
    return next(stage for stage in STAGES if stage.name == name)
