"""The arrays of a run by name, written by its tasks and read one block at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from novelty_dask.errors import StoreError
from novelty_dask.storage.layout import find_array
from novelty_dask.storage.loop import is_without_loop, run_here

if TYPE_CHECKING:
    import scipy.sparse as sp
    import zarr

    from novelty_dask.planning.arrays import ArraySpec
    from novelty_dask.planning.stages import Stage
    from novelty_dask.storage.checked import CheckedStore

Arrays = Mapping[str, NDArray[Any]]
"""Values by the name of their array."""


class RunArrays:
    """The arrays of a run; the metadata of each are verified when it is first used.

    Parameters
    ----------
    store : CheckedStore
        Of the run.
    """

    def __init__(self, store: CheckedStore) -> None:
        self.layout = store.layout
        self._store = store
        self._verified: dict[str, zarr.Array[Any]] = {}

    def __getitem__(self, name: str) -> zarr.Array[Any]:
        """Return an array.

        Raises
        ------
        StoreError
            Its metadata do not match the run's settings and plan.
        """
        if name not in self._verified:
            spec = self.layout.specs.get(name)
            found = find_array(self._store, spec) if spec else None
            if found is None:
                message = (
                    f"The metadata of array {name!r} do not match the run's settings and plan; "
                    "`novelty resume` writes them again."
                )
                raise StoreError(message)
            self._verified[name] = found
        return self._verified[name]

    def read(self, name: str, *index: int | slice) -> NDArray[Any]:
        """Return a part of an array, all of it without an index."""
        array = self[name]
        if _is_at_once(array, index):
            return np.asarray(run_here(array.async_array.getitem(index or ...)))
        return np.asarray(array[index or ...])

    def write(self, item: str, arrays: Arrays) -> None:
        """Store what a task made, each array in the part of it that the task writes.

        Parameters
        ----------
        item : str
            Of the task.
        arrays : mapping of str to ndarray
            Values by the name of the array, which may be fewer than there is room for.
        """
        for name, values in arrays.items():
            array, index = self[name], self.layout.index(name, item, values.shape)
            if _is_at_once(array, index):
                run_here(array.async_array.setitem(index, values))
            else:
                array[index] = values

    def read_like(self, item: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
        """Return the stored values in the parts of arrays that `write` would fill."""
        return {
            name: self.read(name, *self.layout.index(name, item, values.shape))
            for name, values in arrays.items()
        }

    def read_csr(self, name: str, block: int | tuple[int, int], shape: tuple[int, int]) -> sp.csr_matrix:
        """Return one block of a sparse matrix, or of the one of a period.

        Raises
        ------
        ValueError
            The stored arrays are no such matrix.
        """
        import scipy.sparse as sp  # noqa: PLC0415 - takes long to import, and only tasks read matrices

        at = block if isinstance(block, tuple) else (block,)
        indptr = self.read(f"{name}/indptr", *at, slice(shape[0] + 1))
        nnz = int(indptr[-1])
        # A run may come from anybody: a negative number would count from the end.
        if not 0 <= nnz <= shape[0] * shape[1]:
            message = f"Block {block} of {name!r} claims to have {nnz:,} non-zeros."
            raise ValueError(message)
        indices = self.read(f"{name}/indices", *at, slice(nnz))
        data = self.read(f"{name}/data", *at, slice(nnz))
        # SciPy wants row pointers of the type of the indices, and 32 bits halve their memory.
        if nnz <= np.iinfo(np.int32).max:
            indptr = indptr.astype(np.int32)
        return sp.csr_matrix((data, indices, indptr), shape=shape)

    def read_breakpoints(self) -> NDArray[np.int32]:
        """Return the break-points between columns."""
        breakpoints = self.read("columns/breakpoints")
        # The array has room for more break-points than most corpora have; the rest is -1.
        return breakpoints[breakpoints >= 0]

    def read_cited(self, rows: slice) -> NDArray[np.int64]:
        """Return the distinct ids of the neighbors of some rows, in the order of `neighbors/url`."""
        ids = self.read("neighbors/ids", rows)
        return np.unique(ids[ids >= 0])

    def missing(self, stage: Stage) -> list[ArraySpec]:
        """Return the arrays of a stage that are absent, or not as specified."""
        return [spec for spec in self.layout.of(stage) if find_array(self._store, spec) is None]


def _is_at_once(array: zarr.Array[Any], index: tuple[int | slice, ...]) -> bool:
    """Return whether a part of an array lies in one chunk, in a thread without an event loop."""
    parts = (*index, *(slice(None) for _ in array.shape[len(index) :]))
    for part, length, size in zip(parts, array.shape, array.chunks, strict=True):
        first, stop = part.indices(length)[:2] if isinstance(part, slice) else (part, part + 1)
        if first // size != (stop - 1) // size:
            return False
    return is_without_loop()


def split_csr(name: str, X: sp.csr_matrix, block_rows: int) -> dict[str, NDArray[Any]]:
    """Return the arrays of one block of a sparse matrix, whose rows may be fewer than a block's.

    Rows that a last block lacks end where its last row ends.
    """
    indptr = np.full(block_rows + 1, X.nnz, np.int64)
    indptr[: X.shape[0] + 1] = X.indptr
    return {f"{name}/indptr": indptr, f"{name}/indices": X.indices, f"{name}/data": X.data}
