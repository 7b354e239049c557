"""Exact neighbors of the rows or columns of a matrix, in memory or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from novelty_dask.engines.cosine import CosineEngine
from novelty_dask.engines.dense import DenseEngine, Metric, finish_values, no_neighbors
from novelty_dask.engines.products import ProductEngine
from novelty_dask.errors import InputError, SettingsError
from novelty_dask.kernels.neighbors import Neighbors
from novelty_dask.results.neighbors import NeighborArrays
from novelty_dask.vectors.approximate import find_approximately
from novelty_dask.vectors.candidates import find_among_candidates
from novelty_dask.vectors.checked import CheckedBlocks
from novelty_dask.vectors.libraries.choose import choose_engine, name_engine
from novelty_dask.vectors.recall import SAMPLE_ROWS, TrueNeighbors, check_ids
from novelty_dask.vectors.searching import check_memory, search_blocks
from novelty_dask.vectors.sources import open_vectors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from novelty_dask.results.recall import Recall
    from novelty_dask.vectors.libraries.proposing import CandidateEngine

MOST_NEIGHBORS = 1_000


def neighbors(  # noqa: PLR0913 - all but the first are keywords
    X: Any,
    *,
    n_neighbors: int = 10,
    metric: Metric = "cosine",
    axis: int = 0,
    column: str | None = None,
    block_rows: int | None = None,
    engine: str | CandidateEngine = "exact",
    engine_options: Mapping[str, int] | None = None,
    min_recall: float | None = None,
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
    engine : str or CandidateEngine
        All but "exact" find candidates, among which is decided exactly.  "approximate" finds those of dense
        rows in the 64 directions in which rows differ most; it is faster where there are many columns.  Other
        names are those of libraries that have to be installed, such as "faiss-ivf" or "sparse_dot_topn".
    engine_options : mapping of str to int, optional
        Options of the engine of a library, such as ``{"nprobe": 16}``.
    min_recall : float, optional
        Least recall: what has a lower bound of the measured recall below it is refused.  "approximate" tries
        more candidates first.

    Returns
    -------
    NeighborArrays
        Arrays of NumPy, closest first, ties by the lower number.  No row is its own neighbor, also among
        equal ones.  Numbers are -1 where there are no more rows, or, of sparse rows and cosines, no more that
        share a column.  Those of other engines than "exact" have `recall`, measured on a sample.

    Raises
    ------
    InputError
        `X` can't be read, or has NaN or infinite values, or, of sparse rows and cosines, negative ones.
    SettingsError
        A choice is impossible, a library is not installed or failed, or the recall is lower.
    BudgetError
        Two blocks, the result, or the index of a library do not fit in memory.

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
    check_choices(
        n_neighbors=(n_neighbors, MOST_NEIGHBORS),
        block_rows=(1 if block_rows is None else block_rows, 2**20),
        metric=metric,
    )
    chosen = choose_engine(engine, engine_options)
    _check_least(engine, min_recall)
    if axis not in (0, 1):
        message = f"axis is {axis!r}; pass 0 for neighbors of rows, or 1 for those of columns."
        raise SettingsError(message)
    source = open_vectors(X, block_rows, axis=axis, column=column)
    check_memory(source.block_bytes)
    blocks = CheckedBlocks(source, metric)
    check_memory(source.block_bytes + 16 * blocks.n_rows * n_neighbors)
    k, recall = int(n_neighbors), None
    if chosen is not None:
        named = name_engine(engine), chosen
        found, recall = find_among_candidates(blocks, metric, k, named, min_recall)
    elif engine == "exact":
        found = _find_exactly(blocks, metric, k)
    else:
        _check_dense(blocks)
        found, recall = find_approximately(blocks, metric, k, min_recall)
    return NeighborArrays(found.ids, finish_values(found, metric), metric=metric, recall=recall)


def measure_recall(
    X: Any,
    ids: Any,
    *,
    metric: Metric = "cosine",
    column: str | None = None,
    n_sample: int = SAMPLE_ROWS,
    seed: int = 0,
) -> Recall:
    """Measure how many of the true neighbors somebody has found: any library, on any machine.

    A sample of rows is searched exactly.

    Parameters
    ----------
    X : ndarray, dask.array.Array, zarr.Array, str or path
        The rows, dense, as for `neighbors`.
    ids : array_like of int, shape (n_rows, k)
        Their neighbors; those below 0 are none, and a row that is named as its own neighbor does not count.
    metric : {"cosine", "euclidean", "inner_product"}
        By which they are neighbors.
    column : str, optional
        As for `neighbors`.
    n_sample : int
        Rows of the sample.
    seed : int
        Of the choice of rows.

    Returns
    -------
    Recall
        The share that was found, and the interval in which that of all rows lies.

    Raises
    ------
    InputError
        `X` can't be compared, or `ids` are no rows of it.
    SettingsError
        A choice is impossible.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(500, 8))
    >>> print(measure_recall(X, neighbors(X).ids))
    recall of 1.0000 (0.9926 to 1.0000, by 500 rows)
    """
    check_choices(n_sample=(n_sample, 2**31), metric=metric)
    blocks = CheckedBlocks(open_vectors(X, column=column), metric)
    _check_dense(blocks)
    checked = check_ids(ids, blocks.n_rows)
    true = TrueNeighbors(blocks, DenseEngine(metric), checked.shape[1], (n_sample, seed), ids=checked)
    return true.recall(true.closeness)


def check_choices(*, metric: object, **numbers: tuple[object, int]) -> None:
    """Refuse a metric that there is not, and numbers that are none from 1 to the most there may be.

    Raises
    ------
    SettingsError
        It says what is possible.
    """
    for name, (number, most) in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or not 1 <= number <= most:
            message = f"{name} is {number!r}; pass an integer from 1 to {most:,}."
            raise SettingsError(message)
    if metric not in get_args(Metric):
        message = f"There is no metric {metric!r}; pass 'cosine', 'euclidean' or 'inner_product'."
        raise SettingsError(message)


def _check_least(engine: object, min_recall: float | None) -> None:
    """Refuse a least recall that there can't be."""
    if min_recall is not None and (engine == "exact" or not 0 < min_recall < 1):
        message = (
            f"min_recall is {min_recall!r}; pass a number between 0 and 1, with engine='approximate' or that "
            "of a library."
        )
        raise SettingsError(message)


def _check_dense(blocks: CheckedBlocks) -> None:
    """Refuse sparse rows, whose exact search is the faster one."""
    if blocks.is_sparse:
        message = (
            "X is sparse, and sparse rows are searched exactly; leave the engine out, or pass a dense X."
        )
        raise InputError(message)


def _find_exactly(blocks: CheckedBlocks, metric: Metric, k: int) -> Neighbors:
    """Return the closest rows of all rows."""
    # The kernel of a run, whose similarities are in float32, and has no neighbors without a common column.
    is_kernel = blocks.is_sparse and metric == "cosine"
    engine: Any = ProductEngine(metric) if blocks.is_sparse else DenseEngine(metric)
    if is_kernel:
        engine = CosineEngine(blocks.frequency)
    found = (Neighbors.empty if is_kernel else no_neighbors)(blocks.n_rows, k)
    search_blocks(blocks, engine, found)
    return found
