"""Closeness of candidates that something else has proposed, as exact as that of a search."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.neighbors import insert
from novelty_dask.kernels.vectors.closeness import Measure, measure_closeness


@compiled_loop
def rescore(
    rows: tuple[NDArray[np.int64], NDArray[np.float64]],
    block: tuple[int, NDArray[np.float64]],
    proposed: NDArray[np.int64],
    kept: tuple[NDArray[np.int64], NDArray[Any]],
    measure: Measure,
) -> None:
    """Update the neighbors of rows with those of their candidates that lie in a block, in place.

    Parameters
    ----------
    rows : tuple of ndarray, of shapes (rows,) and (rows, columns)
        Numbers of the rows, which are no neighbors of their own, and their vectors.
    block : (int, ndarray of shape (candidates, columns))
        Number of the first candidate of the block, and its vectors.
    proposed : ndarray of shape (rows, candidates of a row), int64
        Numbers of candidates, in any block and in any order; those below 0 are none.
    kept : tuple of ndarray of shape (rows, k)
        Ids and closeness of the neighbors so far, best first.
    measure : Measure
        What closeness is.
    """
    for i in range(proposed.shape[0]):
        for p in range(proposed.shape[1]):
            candidate = proposed[i, p]
            place = candidate - block[0]
            if 0 <= place < block[1].shape[0] and candidate != rows[0][i]:
                value: Any = measure_closeness(rows[1][i], block[1][place], measure)
                insert(kept[0][i], kept[1][i], candidate, value)
