"""Coverage: the part of each row that none of its neighbors has.

A column of a row is covered if one of its neighbors has it, too.  Neighbors come a block at a time, in any
order: what is covered once stays covered.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop


class Columns(NamedTuple):
    """The columns of consecutive rows: those of a CSR matrix, without its values.

    Parameters
    ----------
    indptr : ndarray of shape (rows + 1,), int64
        Where each row begins.
    indices : ndarray of shape (nnz,), int32
        Columns, ascending in each row.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]

    @classmethod
    def checked(cls, indptr: NDArray[np.int64], indices: NDArray[np.int32]) -> Self:
        """Return columns whose rows lie inside their arrays.

        Raises
        ------
        ValueError
            They do not, so that compiled code would read memory of others.
        """
        if indptr[0] != 0 or indptr[-1] != indices.size or (np.diff(indptr) < 0).any():
            message = "The rows of a sparse block do not lie one after the other in it."
            raise ValueError(message)
        return cls(indptr, indices)


class Coverage(NamedTuple):
    """Rows with their neighbors, and the non-zeros that are covered so far.

    Parameters
    ----------
    columns : Columns
        Of the rows.
    neighbors : ndarray of shape (rows, k), int64
        Ids of the neighbors; -1 where there is none.
    is_covered : ndarray of shape (nnz,), bool
        True for each non-zero whose column a neighbor has.
    left : ndarray of shape (rows,), int64
        Non-zeros of each row that are not covered.
    """

    columns: Columns
    neighbors: NDArray[np.int64]
    is_covered: NDArray[np.bool_]
    left: NDArray[np.int64]

    @classmethod
    def start(cls, columns: Columns, neighbors: NDArray[np.int64]) -> Self:
        """Return rows whose features are all uncovered yet."""
        return cls(columns, neighbors, np.zeros(columns.indices.size, np.bool_), np.diff(columns.indptr))


@compiled_loop
def cover(coverage: Coverage, candidates: Columns, start: int) -> None:
    """Cover rows by those of their neighbors that are among some consecutive rows, in place.

    Parameters
    ----------
    coverage : Coverage
    candidates : Columns
        Of the consecutive rows.
    start : int
        Id of the first of them.
    """
    rows, others = coverage.columns, candidates
    n_candidates = others.indptr.size - 1
    for i in range(coverage.neighbors.shape[0]):
        a, b = rows.indptr[i], rows.indptr[i + 1]
        for p in range(coverage.neighbors.shape[1]):
            if coverage.left[i] == 0:
                break
            j = coverage.neighbors[i, p] - start
            if 0 <= j < n_candidates:
                other = others.indices[others.indptr[j] : others.indptr[j + 1]]
                coverage.left[i] -= _cover_row(rows.indices[a:b], coverage.is_covered[a:b], other)


@compiled_loop
def _cover_row(indices: NDArray[np.int32], is_covered: NDArray[np.bool_], other: NDArray[np.int32]) -> int:
    """Cover the columns that another row has; return the number of those that were not covered before."""
    p, q, n_new = 0, 0, 0
    while p < indices.size and q < other.size:
        column, there = indices[p], other[q]
        if column == there:
            n_new += not is_covered[p]
            is_covered[p] = True
        # Without branches, which nobody could predict: both move on where the columns are the same.
        p += column <= there
        q += there <= column
    return n_new


@compiled_loop
def uncovered_shares(
    indptr: NDArray[np.int64],
    data: NDArray[np.float32],
    is_covered: NDArray[np.bool_],
    shares: NDArray[np.float64],
) -> None:
    """Write the share of each row's squared weight that is not covered.

    Both sums run in float64 and in the order of columns, so that a share is the same bytes however rows are
    cut into blocks, and in whatever order neighbors came.

    Parameters
    ----------
    indptr, data : ndarray
        Rows of a CSR matrix.
    is_covered : ndarray of shape (nnz,), bool
    shares : ndarray of shape (rows,), float64
        Written: 0 to 1; NaN for a row without columns.
    """
    for i in range(shares.size):
        total, left = 0.0, 0.0
        for p in range(indptr[i], indptr[i + 1]):
            square = np.float64(data[p]) * np.float64(data[p])
            total += square
            if not is_covered[p]:
                left += square
        shares[i] = left / total if total > 0 else np.nan
