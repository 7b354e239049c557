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
    def checked(cls, indptr: NDArray[np.int64], indices: NDArray[np.int32], n_columns: int) -> Self:
        """Return columns whose rows lie inside their arrays, and all below a number.

        Raises
        ------
        ValueError
            They do not, so that compiled code would touch memory of others.
        """
        if indptr[0] != 0 or indptr[-1] != indices.size or (np.diff(indptr) < 0).any():
            message = "The rows of a sparse block do not lie one after the other in it."
            raise ValueError(message)
        if indices.min(initial=0) < 0 or indices.max(initial=0) >= n_columns:
            message = f"A sparse block has a column that is not one of {n_columns:,}."
            raise ValueError(message)
        return cls(indptr, indices)


class Coverage(NamedTuple):
    """Rows with their neighbors, and what is covered of them so far.

    Parameters
    ----------
    columns : Columns
        Of the rows.
    neighbors : ndarray of shape (rows, k), int64
        Ids of the neighbors; -1 where there is none.
    is_covered : ndarray of shape (nnz + rows,), bool
        True for each non-zero whose column a neighbor has.  A slot for all other columns precedes those of
        each row.
    left : ndarray of shape (rows,), int64
        Non-zeros of each row that are not covered.
    """

    columns: Columns
    neighbors: NDArray[np.int64]
    is_covered: NDArray[np.bool_]
    left: NDArray[np.int64]

    @classmethod
    def start(cls, columns: Columns, neighbors: NDArray[np.int64]) -> Self:
        """Return rows, nothing of them covered yet."""
        n_slots = columns.indices.size + len(neighbors)
        return cls(columns, neighbors, np.zeros(n_slots, np.bool_), np.diff(columns.indptr))


@compiled_loop
def cover(coverage: Coverage, candidates: Columns, start: int, places: NDArray[np.int32]) -> None:
    """Cover rows by those of their neighbors that are among some consecutive rows, in place.

    Parameters
    ----------
    coverage : Coverage
    candidates : Columns
        Of the consecutive rows.
    start : int
        Id of the first of them.
    places : ndarray of shape (n_columns,), int32
        All zero, before and after: the place of each column in the row that is looked at, from 1.
    """
    n_candidates = candidates.indptr.size - 1
    for i in range(coverage.neighbors.shape[0]):
        is_placed = False
        for p in range(coverage.neighbors.shape[1]):
            j = coverage.neighbors[i, p] - start
            if coverage.left[i] > 0 and 0 <= j < n_candidates:
                if not is_placed:
                    _place_row(coverage.columns, i, places)
                    is_placed = True
                _cover_row(coverage, i, candidates, j, places)
        if is_placed:
            coverage.left[i] = _clear_row(coverage, i, places)


@compiled_loop
def _place_row(columns: Columns, i: int, places: NDArray[np.int32]) -> None:
    """Write the places of the columns of a row."""
    start = columns.indptr[i]
    for p in range(start, columns.indptr[i + 1]):
        places[columns.indices[p]] = p - start + 1


@compiled_loop
def _cover_row(coverage: Coverage, i: int, candidates: Columns, j: int, places: NDArray[np.int32]) -> None:
    """Cover the columns of a row that a candidate has."""
    first = coverage.columns.indptr[i] + i
    for q in range(candidates.indptr[j], candidates.indptr[j + 1]):
        # Without a branch, which nobody could predict: other columns fall into the slot before the row's.
        coverage.is_covered[first + places[candidates.indices[q]]] = True


@compiled_loop
def _clear_row(coverage: Coverage, i: int, places: NDArray[np.int32]) -> int:
    """Make places all zero again; return the number of columns of the row that are not covered."""
    n_left = 0
    for p in range(coverage.columns.indptr[i], coverage.columns.indptr[i + 1]):
        places[coverage.columns.indices[p]] = 0
        n_left += not coverage.is_covered[p + i + 1]
    return n_left


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
    is_covered : ndarray of shape (nnz + rows,), bool
        As in `Coverage`.
    shares : ndarray of shape (rows,), float64
        Written: 0 to 1; NaN for a row without columns.
    """
    for i in range(shares.size):
        total, left = 0.0, 0.0
        for p in range(indptr[i], indptr[i + 1]):
            square = np.float64(data[p]) * np.float64(data[p])
            total += square
            if not is_covered[p + i + 1]:
                left += square
        shares[i] = left / total if total > 0 else np.nan
