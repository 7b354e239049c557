"""Blocks of vectors, checked: what can't be compared is refused by the number of its row."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from novelty_dask.errors import InputError
from novelty_dask.kernels.text.tfidf import document_frequency
from novelty_dask.vectors.forms import check_form

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.engines.dense import Metric
    from novelty_dask.vectors.sources import VectorSource

MOST_COLUMNS = 2**31 - 2
MOST_NAMED = 5
"""Rows of zeros that a warning names."""


class CheckedBlocks:
    """Blocks of a source; each is read once and checked before any is searched.

    Parameters
    ----------
    source : VectorSource
    metric : {"cosine", "euclidean", "inner_product"}

    Attributes
    ----------
    n_blocks : int
        Number of blocks.
    starts : list of int
        Numbers of the first rows of the blocks, and the number of all rows.
    is_sparse : bool
        True if blocks are sparse.
    n_columns : int
        Number of columns.
    frequency : ndarray of int64
        Rows that have each column, of sparse blocks.

    Raises
    ------
    InputError
        Rows can't be compared.
    """

    def __init__(self, source: VectorSource, metric: Metric) -> None:
        self._source = source
        self._is_cosine = metric == "cosine"
        self.n_blocks = source.n_blocks
        self.starts = [0]
        self.is_sparse = False
        self.frequency = np.zeros(0, np.int64)
        self.n_columns = 0
        zeros = [self._survey(block) for block in range(self.n_blocks)]
        # Of sparse rows their missing neighbors tell.
        if self._is_cosine and zeros and not self.is_sparse:
            _warn_of_zeros(np.concatenate(zeros))

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.starts[-1]

    def read(self, block: int) -> Any:
        """Return the rows of a block, as an engine takes them: a csr_matrix, or an ndarray of float64."""
        X = self._source.read(block)
        check_form(X.ndim, X.dtype)
        if sp.issparse(X):
            # By cosine, sparse rows are searched by bounds that need products from 0 on.
            return _check_sparse(X, self.starts[block], is_signed=not self._is_cosine)
        return _check_dense(X, self.starts[block])

    def _survey(self, block: int) -> NDArray[np.int64]:
        """Count what the search has to know of a block; return which of its rows are zeros."""
        X = self.read(block)
        is_sparse = sp.issparse(X)
        if not block:
            # The first block tells: a Dask array may not know how many columns it has, nor of what kind.
            self.is_sparse, self.n_columns = is_sparse, X.shape[1]
        if X.shape[1] > MOST_COLUMNS:
            message = f"X has {X.shape[1]:,} columns; pass at most {MOST_COLUMNS:,}."
            raise InputError(message)
        if (is_sparse, X.shape[1]) != (self.is_sparse, self.n_columns):
            kinds = ("dense", "sparse")
            message = (
                f"Block {block} is {kinds[is_sparse]} with {X.shape[1]:,} columns, and those before it are "
                f"{kinds[self.is_sparse]} with {self.n_columns:,}; pass blocks that are alike."
            )
            raise InputError(message)
        if is_sparse:
            self.frequency = document_frequency(X) + (self.frequency if block else 0)
        zeros = self.n_rows + np.flatnonzero(np.diff(X.indptr) == 0 if is_sparse else ~X.any(axis=1))
        self.starts.append(self.n_rows + X.shape[0])
        return zeros


def _warn_of_zeros(rows: NDArray[np.int64]) -> None:
    """Name rows of zeros."""
    if rows.size:
        named = ", ".join(f"{row:,}" for row in rows[:MOST_NAMED])
        named += ", ..." * (rows.size > MOST_NAMED)
        message = f"Rows of zeros have no direction, so their cosines are 0: {rows.size:,} rows, {named}."
        warnings.warn(message, stacklevel=4)


def _check_dense(values: Any, start: int) -> NDArray[np.float64]:
    """Return rows in float64, which may be the array itself."""
    rows = np.asarray(values, np.float64)
    is_finite = np.isfinite(rows)
    if not is_finite.all():
        _refuse(start + int(np.argmin(is_finite.all(axis=1))))
    return rows


def _check_sparse(X: Any, start: int, *, is_signed: bool) -> sp.csr_matrix:
    """Return sparse rows, each column once in a row and without zeros, in arrays of their own."""
    # What Dask or the user holds in memory is not to be changed.
    rows = sp.csr_matrix(X, copy=True)
    is_finite = np.isfinite(rows.data)
    if not is_finite.all():
        _refuse(start + _row_of(rows, int(np.argmin(is_finite))))
    if not is_signed and rows.data.min(initial=0) < 0:
        message = (
            f"Row {start + _row_of(rows, int(np.argmin(rows.data))):,} of X has a negative value, and bounds "
            "of the cosines of sparse rows need values from 0 on; use ExactNeighborsTransformer."
        )
        raise InputError(message)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    return rows


def _row_of(X: sp.csr_matrix, place: int) -> int:
    """Return the row of a stored value."""
    return int(np.searchsorted(X.indptr, place, side="right")) - 1


def _refuse(row: int) -> None:
    """Refuse a row.

    Raises
    ------
    InputError
        Always.
    """
    message = f"Row {row:,} of X has NaN or an infinite value; fill it in, or leave the row out."
    raise InputError(message)
