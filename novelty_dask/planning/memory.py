"""What a worker needs at most, in bytes, stated before anything runs.

A worker holds Python with its libraries, and one task for each thread.  The bytes of a
task are a function of the plan alone: so much for each row, each non-zero, each column.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from novelty_dask.errors import BudgetError
from novelty_dask.planning.tiles import (
    MAXIMUM_SPAN_ROWS,
    MINIMUM_BLOCK_ROWS,
    TilePlan,
    block_slices,
    default_block_rows,
    plan_tiles,
)

PROCESS_BYTES = 460 * 10**6
"""A worker process with all libraries loaded, before its first task."""
FRAMES_BYTES = 160 * 10**6
"""Dask's dataframes: part of that, but loaded by the shuffle only, after the lines are read."""
TEXT_BYTES = 160 * 10**6
"""A task that reads or sorts: tables of fixed size, whatever the corpus."""
ROW_BYTES = 40
"""What a row that is moved takes besides its key and its URL: two numbers, two offsets."""
HEADS = 1.1
"""What the heads of the pieces add that are moved one by one."""


class Extent(NamedTuple):
    """Consecutive rows, the bytes of their text, and the most that a task holds to decompress it."""

    n_rows: int
    n_bytes: int
    decompressor_bytes: int = 0


@dataclass(frozen=True)
class Budget:
    """What the memory of a task depends on besides its block, and what a worker may use.

    Parameters
    ----------
    n_neighbors : int
        Neighbors kept of a row.
    n_features : int
        Columns of the hashed matrix.
    ngram_sizes : int
        How many lengths of n-grams are counted: about as many non-zeros for each byte of text.
    threads : int
        Tasks that a worker runs at once.
    limit : int
        Bytes that a worker may use.
    workers : int
        Worker processes: the more, the more tiles.
    buffer : int
        Bytes of moved rows that a process may keep besides its tasks: only one that works alone does.
    """

    n_neighbors: int
    n_features: int
    ngram_sizes: int
    threads: int
    limit: int
    workers: int = 1
    buffer: int = 0


def task_bytes(budget: Budget, rows: int, text: int, span_blocks: int = 1) -> dict[str, int]:
    """Most bytes that a task of each stage holds for a block, its process not included.

    Parameters
    ----------
    budget : Budget
    rows : int
        Rows of the block.
    text : int
        Bytes of their text.
    span_blocks : int
        Blocks that a comparison holds while another passes by.
    """
    nonzeros = min(text * budget.ngram_sizes, rows * budget.n_features)
    strip = rows * budget.n_neighbors * 12
    return {
        **reading_bytes(0),
        "vectorize": 4 * text + 300 * rows + 24 * nonzeros + 12 * budget.n_features,
        "columns": 40 * budget.n_features,
        "weigh": 36 * nonzeros + 12 * budget.n_features,
        "compare": (span_blocks + 1) * (16 * nonzeros + 300 * rows + 2 * strip)
        + 12 * nonzeros
        + 16 * budget.n_features,
        "merge": 16 * strip,
    }


def densest_block(extents: Sequence[Extent], plan: TilePlan) -> int:
    """Bytes of text in the block that has most, if text is spread evenly in each extent.

    >>> densest_block([Extent(4, 40), Extent(3, 300)], TilePlan(7, 5, 1, 1))
    200
    """
    densities = [extent.n_bytes / max(extent.n_rows, 1) for extent in extents]
    blocks = block_slices([extent.n_rows for extent in extents], plan)
    texts = (sum((stop - start) * densities[number] for number, start, stop in slices) for slices in blocks)
    return round(max(texts, default=0))


def plan_bytes(budget: Budget, extents: Sequence[Extent], plan: TilePlan) -> dict[str, int]:
    """Most bytes that a task of each stage holds under a plan."""
    rows = min(plan.block_rows, plan.n_rows)
    stages = task_bytes(budget, rows, densest_block(extents, plan), plan.span_blocks)
    decompressor_bytes = max((extent.decompressor_bytes for extent in extents), default=0)
    return {**stages, **reading_bytes(decompressor_bytes), "sort": sort_bytes(budget, moved_bytes(extents))}


def reading_bytes(decompressor_bytes: int) -> dict[str, int]:
    """Most bytes that a task holds of the stages before the rows are counted: they need no plan.

    >>> reading_bytes(10**6)
    {'ingest': 161000000, 'sort': 160000000}
    """
    return {"ingest": TEXT_BYTES + decompressor_bytes, "sort": TEXT_BYTES}


def sort_bytes(budget: Budget, moved: int) -> int:
    """Most bytes that a task of the sort holds, and the process besides, when so many bytes are moved."""
    return TEXT_BYTES + min(moved, budget.buffer)


def moved_bytes(extents: Iterable[Extent]) -> int:
    """Most bytes that rows take on their way from the tables that were read to those that are sorted.

    >>> moved_bytes([Extent(n_rows=1_000, n_bytes=76_000)])
    211200
    """
    return round(HEADS * sum(2 * extent.n_bytes + ROW_BYTES * extent.n_rows for extent in extents))


def worker_bytes(stages: Mapping[str, int], threads: int) -> dict[str, int]:
    """Most bytes that a worker holds in each stage: its process, and a task of so many bytes on each thread.

    >>> worker_bytes({"ingest": 10**6, "merge": 10**6}, threads=2)
    {'ingest': 302000000, 'merge': 462000000}
    """
    return {
        stage: PROCESS_BYTES - FRAMES_BYTES * (stage == "ingest") + threads * task
        for stage, task in stages.items()
    }


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
    if projected > budget.limit:
        of_blocks = stage not in ("ingest", "sort")
        held = f"blocks of {rows:,} rows and " * of_blocks
        help_too = {
            ", or use --workers 1": stage == "sort" and budget.buffer,
            ", or lower --threads": budget.threads > 1,
            ", or lower --block-rows": of_blocks and rows > MINIMUM_BLOCK_ROWS,
        }
        message = (
            f"A worker is projected to need {megabytes(projected)} in stage {stage} with {held}"
            f"{budget.threads} thread{'s' * (budget.threads > 1)}, over its limit of "
            f"{megabytes(budget.limit)}; raise --memory-limit to that"
            f"{''.join(words for words, helps in help_too.items() if helps)}."
        )
        raise BudgetError(message)


def megabytes(size: int) -> str:
    """Bytes in megabytes, rounded up.

    >>> megabytes(1_234_500_000)
    '1,235 MB'
    """
    return f"{-(-size // 10**6):,} MB"


def fit(budget: Budget, extents: Sequence[Extent], block_rows: int | None = None) -> TilePlan:
    """The plan of a corpus that fits in the budget, with the largest blocks unless they are given.

    Raises
    ------
    BudgetError
        Not even the smallest, or the given, blocks fit.
    """
    n_rows = sum(extent.n_rows for extent in extents)
    rows, span_rows = block_rows or default_block_rows(n_rows), MAXIMUM_SPAN_ROWS
    smallest = block_rows or MINIMUM_BLOCK_ROWS
    while True:
        plan = plan_tiles(n_rows, rows, span_rows, budget.workers * budget.threads)
        stages = plan_bytes(budget, extents, plan)
        fits = max(worker_bytes(stages, budget.threads).values()) <= budget.limit
        if fits or (plan.span_blocks == 1 and rows <= smallest):
            break
        if plan.span_blocks > 1:
            span_rows //= 2
        else:
            rows //= 2
    check_limit(stages, budget, plan.block_rows)
    return plan
