"""Arrays of a run, written and read one block of rows at a time.

Every array is created by one process before others write to it, and cut so that no chunk
belongs to two tasks.  Sparse blocks are ragged: each block has a row of its own in arrays
far wider than needed, of which only the chunks in use are ever written.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
import zarr
from numpy.typing import NDArray
from zarr.codecs import BloscCodec, Crc32cCodec, ZstdCodec

NONZEROS_CHUNK = 2**18
WIDEST_BLOCK = 2**40
COLUMNS_CHUNK = 65_536
MAXIMUM_CUTS = 64

NUMBERS = (BloscCodec(cname="lz4", clevel=5, shuffle="shuffle"), Crc32cCodec())
TEXT = (ZstdCodec(level=1), Crc32cCodec())


class ArraySpec(NamedTuple):
    """An array to create; a missing number reads as ``fill_value``."""

    name: str
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: str
    fill_value: float | str = 0


def create_arrays(group: zarr.Group, specs: Iterable[ArraySpec]) -> None:
    """Create empty arrays, in place of what an unfinished stage left."""
    for spec in specs:
        group.create_array(
            spec.name,
            shape=spec.shape,
            chunks=tuple(max(1, length) for length in spec.chunks),
            dtype=str if spec.dtype == "str" else spec.dtype,
            compressors=TEXT if spec.dtype == "str" else NUMBERS,
            fill_value=spec.fill_value,
            config={"write_empty_chunks": True},
            overwrite=True,
        )


def remove_arrays(group: zarr.Group, names: Iterable[str]) -> None:
    """Remove arrays or groups of arrays, where they are."""
    for name in names:
        if name in group:
            del group[name]


def row_specs(n_rows: int, block_rows: int) -> list[ArraySpec]:
    """The rows: distinct URLs, how often each was read, and where first."""
    shape, chunks = (n_rows,), (block_rows,)
    return [
        ArraySpec("rows/url", shape, chunks, "str", ""),
        ArraySpec("rows/count", shape, chunks, "int64"),
        ArraySpec("rows/position", shape, chunks, "int64", -1),
    ]


def sparse_specs(name: str, n_blocks: int, block_rows: int, dtype: str) -> list[ArraySpec]:
    """A sparse matrix in CSR blocks."""
    wide, chunk = (n_blocks, WIDEST_BLOCK), (1, NONZEROS_CHUNK)
    return [
        ArraySpec(f"{name}/indptr", (n_blocks, block_rows + 1), (1, block_rows + 1), "int64"),
        ArraySpec(f"{name}/indices", wide, chunk, "int32", -1),
        ArraySpec(f"{name}/data", wide, chunk, dtype),
    ]


def frequency_specs(n_features: int, n_blocks: int) -> list[ArraySpec]:
    """In how many rows each column occurs: in each block, and in all."""
    width = min(n_features, COLUMNS_CHUNK)
    return [
        ArraySpec("partial_frequency", (n_blocks, n_features), (1, width), "uint32"),
        ArraySpec("columns/document_frequency", (n_features,), (width,), "int64"),
    ]


def column_specs(n_features: int) -> list[ArraySpec]:
    """The weight of each column, its place, and the break-points between places."""
    return [
        ArraySpec("columns/idf", (n_features,), (n_features,), "float32", np.nan),
        ArraySpec("columns/rank", (n_features,), (n_features,), "int32", -1),
        ArraySpec("columns/cuts", (MAXIMUM_CUTS,), (MAXIMUM_CUTS,), "int32", -1),
    ]


def neighbor_specs(name: str, shape: tuple[int, ...], block_rows: int) -> list[ArraySpec]:
    """Neighbors of rows: ids and similarities, of shape (..., rows, k)."""
    chunks = (*(1 for _ in shape[:-2]), block_rows, shape[-1])
    return [
        ArraySpec(f"{name}/ids", shape, chunks, "int64", -1),
        ArraySpec(f"{name}/similarities", shape, chunks, "float32", np.nan),
    ]


def novelty_specs(n_rows: int, block_rows: int) -> list[ArraySpec]:
    """The novelty of each row."""
    return [ArraySpec("novelty", (n_rows,), (block_rows,), "float64", np.nan)]


def rejected_specs(n_rejected: int) -> list[ArraySpec]:
    """Rejected lines: number of the source, line in it from 0, reason, and how the line begins."""
    shape, chunks = (n_rejected,), (min(max(n_rejected, 1), 65_536),)
    return [
        ArraySpec("rejected/source", shape, chunks, "int32", -1),
        ArraySpec("rejected/line", shape, chunks, "int64", -1),
        ArraySpec("rejected/reason", shape, chunks, "str", ""),
        ArraySpec("rejected/sample", shape, chunks, "str", ""),
    ]


def array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    """An array of a run."""
    found = group[name]
    if not isinstance(found, zarr.Array):
        raise TypeError(name)
    return found


def write_csr(group: zarr.Group, name: str, block: int, X: sp.csr_matrix) -> None:
    """Store one block of a sparse matrix; its rows may be fewer than a block's."""
    indptr = array(group, f"{name}/indptr")
    padded = np.full(indptr.shape[1], X.nnz, np.int64)
    padded[: X.shape[0] + 1] = X.indptr
    array(group, f"{name}/indices")[block, : X.nnz] = X.indices
    array(group, f"{name}/data")[block, : X.nnz] = X.data
    indptr[block] = padded


def read_csr(group: zarr.Group, name: str, block: int, shape: tuple[int, int]) -> sp.csr_matrix:
    """Read one block of a sparse matrix."""
    indptr = _numbers(array(group, f"{name}/indptr")[block, : shape[0] + 1])
    nnz = int(indptr[-1])
    indices = _numbers(array(group, f"{name}/indices")[block, :nnz])
    data = _numbers(array(group, f"{name}/data")[block, :nnz])
    if nnz <= np.iinfo(np.int32).max:
        indptr = indptr.astype(np.int32)
    return sp.csr_matrix((data, indices, indptr), shape=shape)


def _numbers(values: Any) -> NDArray[Any]:
    """What Zarr read, as the array it is."""
    return np.asarray(values)
