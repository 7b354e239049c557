"""Postings: all rows of a corpus by column, for one row at a time that is compared with all of them.

Sums run in float64 and in ascending order of columns, as those of `similarity` do, and so they are the same
bytes.  Columns that a row of the corpus lacks are left out of its sum, where `similarity` adds 0 for them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.neighbors import insert
from novelty_dask.kernels.search.bounds import SMALLEST


class Postings(NamedTuple):
    """Rows of a corpus by column; they may lie in files that are mapped into memory.

    Parameters
    ----------
    starts : ndarray of shape (n_columns + 1,), int64
        Where each column begins in the other arrays.
    rows : ndarray of shape (nnz,), int32
        Rows that have the column, ascending.
    weights : ndarray of shape (nnz,), float32
        Their weights.
    """

    starts: NDArray[np.int64]
    rows: NDArray[np.int32]
    weights: NDArray[np.float32]


@compiled_loop
def fill_postings(
    indptr: NDArray[np.int32],
    indices: NDArray[np.int32],
    data: NDArray[np.float32],
    row_start: int,
    ends: NDArray[np.int64],
    postings: Postings,
) -> bool:
    """Put the next rows of a corpus into postings, in place.

    Parameters
    ----------
    indptr, indices, data : ndarray
        The rows, as of a CSR matrix.
    row_start : int
        Number of the first of them.
    ends : ndarray of shape (n_columns,), int64
        Where each column goes on; moved.
    postings : Postings

    Returns
    -------
    bool
        False if a column has more rows than there is room for.
    """
    for i in range(indptr.size - 1):
        for p in range(indptr[i], indptr[i + 1]):
            column = indices[p]
            at = ends[column]
            if at >= postings.starts[column + 1]:
                return False
            postings.rows[at] = row_start + i
            postings.weights[at] = data[p]
            ends[column] = at + 1
    return True


@compiled_loop
def search_postings(
    columns: NDArray[np.int64],
    values: NDArray[np.float32],
    postings: Postings,
    sums: NDArray[np.float64],
    ids: NDArray[np.int64],
    similarities: NDArray[np.float32],
) -> None:
    """Put the neighbors of one row into `ids` and `similarities`, in place.

    Parameters
    ----------
    columns : ndarray of shape (nnz,), int64
        Columns of the row, ascending.
    values : ndarray of shape (nnz,), float32
        Its weights, of unit norm together with those in columns that the corpus lacks.
    postings : Postings
        Of the corpus.
    sums : ndarray of shape (rows,), float64
        All zero, before and afterwards.
    ids, similarities : ndarray of shape (k,), int64 and float32
        As of `Neighbors.empty`.
    """
    for q in range(columns.size):
        value = np.float64(values[q])
        for at in range(postings.starts[columns[q]], postings.starts[columns[q] + 1]):
            sums[postings.rows[at]] += value * np.float64(postings.weights[at])
    for row in range(sums.size):
        rounded = np.float32(min(sums[row], 1.0))
        sums[row] = 0.0
        # Rows come in the order of their ids: of equally similar ones, the first stays.
        if rounded >= SMALLEST and rounded > similarities[-1]:
            insert(ids, similarities, row, rounded)
