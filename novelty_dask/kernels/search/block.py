"""Blocks: consecutive rows of a corpus with everything that comparing them needs.

On the side of the *rows* of a comparison, a block is its CSR arrays with suffix norms.  On the side of the
*candidates* it is also cut into inverted tiles, so small that the sums of a row with all rows of a tile stay
in the cache.  The tiles are made when they are first asked for.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.search.bounds import MOST_NONZEROS, Rows, suffix_norms
from novelty_dask.kernels.search.coarse import coarsen
from novelty_dask.kernels.search.equal_rows import Distinct
from novelty_dask.kernels.search.inverted import InvertedTile, find_distinct, invert_by_length
from novelty_dask.kernels.search.lists import Lists

TILE_ROWS = 16_384
"""Rows of an inverted tile: 32 KiB of 16-bit sums, the fastest size measured."""

LARGEST_TILE = 1 << 16
"""Rows of the largest tile that is allowed: its groups are numbered in 16 bits with room to spare."""

UNIT_TOLERANCE = 1e-4
"""How far the squared norm of a row may be from 1; float32 rounding stays far below."""

NO_TIMES = np.empty(0, np.int64)
"""Times of rows that are compared whatever their times."""

INVALID = (
    "",
    "The columns of a row don't ascend; call sum_duplicates on X.",
    "X has a negative or non-finite value; similarities need weights of at least 0.",
    "A row of X is neither zero nor of L2 norm 1; normalize the rows.",
)
"""Messages for what `_find_invalid` finds, by number."""


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
        Rows of an inverted tile.
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
        made = (part for name in ("distinct", "tiles", "levels") for part in self.__dict__.get(name, []))
        return sum(_count_bytes(part) for part in (self.rows, *made))

    @cached_property
    def distinct(self) -> list[Distinct]:
        """The distinct rows of each stretch of `tile_rows`, in the order of their rows."""
        starts = range(0, self.n_rows, self.tile_rows)
        return [find_distinct(self.rows, a, min(a + self.tile_rows, self.n_rows)) for a in starts]

    @cached_property
    def tiles(self) -> list[InvertedTile]:
        """Inverted tiles in the order of their rows."""
        tiles = (invert_by_length(self.rows, distinct, self.n_columns) for distinct in self.distinct)
        return [tile for some in tiles for tile in some]

    @cached_property
    def levels(self) -> list[Lists]:
        """Lists of the pieces of tiles, in their order; none of a single tile."""
        return coarsen([tile.lists for tile in self.tiles])


def prepare(
    X: sp.csr_matrix,
    breakpoints: NDArray[np.int32],
    *,
    tile_rows: int = TILE_ROWS,
    times: NDArray[np.int64] | None = None,
) -> Block:
    """Return consecutive rows of a corpus as a block.

    Parameters
    ----------
    X : csr_matrix of shape (rows, n_columns), float32
        Columns in the order of `order_columns`, ascending in each row.  Values are finite and not
        negative; each row has L2 norm 1 or is zero.
    breakpoints : ndarray of shape (levels,), int32
        Break-points of `Columns`; the last is n_columns.
    tile_rows : int
        Rows of an inverted tile, at most 65,536.  Changes speed, never results.
    times : ndarray of shape (rows,), int64, optional
        Times of the rows: those of a block with times have neighbors of earlier times alone.

    Returns
    -------
    Block

    Raises
    ------
    ValueError
        If `X` or `breakpoints` is not as described.
    """
    _check_matrix(X, breakpoints, tile_rows)
    indptr, indices = X.indptr.astype(np.int64), X.indices.astype(np.int32, copy=False)
    invalid = _find_invalid(indptr, indices, X.data)
    if invalid:
        raise ValueError(INVALID[invalid])
    norms, starts = suffix_norms(indptr, indices, X.data, breakpoints)
    # Nearly all rows are short: 2 bytes instead of 4 for each row and break-point.
    short = starts.max(initial=0) <= np.iinfo(np.uint16).max
    starts = starts.astype(np.uint16) if short else starts
    rows = Rows(indptr, indices, X.data, norms, starts, NO_TIMES if times is None else times)
    return Block(rows, X.shape[1], tile_rows)


def bare_rows(X: sp.csr_matrix, times: NDArray[np.int64] | None = None) -> Rows:
    """Return consecutive rows without the norms of their suffixes, as far as `search_near` needs them."""
    levels: tuple[NDArray[np.float32], NDArray[np.uint16]] = (
        np.empty((0, 0), np.float32),
        np.empty((0, 0), np.uint16),
    )
    indptr, indices = X.indptr.astype(np.int64), X.indices.astype(np.int32, copy=False)
    return Rows(indptr, indices, X.data, *levels, NO_TIMES if times is None else times)


def _check_matrix(X: sp.csr_matrix, breakpoints: NDArray[np.int32], tile_rows: int) -> None:
    """Refuse other types of matrix, break-points that don't fit it, rows too long, and tiles too large."""
    if X.format != "csr" or X.dtype != np.float32:
        raise ValueError(f"X is a {X.format} matrix of {X.dtype}; pass a csr_matrix of float32.")
    if (
        not breakpoints.size
        or np.any(np.diff(breakpoints) <= 0)
        or breakpoints[0] < 0
        or breakpoints[-1] != X.shape[1]
    ):
        raise ValueError(f"breakpoints must ascend and end with the number of columns, {X.shape[1]}.")
    longest = np.diff(X.indptr).max(initial=0)
    if longest > MOST_NONZEROS:
        raise ValueError(f"A row has {longest:,} non-zeros; at most {MOST_NONZEROS:,} can be compared.")
    if not 0 < tile_rows <= LARGEST_TILE:
        raise ValueError(f"tile_rows is {tile_rows}; it must be from 1 to {LARGEST_TILE:,}.")


def _count_bytes(part: object) -> int:
    """Return the bytes of all arrays in a tuple, and in the tuples that it holds."""
    if isinstance(part, tuple):
        return sum(map(_count_bytes, part))
    return part.nbytes if isinstance(part, np.ndarray) else 0


@compiled_loop
def _find_invalid(indptr: NDArray[np.int64], indices: NDArray[np.int32], data: NDArray[np.float32]) -> int:
    """Return the number of the first fault for which the bounds would not hold, 0 if there is none."""
    for i in range(indptr.size - 1):
        squares, previous = 0.0, -1
        for p in range(indptr[i], indptr[i + 1]):
            if indices[p] <= previous:
                return 1
            # Written so that NaN, which fails every comparison, is found too.
            if not (data[p] >= 0 and data[p] < np.inf):
                return 2
            previous = indices[p]
            squares += np.float64(data[p]) * np.float64(data[p])
        if squares > 0 and abs(squares - 1) > UNIT_TOLERANCE:
            return 3
    return 0
