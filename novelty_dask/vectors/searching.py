"""Search of all blocks of rows among all blocks, two of them in memory at a time."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Protocol

import psutil

from novelty_dask.engines.dense import DenseEngine
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
    # Views, so that what is found for them is in `found`.
    parts = [Neighbors(found.ids[a:b], found.similarities[a:b]) for a, b in pairwise(starts)]
    for block, own in enumerate(parts):
        rows = engine.prepare(blocks.read(block))
        engine.search(rows, rows, own, row_start=starts[block], candidate_start=starts[block])
        for other in range(block + 1, len(parts)):
            # Prepared anew for each block: all prepared blocks together would not fit.
            pair = (rows, engine.prepare(blocks.read(other)))
            _search_both(engine, pair, (own, parts[other]), (starts[block], starts[other]))


def _search_both(
    engine: Any, pair: tuple[Any, Any], neighbors: tuple[Neighbors, Neighbors], starts: tuple[int, int]
) -> None:
    """Update the neighbors of two blocks with the rows of each other, in place."""
    if isinstance(engine, DenseEngine):
        # Most pairs are ruled out for both rows at once.
        engine.search_both(pair, neighbors, starts)
        return
    engine.search(*pair, neighbors[0], row_start=starts[0], candidate_start=starts[1])
    engine.search(*pair[::-1], neighbors[1], row_start=starts[1], candidate_start=starts[0])


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
