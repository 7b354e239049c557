"""Recall of neighbors, measured: a sample of rows is searched exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from novelty_dask.engines.dense import no_neighbors
from novelty_dask.errors import InputError, SettingsError
from novelty_dask.results.recall import Recall, recall_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.kernels.neighbors import Neighbors
    from novelty_dask.vectors.searching import Blocks

SAMPLE_ROWS = 1_000
"""Rows that are searched exactly."""


class TrueNeighbors:
    """True neighbors of a sample of rows, which are searched exactly, once.

    Parameters
    ----------
    blocks : Blocks
    engine : DenseEngine or ProductEngine
        The exact one for these rows.
    k : int
        Neighbors of each row.
    sample : (int, int)
        Rows of the sample, all rows if there are no more, and the seed of their choice.
    above : float
        Closeness that a row must exceed to be a neighbor.
    ids : ndarray of shape (rows, k), int64, optional
        What somebody has found for all rows, if its closeness is not known: it is computed on the way.

    Attributes
    ----------
    closeness : ndarray of float64, shape (rows of the sample, k)
        That of `ids`, highest first.
    """

    def __init__(
        self,
        blocks: Blocks,
        engine: Any,
        k: int,
        sample: tuple[int, int] = (SAMPLE_ROWS, 0),
        *,
        above: float = -np.inf,
        ids: NDArray[np.int64] | None = None,
    ) -> None:
        n_rows, (n_sample, seed) = blocks.starts[-1], sample
        numbers = np.random.default_rng(seed).choice(n_rows, min(n_sample, n_rows), replace=False)
        numbers.sort()
        rows = engine.prepare(_gather(blocks, numbers))
        true, found = no_neighbors(len(numbers), k + 1), no_neighbors(len(numbers), k)
        for block, start in enumerate(blocks.starts[:-1]):
            candidates = engine.prepare(blocks.read(block))
            # As rows that come after all others, so that each finds itself, too.
            engine.search(rows, candidates, true, row_start=n_rows, candidate_start=start)
            if ids is not None:
                engine.rescore((numbers, rows.rows), (start, candidates.rows), ids[numbers], found)
        true.ids[true.similarities <= above] = -1
        self._numbers, self._true, self.closeness = numbers, true, found.similarities

    def recall_of(self, found: Neighbors) -> Recall:
        """Return how many true neighbors are among those found for all rows, whose closeness is exact."""
        missing = found.ids[self._numbers] < 0
        return self.recall(np.where(missing, -np.inf, found.similarities[self._numbers]))

    def recall(self, closeness: Any) -> Recall:
        """Return how many true neighbors are among as many rows as somebody has found for each.

        Parameters
        ----------
        closeness : ndarray of float64, shape (rows of the sample, k)
            Theirs; minus infinity where there is none.

        Notes
        -----
        A neighbor counts if it is as close as the k-th true one, so that ties harm nobody.
        """
        return recall_interval(_shares(self._true, closeness, self._numbers))


def _gather(blocks: Blocks, numbers: NDArray[np.int64]) -> Any:
    """Return some rows of all blocks."""
    parts = []
    for block, (start, stop) in enumerate(zip(blocks.starts[:-1], blocks.starts[1:], strict=True)):
        own = numbers[(numbers >= start) & (numbers < stop)]
        parts.append(blocks.read(block)[own - start])
    if any(map(sp.issparse, parts)):
        return sp.vstack(parts, format="csr")
    return np.concatenate(parts) if parts else np.empty((0, 0))


def _shares(true: Neighbors, closeness: Any, numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of the true neighbors of each row that was found."""
    shares = np.ones(len(numbers))
    for i, number in enumerate(numbers):
        others = true.similarities[i][(true.ids[i] >= 0) & (true.ids[i] != number)][: closeness.shape[1]]
        if others.size:
            shares[i] = min(int((closeness[i] >= others[-1]).sum()), others.size) / others.size
    return shares


def check_recall(recall: Recall, least: float | None, remedy: str) -> None:
    """Refuse neighbors of a recall whose lower bound is below the least that is wanted.

    Raises
    ------
    SettingsError
        It says what the recall is, and what to do.
    """
    if least is not None and recall.low < least:
        message = f"The neighbors found have a {recall}, below min_recall={least:g}; {remedy}."
        raise SettingsError(message)


def check_ids(ids: Any, n_rows: int) -> NDArray[np.int64]:
    """Return neighbors as a matrix of integers.

    Raises
    ------
    InputError
        They are none of these rows.
    """
    numbers = np.asarray(ids)
    if numbers.ndim != 2 or numbers.dtype.kind not in "iu" or len(numbers) != n_rows:
        message = (
            f"ids has the shape {numbers.shape} and the type {numbers.dtype}; pass integers, a row of them "
            f"for each of the {n_rows:,} rows of X."
        )
        raise InputError(message)
    if numbers.size and numbers.max() >= n_rows:
        message = f"ids names row {numbers.max():,}, and X has {n_rows:,}; pass the X that was searched."
        raise InputError(message)
    return np.ascontiguousarray(numbers, np.int64)
