"""Sources of vectors: matrices in memory, in files, in Zarr and of Dask, read one block of rows at a time."""

from __future__ import annotations

import math
from os import PathLike, fspath
from typing import Any, Protocol, cast

import numpy as np
import scipy.sparse as sp

from novelty_dask.errors import InputError, SettingsError, reading_errors
from novelty_dask.execution.arrays import is_collection, read_part, row_parts, transposed
from novelty_dask.planning.vector_sizes import PREPARED_BYTES
from novelty_dask.storage.matrices import StoredMatrix, is_stored, open_matrix
from novelty_dask.vectors.column_files import COLUMN_FILES
from novelty_dask.vectors.files import load_archive, map_array
from novelty_dask.vectors.forms import check_form
from novelty_dask.vectors.list_columns import ListColumn

BLOCK_BYTES = 2**27
"""Bytes of a block of dense rows, prepared, where nobody says how many rows it has."""
PREPARING_BYTES = 44
"""Most bytes of a value of two blocks while the second is prepared."""
BLOCK_ROWS = 65_536
"""Most rows of such a block."""


class VectorSource(Protocol):
    """Rows in blocks.

    Attributes
    ----------
    n_blocks : int
        Number of blocks.
    block_bytes : int
        Bytes that two blocks take while they are prepared; 0 where that is not known.
    """

    block_bytes: int

    @property
    def n_blocks(self) -> int: ...  # noqa: D102 - as above

    def read(self, block: int) -> Any:
        """Return the rows of a block: a csr_matrix, or an ndarray."""
        ...


class MatrixSource:
    """Source of a matrix that gives any of its rows.

    Parameters
    ----------
    matrix : object
        Of two dimensions, with `shape`, and either sliced or with a method `read` for rows.
    block_rows : int, optional
        Rows of a block; as many as `BLOCK_BYTES` hold by default.

    Attributes
    ----------
    matrix : object
    is_sparse : bool
        True if its rows are sparse.
    """

    def __init__(self, matrix: Any, block_rows: int | None = None) -> None:
        self.matrix = matrix
        self._block_rows = block_rows or _choose_rows(matrix)
        held = min(self._block_rows, matrix.shape[0]) * matrix.shape[1]
        self.is_sparse = _is_sparse(matrix)
        self.block_bytes = 0 if self.is_sparse else PREPARING_BYTES * held

    @property
    def dtype(self) -> Any:
        """Type of its values, by the first row where nothing else tells."""
        matrix = self.matrix.matrix if isinstance(self.matrix, Columns) else self.matrix
        dtype: Any = getattr(matrix, "dtype", None)
        return np.dtype(dtype or _read_rows(matrix, 0, min(1, matrix.shape[0])).dtype)

    @property
    def held_bytes(self) -> int:
        """Most bytes that are held to read any rows: of a file that is loaded, or of parts that it has."""
        is_by_columns = isinstance(self.matrix, Columns)
        matrix = self.matrix.matrix if is_by_columns else self.matrix
        held = getattr(matrix, "held_bytes", 0)
        if hasattr(matrix, "chunks"):
            # Stored and decoded.
            held = 2 * math.prod(matrix.chunks) * matrix.dtype.itemsize
        elif isinstance(matrix, np.ndarray) and not isinstance(matrix, np.memmap):
            held = 2 * matrix.nbytes
        return int(held) + BLOCK_BYTES * is_by_columns

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return int(-(-self.matrix.shape[0] // self._block_rows))

    def read(self, block: int) -> Any:
        """Return the rows of a block."""
        start = block * self._block_rows
        return _read_rows(self.matrix, start, min(start + self._block_rows, self.matrix.shape[0]))


class Columns:
    """The columns of a matrix as rows; the matrix is never transposed as a whole.

    Parameters
    ----------
    matrix : object
        As for `MatrixSource`.

    Attributes
    ----------
    matrix : object
    shape : (int, int)
    is_sparse : bool
        True if rows are sparse.
    """

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix
        self.shape = matrix.shape[1], matrix.shape[0]
        self.is_sparse = _is_sparse(matrix)

    def read(self, start: int, stop: int) -> Any:
        """Return some columns as rows."""
        step = _choose_rows(self.matrix)
        stretches = [(first, min(first + step, self.shape[1])) for first in range(0, self.shape[1], step)]
        parts = [_read_rows(self.matrix, *stretch, slice(start, stop)).T for stretch in stretches]
        if any(map(sp.issparse, parts)):
            return sp.hstack(parts, format="csr")
        return np.hstack(parts) if parts else np.empty((stop - start, 0))


class DaskSource:
    """Source of the blocks of a Dask array; each is computed whenever it is read.

    Parameters
    ----------
    array : dask.array.Array
        Of dense or sparse blocks.
    """

    block_bytes = 0

    def __init__(self, array: Any) -> None:
        self._parts = row_parts(array)

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self._parts)

    def read(self, block: int) -> Any:
        """Return the rows of a block."""
        # Not kept: all blocks together may be more than memory holds.  Who has the memory persists the array.
        return _as_rows(read_part(self._parts[block]))


def open_vectors(
    X: Any, block_rows: int | None = None, *, axis: int = 0, column: str | None = None
) -> VectorSource:
    """Return the source of what a user names or has.

    Parameters
    ----------
    X : ndarray, sparse matrix, dask.array.Array, zarr.Array, zarr.Group, str or path
    block_rows : int, optional
        Rows of a block, where these can be chosen.
    axis : int
        0 for rows, 1 for columns.
    column : str, optional
        Column of lists of a file, or array of an archive.

    Raises
    ------
    InputError
        It is none of these, or can't be read.
    SettingsError
        A column is named where there is none to choose from.
    """
    has_columns = isinstance(X, str | PathLike) and fspath(X).endswith((*COLUMN_FILES, ".npz"))
    if column is not None and not has_columns:
        message = f"column is {column!r}, and X has no columns to choose from; leave it out."
        raise SettingsError(message)
    if is_collection(X):
        return DaskSource(transposed(X) if axis else X)
    matrix = _open(X, column)
    check_form(len(matrix.shape), np.dtype(getattr(matrix, "dtype", float)))
    if not axis:
        return MatrixSource(_by_rows(matrix), block_rows)
    # The transpose of a matrix that is stored by columns is stored by rows, in the same arrays.
    is_by_columns = getattr(matrix, "format", "") == "csc"
    return MatrixSource(_by_rows(matrix.T) if is_by_columns else Columns(_by_rows(matrix)), block_rows)


def _open(X: Any, column: str | None) -> Any:
    """Return a matrix that gives any of its rows."""
    if sp.issparse(X) or isinstance(X, np.ndarray):
        return X
    if is_stored(X):
        return open_matrix(X)
    if not isinstance(X, str | PathLike):
        message = (
            f"X is {type(X).__name__}; pass an array of NumPy, Dask or Zarr, a sparse matrix of SciPy, or "
            "the path of an .npy, .npz, Parquet or Arrow file, or of a Zarr array or group."
        )
        raise InputError(message)
    name = fspath(X)
    if name.endswith(".npy"):
        return map_array(name)
    if name.endswith(".npz"):
        return load_archive(name, column)
    return ListColumn(name, column) if name.endswith(COLUMN_FILES) else open_matrix(name)


def _by_rows(matrix: Any) -> Any:
    """Return a sparse matrix by rows, and any other as it is."""
    return matrix if not sp.issparse(matrix) else cast("Any", sp.csr_matrix)(matrix)


def _as_rows(block: Any) -> Any:
    """Return a block as a csr_matrix, or an ndarray."""
    return _by_rows(block) if sp.issparse(block) else np.asarray(block)


def _choose_rows(matrix: Any) -> int:
    """Return how many rows a block has if nobody says."""
    n_held = BLOCK_BYTES // (PREPARED_BYTES * max(1, matrix.shape[1]))
    return BLOCK_ROWS if _is_sparse(matrix) else max(1, min(BLOCK_ROWS, n_held))


def _is_sparse(matrix: Any) -> bool:
    """Return whether the rows of a matrix are sparse."""
    return sp.issparse(matrix) or isinstance(matrix, StoredMatrix) or getattr(matrix, "is_sparse", False)


def _read_rows(matrix: Any, start: int, stop: int, columns: slice = slice(None)) -> Any:
    """Return some rows, or some columns of them: a csr_matrix, or an ndarray."""
    with reading_errors(f"Can't read rows {start:,} to {stop - 1:,} of X"):
        if hasattr(matrix, "read"):
            rows = matrix.read(start, stop)
            return rows if columns == slice(None) else rows[:, columns]
        # Of what is stored in chunks, those that have the columns alone.
        return _as_rows(matrix[start:stop, columns])
