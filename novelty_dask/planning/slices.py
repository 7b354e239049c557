"""Parts of tables that follow one another: which of them some consecutive rows lie in."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from novelty_dask.planning.tiles import TilePlan


class Slice(NamedTuple):
    """Rows ``start`` to ``stop`` of one of several tables."""

    table: int
    start: int
    stop: int


def block_slices(table_rows: Sequence[int], plan: TilePlan) -> Iterator[list[Slice]]:
    """Yield for each block the parts of tables that follow one another in which its rows lie.

    >>> from novelty_dask.planning.tiles import TilePlan
    >>> [list(map(tuple, slices)) for slices in block_slices([4, 3], TilePlan(7, 5, 1, 1))]
    [[(0, 0, 4), (1, 0, 1)], [(1, 1, 3)]]
    """
    ends = list(accumulate(table_rows))
    for block in range(plan.n_blocks):
        yield _slices(table_rows, ends, *plan.bounds(block))


def slice_tables(table_rows: Sequence[int], start: int, stop: int) -> list[Slice]:
    """Return the parts of tables that follow one another in which some consecutive rows lie.

    >>> slice_tables([4, 3], 5, 7)
    [Slice(table=1, start=1, stop=3)]
    """
    return _slices(table_rows, list(accumulate(table_rows)), start, stop)


def _slices(table_rows: Sequence[int], ends: Sequence[int], first: int, stop: int) -> list[Slice]:
    """Return the parts of tables that end at some rows."""
    # A table that ends where the rows begin has none of them, nor has one without rows.
    tables = range(bisect_right(ends, first), bisect_left(ends, stop) + 1)
    starts = {table: ends[table] - table_rows[table] for table in tables}
    return [
        Slice(table, max(first - start, 0), min(stop - start, table_rows[table]))
        for table, start in starts.items()
    ]
