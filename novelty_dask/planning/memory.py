"""Memory that a worker needs at most, in bytes, stated before anything runs.

A worker holds Python with its libraries, and one task for each thread.  The bytes of a task are a function of
the plan alone (`stages`): a number for each row, each non-zero, each column.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from novelty_dask.errors import BudgetError
from novelty_dask.planning.budget import Budget, Extent, Load, megabytes
from novelty_dask.planning.periods import begin_periods
from novelty_dask.planning.sizes import SEARCH_BYTES
from novelty_dask.planning.slices import block_slices
from novelty_dask.planning.stages import INGEST, SORT, STAGES, Stage, find_stage
from novelty_dask.planning.tiles import (
    MAXIMUM_SPAN_ROWS,
    MINIMUM_BLOCK_ROWS,
    USUAL_ROW_BYTES,
    TilePlan,
    cut_spans,
    default_block_rows,
    plan_even_tiles,
    plan_tiles,
)

PROCESS_BYTES = 460 * 10**6
"""A worker process with all libraries loaded, before its first task."""
FRAMES_BYTES = 160 * 10**6
"""Dask's dataframes: part of that, but loaded by the shuffle only, after the lines are read."""
MOVED_ROW_BYTES = 40
"""Bytes that a row takes when it is moved, besides its key and its URL: two numbers, two offsets."""
HEAVIEST_BLOCK = 2**24
"""Bytes of text of the largest block that is planned without being asked for: about as many non-zeros."""
# The work on a block grows with its non-zeros, not with its rows.  At 8 kB a line these are 2,048 rows, whose
# comparison with as many takes seconds; 65,536 rows of usual URLs have a third of it.
SHUFFLE_OVERHEAD = 1.1
"""Factor for the heads of the pieces that are moved one by one."""


def block_texts(extents: Sequence[Extent], plan: TilePlan) -> list[float]:
    """Return the bytes of text in each block, if text is spread evenly in each extent.

    >>> block_texts([Extent(4, 40), Extent(3, 300)], TilePlan(7, 5, 1, 1))
    [140.0, 200.0]
    """
    # Text is not known row by row, so it is taken to be spread evenly over each sorted table.
    densities = [extent.n_bytes / max(extent.n_rows, 1) for extent in extents]
    blocks = block_slices([extent.n_rows for extent in extents], plan)
    return [sum((stop - start) * densities[number] for number, start, stop in slices) for slices in blocks]


def densest_block(extents: Sequence[Extent], plan: TilePlan) -> int:
    """Return the bytes of text in the block that has most.

    >>> densest_block([Extent(4, 40), Extent(3, 300)], TilePlan(7, 5, 1, 1))
    200
    """
    return round(max(block_texts(extents, plan), default=0))


def plan_bytes(budget: Budget, extents: Sequence[Extent], plan: TilePlan) -> dict[str, int]:
    """Return the most bytes that a task of each stage holds under a plan, by the name of the stage."""
    texts = block_texts(extents, plan)
    spans = (sum(texts[block] for block in plan.span(span)) for span in range(plan.n_spans))
    load = Load(
        rows=min(plan.block_rows, plan.n_rows),
        text_bytes=round(max(texts, default=0)),
        span_blocks=plan.span_blocks,
        span_bytes=round(max(spans, default=0)),
        decompressor_bytes=max((extent.decompressor_bytes for extent in extents), default=0),
        moved_bytes=moved_bytes(extents),
        all_rows=plan.n_rows,
    )
    return {stage.name: stage.task_bytes(budget, load) for stage in _needed(budget)}


def _needed(budget: Budget) -> list[Stage]:
    """Return the stages of runs of a budget."""
    return [stage for stage in STAGES if stage.is_needed(budget)]


def reading_bytes(budget: Budget, load: Load) -> dict[str, int]:
    """Return the most bytes that a task holds of the stages that need no plan.

    >>> budget = Budget(n_neighbors=10, n_features=2**20, entries_a_byte=1, threads=1, limit=10**9)
    >>> reading_bytes(budget, Load(decompressor_bytes=10**6))
    {'ingest': 161000000, 'sort': 160000000, 'rejected': 160000000}
    """
    return {stage.name: stage.task_bytes(budget, load) for stage in _needed(budget) if not stage.has_blocks}


def moved_bytes(extents: Iterable[Extent]) -> int:
    """Return the most bytes that rows take on their way from the tables that were read to the sorted ones.

    >>> moved_bytes([Extent(n_rows=1_000, n_bytes=76_000)])
    211200
    """
    moved = sum(2 * extent.n_bytes + MOVED_ROW_BYTES * extent.n_rows for extent in extents)
    return round(SHUFFLE_OVERHEAD * moved)


def worker_bytes(stages: Mapping[str, int], threads: int) -> dict[str, int]:
    """Return the most bytes that a worker holds in each stage: its process, and a task on each thread.

    >>> worker_bytes({"ingest": 10**6, "merge": 10**6}, threads=2)
    {'ingest': 302000000, 'merge': 462000000}
    """
    # Pieces are read before the shuffle loads the dataframes; they stay loaded in all later stages.
    return {
        stage: PROCESS_BYTES - FRAMES_BYTES * (stage == INGEST.name) + threads * task
        for stage, task in stages.items()
    }


def index_bytes(
    n_rows: int, n_columns: int, n_nonzeros: int, text_bytes: int, held: tuple[int, int, int]
) -> int:
    """Return the most bytes of a process that indexes a reference to answer lines, what it maps included.

    Parameters
    ----------
    n_rows, n_columns, n_nonzeros, text_bytes : int
        Rows of the reference, columns that they have, their non-zeros, and bytes of their URLs.
    held : tuple of int
        Columns of the hashed matrix, rows of a block, and non-zeros of the block that has most.
    """
    n_features, block_rows, block_nonzeros = held
    # The URLs lie there twice while they are joined, and one block is read at a time.
    index = 24 * n_rows + 24 * n_columns + 8 * n_nonzeros + 2 * text_bytes
    block = 300 * block_rows + 16 * block_nonzeros
    return PROCESS_BYTES - FRAMES_BYTES + SEARCH_BYTES + index + block + 16 * n_features


def check_projected(what: str, projected: int, limit: int, remedy: str, doing: str = "") -> None:
    """Refuse what takes more than a limit.

    Parameters
    ----------
    what : str
        Its name, as a sentence begins with it.
    projected, limit : int
        In bytes.
    remedy : str
        What to do.
    doing : str
        In what it takes so much, with a space before it.

    Raises
    ------
    BudgetError
        It says what would be needed.
    """
    if projected > limit:
        message = (
            f"{what} is projected to need {megabytes(projected)}{doing}, over the limit of "
            f"{megabytes(limit)}; {remedy}."
        )
        raise BudgetError(message)


def check_index(path: str, projected: int, limit: int) -> None:
    """Refuse an index of a reference that takes more than a limit.

    Raises
    ------
    BudgetError
        It says what would be needed.
    """
    remedy = "raise --memory-limit to that, or name a smaller reference"
    check_projected(f"The index of the reference {path!r}", projected, limit, remedy)


def check_workers(tasks: Mapping[str, int], threads: int, limit: int) -> None:
    """Refuse tasks that don't fit in a worker, by whatever cut.

    Raises
    ------
    BudgetError
        It says what would be needed.
    """
    remedy = "raise --memory-limit to that, or use fewer workers"
    check_projected("A worker", max(worker_bytes(tasks, threads).values()), limit, remedy)


def check_limit(stages: Mapping[str, int], budget: Budget, rows: int = 0) -> None:
    """Refuse tasks that don't fit in a worker.

    Parameters
    ----------
    stages : mapping
        Most bytes that a task of each stage holds.
    budget : Budget
    rows : int
        Rows of a block, where a stage depends on them.

    Raises
    ------
    BudgetError
        It names the stage, and what would be needed.
    """
    workers = worker_bytes(stages, budget.threads)
    stage = max(workers, key=workers.__getitem__)
    projected = workers[stage]
    if projected <= budget.limit:
        return
    of_blocks = find_stage(stage).has_blocks
    held = f"blocks of {rows:,} rows and " * of_blocks
    help_too = {
        ", or use --workers 1": budget.buffer and _fits_without_buffer(stages, budget),
        ", or lower --threads": budget.threads > 1,
        ", or lower --block-rows": of_blocks and rows > MINIMUM_BLOCK_ROWS,
    }
    remedy = _first_remedy(projected, budget) + "".join(words for words, helps in help_too.items() if helps)
    doing = f" in stage {stage} with {held}{budget.threads} thread{'s' * (budget.threads > 1)}"
    check_projected("A worker", projected, budget.limit, remedy, doing)


def _first_remedy(projected: int, budget: Budget) -> str:
    """Return what to do about workers that need more than their limit."""
    fitting = budget.shared // projected
    if 1 <= fitting < budget.workers:
        # Each has a share of the memory that is free: with a higher limit they would need more than there is.
        return f"use fewer workers (--workers {fitting})"
    return "raise --memory-limit to that"


def _fits_without_buffer(stages: Mapping[str, int], budget: Budget) -> bool:
    """Return whether the tasks would fit in a worker process, which moves rows by files."""
    moving = SORT.task_bytes(replace(budget, buffer=0), Load())
    stages = {name: min(size, moving) if name == SORT.name else size for name, size in stages.items()}
    return max(worker_bytes(stages, budget.threads).values()) <= budget.limit


def fit(budget: Budget, extents: Sequence[Extent], block_rows: int | None = None) -> TilePlan:
    """Return the plan of a corpus that fits in the budget, with the largest blocks unless they are given.

    Raises
    ------
    BudgetError
        Not even the smallest, or the given, blocks fit.
    """
    rows, span_rows = block_rows or _default_rows(extents), MAXIMUM_SPAN_ROWS
    smallest = block_rows or MINIMUM_BLOCK_ROWS
    while True:
        plan = _plan_tiles(budget, extents, rows, span_rows)
        stages = plan_bytes(budget, extents, plan)
        fits = max(worker_bytes(stages, budget.threads).values()) <= budget.limit
        if fits or (plan.span_blocks == 1 and rows <= smallest):
            break
        # Shorter spans first: they save as much memory as smaller blocks, at less cost.
        if plan.span_blocks > 1:
            span_rows //= 2
        else:
            rows //= 2
    check_limit(stages, budget, plan.block_rows)
    return plan


def _plan_tiles(budget: Budget, extents: Sequence[Extent], block_rows: int, span_rows: int) -> TilePlan:
    """Return a plan of tiles that are bounded by rows and by text."""
    slots = budget.workers * budget.threads
    n_rows, n_bytes = sum(each.n_rows for each in extents), sum(each.n_bytes for each in extents)
    known = budget.known[:2] if budget.known else (0, 0)
    row_bytes = n_bytes / max(n_rows, 1)
    if budget.matrix:
        return plan_even_tiles(n_rows, block_rows, span_rows, slots, row_bytes)
    plan = plan_tiles(n_rows, block_rows, span_rows, slots, row_bytes, known)
    periods = begin_periods(n_rows, budget.period_rows) if budget.is_in_time else ()
    plan = replace(plan, periods=periods, known_left=budget.known.n_left if budget.known else 0)
    return cut_spans(plan, block_texts(extents, plan), USUAL_ROW_BYTES * span_rows)


def _default_rows(extents: Sequence[Extent]) -> int:
    """Return the rows of a block where the user sets none: fewer than usual where they are long.

    >>> _default_rows([Extent(n_rows=100_000, n_bytes=7_500_000)])
    16384
    >>> _default_rows([Extent(n_rows=20_000, n_bytes=160_000_000)])
    2048
    """
    n_rows = sum(extent.n_rows for extent in extents)
    rows = default_block_rows(n_rows)
    while rows > MINIMUM_BLOCK_ROWS and densest_block(extents, plan_tiles(n_rows, rows)) > HEAVIEST_BLOCK:
        rows //= 2
    return rows
