"""Survey of the pieces of many tiles: where a row may have neighbors at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.search.survivors import (
    add_maxima,
    choose_all_vectors,
    clear_sums,
    find_survivors,
    open_lists,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.kernels.search.finish import Comparison
    from novelty_dask.kernels.search.lists import Lists
    from novelty_dask.kernels.search.scratch import Scratch


@compiled_loop
def survey(
    comparison: Comparison,
    rows: NDArray[np.int32],
    lists: Lists,
    scratch: Scratch,
    marks: NDArray[np.uint64],
) -> tuple[int, int]:
    """Mark the pieces that may hold a neighbor of some rows.

    Parameters
    ----------
    comparison : Comparison
    rows : ndarray, int32
        Their numbers in the block.
    lists : Lists
        Of the pieces of some tiles.
    scratch : Scratch
    marks : ndarray of shape (tiles, rows), uint64
        A bit for each piece, all 0 before.

    Returns
    -------
    multiply_adds, slots : int
        As in `SearchCounts`.
    """
    multiply_adds = slots = 0
    choose_all_vectors(scratch)
    for number in range(rows.size):
        query, n_lists = open_lists(comparison, rows[number], lists, scratch)
        if n_lists == 0:
            continue
        multiply_adds += add_maxima(n_lists, scratch.vectors, lists, scratch)
        slots += scratch.group_sums.size
        count = find_survivors(query, scratch.vectors, lists, scratch)
        clear_sums(scratch)
        for each in range(count):
            piece = np.uint64(scratch.survivors[each])
            marks[piece >> np.uint64(6), number] |= np.uint64(1) << (piece & np.uint64(63))
    return multiply_adds, slots
