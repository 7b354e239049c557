"""Search of all blocks of rows among all blocks, two of them in memory at a time."""

from __future__ import annotations

from typing import Any, Protocol

import psutil

from novelty_dask.kernels.neighbors import Neighbors
from novelty_dask.planning.memory import check_projected


class Blocks(Protocol):
    """Consecutive blocks of rows.

    Attributes
    ----------
    starts : list of int
        Numbers of their first rows, and the number of all rows.
    """

    starts: list[int]

    def read(self, block: int) -> Any:
        """Return the rows of a block, as an engine takes them."""
        ...


def search_blocks(blocks: Blocks, engine: Any, found: Neighbors) -> None:
    """Update the neighbors of all rows with all rows, in place."""
    starts = blocks.starts
    numbers = range(len(starts) - 1)
    for block in numbers:
        part = slice(starts[block], starts[block + 1])
        # Views, so that what is found for them is in `found`.
        own = Neighbors(found.ids[part], found.similarities[part])
        rows = engine.prepare(blocks.read(block))
        # Its own rows first: what is near in the order is often alike, and rules out most that comes later.
        for other in sorted(numbers, key=lambda each: abs(each - block)):
            # Prepared anew for each block: all prepared blocks together would not fit.
            candidates = rows if other == block else engine.prepare(blocks.read(other))
            engine.search(rows, candidates, own, row_start=starts[block], candidate_start=starts[other])


def check_memory(projected: int, remedy: str = "pass smaller block_rows, or fewer n_neighbors") -> None:
    """Refuse what does not fit in the memory that is free.

    Parameters
    ----------
    projected : int
        In bytes.
    remedy : str
        What to do.

    Raises
    ------
    BudgetError
        It says what would be needed.
    """
    check_projected("The search", projected, psutil.virtual_memory().available, remedy)
