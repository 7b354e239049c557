"""Exact neighbors of the rows or columns of a matrix, in memory or not."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import psutil

from novelty_dask.engines.cosine import CosineEngine
from novelty_dask.engines.dense import DenseEngine, Metric
from novelty_dask.engines.products import ProductEngine
from novelty_dask.errors import SettingsError
from novelty_dask.kernels.neighbors import Neighbors
from novelty_dask.planning.memory import check_projected
from novelty_dask.results.neighbors import NeighborArrays
from novelty_dask.vectors.checked import CheckedBlocks
from novelty_dask.vectors.sources import open_vectors

MOST_NEIGHBORS = 1_000


def neighbors(
    X: Any,
    *,
    n_neighbors: int = 10,
    metric: Metric = "cosine",
    axis: int = 0,
    column: str | None = None,
    block_rows: int | None = None,
) -> NeighborArrays:
    """Find the exact nearest neighbors of each row of a matrix, or of each column.

    Parameters
    ----------
    X : ndarray, sparse matrix, dask.array.Array, zarr.Array, zarr.Group, str or path
        A matrix of NumPy, in memory or mapped; a sparse one of SciPy; a Dask array of dense or sparse
        blocks; an array of Zarr, or a group as anndata writes sparse matrices; or the path of one of these,
        or of an ``.npy``, ``.npz``, Parquet or Arrow file.
    n_neighbors : int
        Neighbors of each row, 1 to 1,000.
    metric : {"cosine", "euclidean", "inner_product"}
        The highest cosine, the shortest distance, or the highest product.
    axis : {0, 1}
        1 for neighbors of columns, as of the items of a user-item matrix.
    column : str, optional
        Column of lists of a Parquet or Arrow file, or array of an ``.npz`` file, that has several.
    block_rows : int, optional
        Rows of a block; two blocks are held at a time.  By default as many as take 128 MiB, at most 65,536.
        A Dask array has blocks of its own.

    Returns
    -------
    NeighborArrays
        Arrays of NumPy, closest first, ties by the lower number.  No row is its own neighbor, also among
        equal ones.  Numbers are -1 where there are no more rows, or, of sparse rows and cosines, no more that
        share a column.

    Raises
    ------
    InputError
        `X` can't be read, or has NaN or infinite values, or, of sparse rows and cosines, negative ones.
    SettingsError
        A choice is impossible.
    BudgetError
        Two blocks, or the result, do not fit in memory.

    Warns
    -----
    UserWarning
        Rows of zeros, which have no direction, are compared by cosine: theirs is 0 with every row.

    Notes
    -----
    Each block is read as often as there are blocks.  Results do not depend on the blocks, nor on the machine:
    dense rows are compared by sums in float64 in the order of columns, sparse ones and cosines in float32.

    Examples
    --------
    >>> found = neighbors(np.array([[1.0, 0.0], [3.0, 4.0], [1.0, 2.0]]), n_neighbors=1)
    >>> found.ids.ravel()
    array([1, 2, 1])
    >>> neighbors(np.array([[1.0, 0.0], [3.0, 4.0], [1.0, 2.0]]), n_neighbors=1, metric="euclidean").distances
    array([[2.        ],
           [2.82842712],
           [2.        ]])
    """
    check_choices(n_neighbors, metric, axis, block_rows)
    source = open_vectors(X, block_rows, axis=axis, column=column)
    _check_memory(source.block_bytes)
    blocks = CheckedBlocks(source, metric)
    _check_memory(source.block_bytes + 16 * blocks.n_rows * n_neighbors)
    # The kernel of a run, whose similarities are in float32, and has no neighbors without a common column.
    is_kernel = blocks.is_sparse and metric == "cosine"
    engine: Any = ProductEngine(metric) if blocks.is_sparse else DenseEngine(metric)
    if is_kernel:
        engine = CosineEngine(blocks.frequency)
    found = (Neighbors.empty if is_kernel else _empty)(blocks.n_rows, int(n_neighbors))
    for block in range(blocks.n_blocks):
        _search(blocks, engine, block, found)
    return _finish(found, metric)


def check_choices(n_neighbors: object, metric: object, axis: object, block_rows: object) -> None:
    """Refuse choices that are impossible.

    Raises
    ------
    SettingsError
        It says what is possible.
    """
    for name, number, most in (
        ("n_neighbors", n_neighbors, MOST_NEIGHBORS),
        ("block_rows", 1 if block_rows is None else block_rows, 2**20),
    ):
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or not 1 <= number <= most:
            message = f"{name} is {number!r}; pass an integer from 1 to {most:,}."
            raise SettingsError(message)
    if metric not in get_args(Metric):
        message = f"There is no metric {metric!r}; pass 'cosine', 'euclidean' or 'inner_product'."
        raise SettingsError(message)
    if axis not in (0, 1):
        message = f"axis is {axis!r}; pass 0 for neighbors of rows, or 1 for those of columns."
        raise SettingsError(message)


def _check_memory(projected: int) -> None:
    """Refuse what does not fit in the memory that is free."""
    remedy = "pass smaller block_rows, or fewer n_neighbors"
    check_projected("The search", projected, psutil.virtual_memory().available, remedy)


def _search(blocks: CheckedBlocks, engine: Any, block: int, found: Neighbors) -> None:
    """Find the neighbors of the rows of a block among all rows."""
    starts = blocks.starts
    part = slice(starts[block], starts[block + 1])
    # Views, so that what is found for them is in `found`.
    own = Neighbors(found.ids[part], found.similarities[part])
    rows = engine.prepare(blocks.read(block))
    # Its own rows first: what is near in the order is often alike, and rules out most of what comes later.
    for other in sorted(range(blocks.n_blocks), key=lambda each: abs(each - block)):
        # Prepared anew for each block: all prepared blocks together would not fit.
        candidates = rows if other == block else engine.prepare(blocks.read(other))
        engine.search(rows, candidates, own, row_start=starts[block], candidate_start=starts[other])


def _empty(n_rows: int, k: int) -> Neighbors:
    """Return the neighbors of rows that have none yet, where any closeness is better than none."""
    values: Any = np.full((n_rows, k), -np.inf)
    return Neighbors(np.full((n_rows, k), -1, np.int64), values)


def _finish(found: Neighbors, metric: Metric) -> NeighborArrays:
    """Return what was found by its metric."""
    values: Any = found.similarities
    if metric == "euclidean":
        # In place: the result may be a good part of what memory holds.  Never -0.
        np.sqrt(np.negative(values, out=values), out=values)
        values += 0.0
    else:
        values[found.ids < 0] = 0
    return NeighborArrays(found.ids, values, metric=metric)
