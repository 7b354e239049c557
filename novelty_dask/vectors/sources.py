"""Sources of vectors: matrices in memory, in files, in Zarr and of Dask, read one block of rows at a time."""

from __future__ import annotations

import zipfile
from os import PathLike, fspath
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from novelty_dask.errors import InputError, reason
from novelty_dask.execution.arrays import is_collection, read_part, row_parts
from novelty_dask.storage.matrices import StoredMatrix


class VectorSource(Protocol):
    """Rows in blocks.

    Attributes
    ----------
    n_blocks : int
        Number of blocks.
    """

    @property
    def n_blocks(self) -> int: ...  # noqa: D102 - as above

    def read(self, block: int) -> sp.csr_matrix:
        """Return the rows of a block."""
        ...


class MatrixSource:
    """Source of a matrix that gives any of its rows.

    Parameters
    ----------
    matrix : csr_matrix or StoredMatrix
    block_rows : int
        Rows of a block.
    """

    def __init__(self, matrix: Any, block_rows: int) -> None:
        self._matrix = matrix
        self._block_rows = block_rows

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return int(-(-self._matrix.shape[0] // self._block_rows))

    def read(self, block: int) -> sp.csr_matrix:
        """Return the rows of a block."""
        start = block * self._block_rows
        stop = min(start + self._block_rows, self._matrix.shape[0])
        if isinstance(self._matrix, StoredMatrix):
            return self._matrix.read(start, stop)
        return sp.csr_matrix(self._matrix[start:stop])


class DaskSource:
    """Source of the blocks of a Dask array; each is computed whenever it is read.

    Parameters
    ----------
    array : dask.array.Array
        Of sparse blocks, or of others that can be made sparse.
    """

    def __init__(self, array: Any) -> None:
        self._parts = row_parts(array)

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return len(self._parts)

    def read(self, block: int) -> sp.csr_matrix:
        """Return the rows of a block."""
        # Not kept: all blocks together may be more than memory holds.  Who has the memory persists the array.
        return sp.csr_matrix(read_part(self._parts[block]))


def open_vectors(X: Any, block_rows: int) -> VectorSource:
    """Return the source of what a user names or has.

    Parameters
    ----------
    X : sparse matrix, dask.array.Array, zarr.Group, str or path
    block_rows : int
        Rows of a block, where these can be chosen.

    Raises
    ------
    InputError
        It is none of these, or can't be read.
    """
    if sp.issparse(X):
        rows: Any = X
        return MatrixSource(sp.csr_matrix(rows), block_rows)
    if is_collection(X):
        return DaskSource(X)
    if isinstance(X, np.ndarray):
        # Not made sparse in silence: that would take more memory, and another engine is faster.
        message = "X is a dense array; use ExactNeighborsTransformer, or pass a sparse matrix."
        raise InputError(message)
    if isinstance(X, str | PathLike):
        name = fspath(X)
        return MatrixSource(_load(name) if name.endswith(".npz") else StoredMatrix(name), block_rows)
    if hasattr(X, "attrs") and hasattr(X, "group_keys"):
        return MatrixSource(StoredMatrix(X), block_rows)
    message = (
        f"X is {type(X).__name__}; pass a sparse matrix of SciPy, a Dask array, or the path of an .npz file "
        "or of a Zarr group."
    )
    raise InputError(message)


def _load(name: str) -> Any:
    """Return the matrix of a file that `scipy.sparse.save_npz` wrote."""
    try:
        # It loads no pickles, so that a file of somebody else's runs nothing.
        matrix = sp.csr_matrix(sp.load_npz(name))
        matrix.check_format(full_check=True)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        message = f"Can't read a sparse matrix from {name!r}: {reason(error)}."
        raise InputError(message) from None
    return matrix
