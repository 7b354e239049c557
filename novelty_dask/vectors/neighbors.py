"""Exact neighbors of the rows of a sparse matrix, in memory or not, by the kernel of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from novelty_dask.engines.cosine import CosineEngine
from novelty_dask.errors import InputError, SettingsError
from novelty_dask.kernels.neighbors import Neighbors
from novelty_dask.kernels.text.tfidf import document_frequency
from novelty_dask.results.neighbors import NeighborArrays
from novelty_dask.vectors.sources import open_vectors

if TYPE_CHECKING:
    import scipy.sparse as sp
    from numpy.typing import NDArray

    from novelty_dask.vectors.sources import VectorSource

MOST_NEIGHBORS = 1_000
MOST_COLUMNS = 2**31 - 2


def neighbors(X: Any, *, n_neighbors: int = 10, block_rows: int = 65_536) -> NeighborArrays:
    """Find the exact nearest neighbors of each row of a sparse matrix, by cosine.

    Parameters
    ----------
    X : sparse matrix, dask.array.Array, zarr.Group, str or path
        Nonnegative rows: a matrix of SciPy, a Dask array of sparse blocks, or the path of an ``.npz`` file of
        SciPy or of a Zarr group as anndata writes them.
    n_neighbors : int
        Neighbors of each row, 1 to 1,000.
    block_rows : int
        Rows of a block; two blocks are held at a time.  A Dask array has blocks of its own.

    Returns
    -------
    NeighborArrays
        Arrays of NumPy, with -1 where a row has fewer neighbors that share a column with it.

    Raises
    ------
    InputError
        `X` can't be read, or has negative or infinite values.
    SettingsError
        A number is impossible.

    Notes
    -----
    Memory is that of two blocks, of the result, and 8 bytes a column.  Each block is read as often as there
    are blocks.  Results do not depend on the blocks; ties go to the lower number.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> found = neighbors(sp.csr_matrix([[1, 0], [3, 4], [1, 2]]), n_neighbors=1)
    >>> found.ids.ravel()
    array([1, 2, 1])
    """
    for name, number, most in (
        ("n_neighbors", n_neighbors, MOST_NEIGHBORS),
        ("block_rows", block_rows, 2**20),
    ):
        if not isinstance(number, int | np.integer) or not 1 <= number <= most:
            message = f"{name} is {number!r}; pass an integer from 1 to {most:,}."
            raise SettingsError(message)
    source = open_vectors(X, int(block_rows))
    # All blocks are read once before the search, as it goes through columns from rare to common.
    frequency, starts = _count(source)
    engine = CosineEngine(frequency)
    found = Neighbors.empty(int(starts[-1]), int(n_neighbors))
    for block in range(source.n_blocks):
        _search(source, engine, starts, block, found)
    return NeighborArrays(found.ids, found.similarities)


def _count(source: VectorSource) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many rows have each column, and the starts of the blocks, with the end of the last."""
    frequency = np.zeros(0, np.int64)
    lengths = []
    for block in range(source.n_blocks):
        X = _read(source, block)
        if X.shape[1] > MOST_COLUMNS:
            message = f"X has {X.shape[1]:,} columns; pass at most {MOST_COLUMNS:,}."
            raise InputError(message)
        if block and X.shape[1] != frequency.size:
            message = (
                f"Block {block} has {X.shape[1]:,} columns, and the blocks before it {frequency.size:,}."
            )
            raise InputError(message)
        # The first block tells how many columns there are: a Dask array may not know.
        frequency = document_frequency(X) + (frequency if block else 0)
        lengths.append(X.shape[0])
    return frequency, np.cumsum([0, *lengths])


def _read(source: VectorSource, block: int) -> sp.csr_matrix:
    """Return a block, checked, each column once in a row and without zeros.

    Raises
    ------
    InputError
        It has values that can't be compared.
    """
    # A block that Dask holds in memory is the user's own, and is changed below.
    X = source.read(block).copy()
    # Written so that NaN, which fails every comparison, is found too.
    if not np.all((X.data >= 0) & (X.data < np.inf)):
        message = (
            f"Block {block} of X has negative or infinite values; for negative ones there is "
            "ExactNeighborsTransformer."
        )
        raise InputError(message)
    X.sum_duplicates()
    X.eliminate_zeros()
    return X


def _search(
    source: VectorSource, engine: CosineEngine, starts: NDArray[np.int64], block: int, found: Neighbors
) -> None:
    """Find the neighbors of the rows of a block among all rows."""
    rows = engine.prepare(_read(source, block))
    part = slice(starts[block], starts[block + 1])
    # Views, so that what is found for them is in `found`.
    own = Neighbors(found.ids[part], found.similarities[part])
    # Its own rows first: what is near in the order is often alike, and rules out most of what comes later.
    for other in sorted(range(source.n_blocks), key=lambda each: abs(each - block)):
        # Prepared anew for each block: all prepared blocks together would not fit.
        candidates = rows if other == block else engine.prepare(_read(source, other))
        engine.search(rows, candidates, own, row_start=int(starts[block]), candidate_start=int(starts[other]))
