"""Matrices in Zarr, sparse or dense, read some rows at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import zarr

from novelty_dask.errors import InputError, reason

PARTS = ("indptr", "indices", "data")


class StoredMatrix:
    """CSR matrix in a Zarr group, in the form of anndata: three arrays, and the attribute shape.

    Parameters
    ----------
    group : zarr.Group
        Read alone.
    name : str
        What it is called where it can't be read.

    Attributes
    ----------
    shape : (int, int)

    Raises
    ------
    InputError
        It is no such group.
    """

    def __init__(self, group: Any, name: str) -> None:
        try:
            self._indptr, self._indices, self._data = (_array(group, part) for part in PARTS)
            n_rows, n_columns = (int(size) for size in group.attrs["shape"])
        except (KeyError, ValueError, TypeError, OSError) as error:
            message = (
                f"{name!r} is no sparse matrix in Zarr ({reason(error)}); it has the arrays indptr, "
                "indices and data, and the attribute shape, as anndata writes them."
            )
            raise InputError(message) from None
        kind = group.attrs.get("encoding-type", "csr_matrix")
        # The arrays of a matrix of columns have the same names.
        if kind != "csr_matrix" or self._indptr.shape != (n_rows + 1,):
            message = f"{name!r} holds a {kind} of shape ({n_rows}, {n_columns}); store it in rows, as CSR."
            raise InputError(message)
        self.shape = n_rows, n_columns
        self.name = name

    def read(self, start: int, stop: int) -> sp.csr_matrix:
        """Return some rows.

        Raises
        ------
        InputError
            The arrays don't fit each other.
        """
        starts = np.asarray(self._indptr[start : stop + 1]).astype(np.int64)
        first, last = int(starts[0]), int(starts[-1])
        indices, data = np.asarray(self._indices[first:last]), np.asarray(self._data[first:last])
        try:
            X = sp.csr_matrix((data, indices, starts - first), shape=(stop - start, self.shape[1]))
            # Whoever wrote it may have made a mistake, and compiled loops trust what they get.
            X.check_format(full_check=True)
        except ValueError as error:
            message = f"The sparse matrix {self.name!r} is damaged from row {start} on: {reason(error)}."
            raise InputError(message) from None
        return X


def is_stored(X: Any) -> bool:
    """Return whether something is an array or a group of Zarr."""
    return isinstance(X, zarr.Array | zarr.Group)


def open_matrix(X: Any) -> Any:
    """Return the matrix of a Zarr group, or the array itself, which has rows of numbers.

    Parameters
    ----------
    X : zarr.Array, zarr.Group, str or path

    Raises
    ------
    InputError
        There is neither.
    """
    opened = X
    if not is_stored(X):
        try:
            # Never for writing: it is the user's.
            opened = zarr.open(X, mode="r")
        except (KeyError, ValueError, TypeError, OSError) as error:
            message = (
                f"{str(X)!r} is no array and no group of Zarr ({reason(error)}); pass one, or an .npy, .npz, "
                "Parquet or Arrow file."
            )
            raise InputError(message) from None
    return opened if isinstance(opened, zarr.Array) else StoredMatrix(opened, str(X))


def _array(group: Any, name: str) -> Any:
    """Return an array of a group, which may have a group of this name instead."""
    found = group[name]
    if not isinstance(found, zarr.Array):
        message = f"{name!r} is no array"
        raise TypeError(message)
    return found
