"""Consecutive rows of a corpus with everything that comparing them needs.

As the *row* side of a comparison a block is its CSR arrays with suffix norms.  As the *candidate* side it is
also cut into cache tiles: inverted lists of so few rows that one float32 accumulator for each stays in the
cache, with 16-bit row numbers.  The tiles are made when they are first asked for.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from novelty_dask.kernels.bounds import MOST_NONZEROS, suffix_norms

TILE_ROWS = 16_384
"""Rows of a cache tile: 64 KiB of accumulators, the fastest size measured."""

LARGEST_TILE = 1 << 16
"""Rows that 16 bits can number."""

UNIT_TOLERANCE = 1e-4
"""How far the squared norm of a row may be from 1; float32 rounding stays far below."""


class Rows(NamedTuple):
    """CSR arrays of rows, with the norms and starts of their suffixes.

    Parameters
    ----------
    indptr : ndarray of shape (rows + 1,), int64
    indices : ndarray of shape (nnz,), int32
        Ascending in each row.
    data : ndarray of shape (nnz,), float32
    norms : ndarray of shape (rows, levels), float32
        Suffix norms, rounded up.
    starts : ndarray of shape (rows, levels), uint16 or uint32
        Non-zeros of each row before each break-point.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    data: NDArray[np.float32]
    norms: NDArray[np.float32]
    starts: NDArray[np.uint16] | NDArray[np.uint32]


class Tile(NamedTuple):
    """Inverted lists of some rows of a block.

    Parameters
    ----------
    first : int
        Number of the first row of the tile in its block.
    indptr : ndarray of shape (n_columns + 1,), int32
        Where the list of each column starts.
    ids : ndarray of shape (nnz,), uint16
        Rows in the tile.
    values : ndarray of shape (nnz,), float32
    norms : ndarray of shape (levels, rows), float32
        Suffix norms of the rows of the tile.
    highest : ndarray of shape (levels,), float32
        Largest of them.
    """

    first: int
    indptr: NDArray[np.int32]
    ids: NDArray[np.uint16]
    values: NDArray[np.float32]
    norms: NDArray[np.float32]
    highest: NDArray[np.float32]


@dataclass(frozen=True)
class Block:
    """Consecutive rows, ready to be compared; made by `prepare`.

    Parameters
    ----------
    rows : Rows
        Forward arrays.
    n_columns : int
        Columns of the corpus.
    tile_rows : int
        Rows of a cache tile.
    """

    rows: Rows
    n_columns: int
    tile_rows: int

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.rows.indptr.size - 1

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays that exist now: the tiles count once they have been made."""
        tiles: list[Tile] = self.__dict__.get("tiles", [])
        arrays = (array for part in (self.rows, *tiles) for array in part if isinstance(array, np.ndarray))
        return sum(array.nbytes for array in arrays)

    @cached_property
    def tiles(self) -> list[Tile]:
        """Cache tiles in the order of their rows."""
        return [self._tile(first) for first in range(0, self.n_rows, self.tile_rows)]

    def _tile(self, first: int) -> Tile:
        """Invert the rows from `first` on."""
        last = min(first + self.tile_rows, self.n_rows)
        a, b = self.rows.indptr[first], self.rows.indptr[last]
        forward = (self.rows.data[a:b], self.rows.indices[a:b], self.rows.indptr[first : last + 1] - a)
        lists = sp.csr_matrix(forward, shape=(last - first, self.n_columns)).tocsc()
        norms = np.ascontiguousarray(self.rows.norms[first:last].T)
        ids = lists.indices.astype(np.uint16)
        return Tile(first, lists.indptr.astype(np.int32), ids, lists.data, norms, norms.max(axis=1))


def prepare(X: sp.csr_matrix, cuts: NDArray[np.int32], *, tile_rows: int = TILE_ROWS) -> Block:
    """Derive from consecutive rows of a corpus what comparing them needs.

    Parameters
    ----------
    X : csr_matrix of shape (rows, n_columns), float32
        Columns in the order of `order_columns`, ascending in each row.  Values are finite and not
        negative; each row has L2 norm 1 or is zero.
    cuts : ndarray of shape (levels,), int32
        Break-points of `Columns`; the last is n_columns.
    tile_rows : int
        Rows of a cache tile, at most 65,536.  Changes speed, never results.

    Returns
    -------
    Block

    Raises
    ------
    ValueError
        If `X` or `cuts` is not as described.
    """
    _check_shape(X, cuts, tile_rows)
    indptr, indices = X.indptr.astype(np.int64), X.indices.astype(np.int32, copy=False)
    _check_rows(indptr, indices, X.data)
    norms, starts = suffix_norms(indptr, indices, X.data, cuts)
    short = starts.max(initial=0) <= np.iinfo(np.uint16).max
    rows = Rows(indptr, indices, X.data, norms, starts.astype(np.uint16) if short else starts)
    return Block(rows, X.shape[1], tile_rows)


def _check_shape(X: sp.csr_matrix, cuts: NDArray[np.int32], tile_rows: int) -> None:
    """Refuse another type of matrix, break-points that don't fit it, and tiles that 16 bits can't number."""
    if X.format != "csr" or X.dtype != np.float32:
        raise ValueError(f"X is a {X.format} matrix of {X.dtype}; pass a csr_matrix of float32.")
    if not cuts.size or np.any(np.diff(cuts) <= 0) or cuts[0] < 0 or cuts[-1] != X.shape[1]:
        raise ValueError(f"cuts must ascend and end with the number of columns, {X.shape[1]}.")
    if not 0 < tile_rows <= LARGEST_TILE:
        raise ValueError(f"tile_rows is {tile_rows}; it must be from 1 to {LARGEST_TILE:,}.")


def _check_rows(indptr: NDArray[np.int64], indices: NDArray[np.int32], data: NDArray[np.float32]) -> None:
    """Refuse rows for which the bounds would not hold."""
    nonzeros = np.diff(indptr)
    if nonzeros.max(initial=0) > MOST_NONZEROS:
        raise ValueError(
            f"A row has {nonzeros.max():,} non-zeros; at most {MOST_NONZEROS:,} can be compared."
        )
    descending = np.flatnonzero(np.diff(indices) <= 0) + 1
    if not np.isin(descending, indptr).all():
        raise ValueError("The columns of a row don't ascend; call sum_duplicates on X.")
    if data.size and not (data.min() >= 0 and np.isfinite(data.max())):
        raise ValueError("X has a negative or non-finite value; similarities need weights of at least 0.")
    squares = np.concatenate([[0.0], np.cumsum(data.astype(np.float64) ** 2)])
    lengths = np.diff(squares[indptr])
    if np.any((lengths > 0) & (np.abs(lengths - 1) > UNIT_TOLERANCE)):
        raise ValueError("A row of X is neither zero nor of L2 norm 1; normalize the rows.")
