"""The arrays of a run, written and read one block of rows at a time."""

from typing import Any

import numpy as np
import scipy.sparse as sp
import zarr
from numpy.typing import NDArray

from novelty_dask.errors import StoreError
from novelty_dask.storage.checked import find_array


def array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    """An array of a run.

    Raises
    ------
    StoreError
        It is not as the run's settings and plan say.
    """
    spec = group.store.layout.specs.get(name)  # type: ignore[attr-defined]
    found = find_array(group, spec) if spec else None
    if found is None:
        message = f"Array {name!r} of the run is not as its settings and plan say; `novelty resume` mends it."
        raise StoreError(message)
    # Else Zarr leaves out chunks of nothing but fill values, and they could not be told from lost ones.
    return found.with_config({"write_empty_chunks": True})


def write_csr(group: zarr.Group, name: str, block: int, X: sp.csr_matrix) -> None:
    """Store one block of a sparse matrix; its rows may be fewer than a block's."""
    indptr = array(group, f"{name}/indptr")
    padded = np.full(indptr.shape[1], X.nnz, np.int64)
    padded[: X.shape[0] + 1] = X.indptr
    array(group, f"{name}/indices")[block, : X.nnz] = X.indices
    array(group, f"{name}/data")[block, : X.nnz] = X.data
    indptr[block] = padded


def read_csr(group: zarr.Group, name: str, block: int, shape: tuple[int, int]) -> sp.csr_matrix:
    """Read one block of a sparse matrix.

    Raises
    ------
    ValueError
        It is none.
    """
    indptr = _numbers(array(group, f"{name}/indptr")[block, : shape[0] + 1])
    nnz = int(indptr[-1])
    if not 0 <= nnz <= shape[0] * shape[1]:
        message = f"Block {block} of {name!r} is said to have {nnz:,} non-zeros."
        raise ValueError(message)
    indices = _numbers(array(group, f"{name}/indices")[block, :nnz])
    data = _numbers(array(group, f"{name}/data")[block, :nnz])
    if nnz <= np.iinfo(np.int32).max:
        indptr = indptr.astype(np.int32)
    return sp.csr_matrix((data, indices, indptr), shape=shape)


def _numbers(values: Any) -> NDArray[Any]:
    """What Zarr read, as the array it is."""
    return np.asarray(values)
