"""Directories of the columns that occur in a tile, which are few of those of the corpus.

A corpus has up to millions of columns, most of them of a few rows, and a tile has some ten thousands of them.
A number for each column of the corpus would be megabytes a tile, and each look-up a line of memory that no
near cache holds.  So a tile numbers its own columns.  The number of a column is how many before it occur: a
bit for each column of the corpus, counted up to each word of 64 bits, and the bits before it in its word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from novelty_dask.kernels.accelerate import compiled, compiled_loop
from novelty_dask.kernels.search.simd import count_bits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.kernels.search.bounds import Rows


@compiled
def list_columns(
    rows: Rows, distinct: NDArray[np.int32], n_columns: int
) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Return the columns that some rows have.

    Parameters
    ----------
    rows : Rows
        All rows of a block.
    distinct : ndarray, int32
        Numbers of those that are looked at.
    n_columns : int
        Columns of the corpus.

    Returns
    -------
    occurring : ndarray of shape (n_columns // 64 + 1,), uint64
        A bit for each column, set if a row has it.
    before : ndarray of shape (n_columns // 64 + 2,), int32
        How many columns occur before each word of 64 of them; the last is how many occur.
    """
    one = np.uint64(1)
    occurring = np.zeros(n_columns // 64 + 1, np.uint64)
    for i in distinct:
        for p in range(rows.indptr[i], rows.indptr[i + 1]):
            column = np.uint64(rows.indices[p])
            occurring[column >> np.uint64(6)] |= one << (column & np.uint64(63))
    return occurring, count_before(occurring)


@compiled
def count_before(occurring: NDArray[np.uint64]) -> NDArray[np.int32]:
    """Return how many columns occur before each word of 64; the last is how many occur."""
    before = np.zeros(occurring.size + 1, np.int32)
    for word in range(occurring.size):
        before[word + 1] = before[word] + np.int32(count_bits(occurring[word]))
    return before


@compiled_loop
def number_column(
    occurring: NDArray[np.uint64], before: NDArray[np.int32], column: np.uint64
) -> tuple[np.uint64, np.uint64]:
    """Return how many columns before one occur, which is its number if it occurs; and 1 if it does, or 0."""
    word, bit = column >> np.uint64(6), column & np.uint64(63)
    bits = occurring[word]
    earlier = bits & ((np.uint64(1) << bit) - np.uint64(1))
    return np.uint64(before[word]) + count_bits(earlier), bits >> bit & np.uint64(1)
