"""Dask arrays whose blocks a function makes from the parts of another collection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
from dask.base import compute, optimize
from dask.delayed import delayed

from novelty_dask.execution.partitions import compute_partitions, is_collection

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["compute_partitions", "is_collection", "make_arrays", "read_part", "row_parts", "transposed"]


def make_arrays(
    collection: Any, function: Callable[[Any, Any], Any], model: Any, metas: dict[str, Any]
) -> tuple[da.Array, ...]:
    """Return arrays that a function makes from each part of a collection, not computed yet.

    Parameters
    ----------
    collection : Array, DataFrame, Series or Bag of Dask
        Columns of an array are not cut.
    function : callable
        Called with the model and a part; returns one block of each array.
    model : object
        Sent once, and not with each part.
    metas : dict of str to array
        An empty block of each array.

    Returns
    -------
    tuple of dask.array.Array
        With as many rows in each block as the collection has, NaN where it does not know.
    """
    parts = row_parts(collection)
    chunks = getattr(collection, "chunks", None)
    lengths = chunks[0] if chunks else (np.nan,) * len(parts)
    call, sent = delayed(function, pure=True), delayed(model, pure=True)
    results = [call(sent, part) for part in parts]
    return tuple(_join(results, number, lengths, meta) for number, meta in enumerate(metas.values()))


def row_parts(collection: Any) -> list[Any]:
    """Return the parts of a collection with all columns of their rows, not computed yet."""
    # A block of an array may have some of the columns alone.
    if hasattr(collection, "rechunk") and collection.ndim > 1 and collection.numblocks[1] > 1:
        collection = collection.rechunk({1: -1})
    return list(np.ravel(np.array(collection.to_delayed(), dtype=object)))


def transposed(array: da.Array) -> da.Array:
    """Return an array whose blocks, dense or sparse, are transposed when they are computed."""
    result: da.Array = da.blockwise(
        _transpose,
        "ji",
        array,
        "ij",
        dtype=array.dtype,
        meta=_transpose(array._meta),  # noqa: SLF001
    )
    return result


def _transpose(block: Any) -> Any:
    """Return the transpose of a block."""
    return block.T


def read_part(part: Any) -> Any:
    """Return a part, computed where Dask would compute the collection."""
    # Without this, Dask sends the graph of all parts with each, and data that lie in it.
    [alone] = optimize(part)
    [computed] = compute(alone)
    return computed


def _join(results: list[Any], number: int, lengths: tuple[float, ...], meta: Any) -> da.Array:
    """Return the blocks of one array as an array."""
    blocks = [
        da.from_delayed(result[number], (length, *meta.shape[1:]), meta=meta)
        for result, length in zip(results, lengths, strict=True)
    ]
    joined: da.Array = da.concatenate(blocks, axis=0, allow_unknown_chunksizes=True)
    return joined
