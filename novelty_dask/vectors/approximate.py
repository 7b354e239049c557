"""Approximate neighbors of dense rows: candidates in fewer columns, decided exactly, with a recall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from novelty_dask.engines.dense import DenseEngine, no_neighbors
from novelty_dask.vectors.recall import TrueNeighbors, check_recall
from novelty_dask.vectors.searching import check_memory, search_blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.engines.dense import Metric
    from novelty_dask.kernels.neighbors import Neighbors
    from novelty_dask.results.recall import Recall
    from novelty_dask.vectors.checked import CheckedBlocks

AXES = 64
"""Columns that are left."""
FACTORS = (4, 16, 64)
"""Candidates of a row for each neighbor, tried one after the other until the recall is high enough."""
MOST_CANDIDATES = 1_000


class ReducedBlocks:
    """Rows along the directions in which they differ most, in memory in float32.

    Parameters
    ----------
    blocks : CheckedBlocks
        Of dense rows.
    metric : {"cosine", "euclidean", "inner_product"}

    Attributes
    ----------
    starts : list of int
        Numbers of the first rows of the blocks, and the number of all rows.
    """

    def __init__(self, blocks: CheckedBlocks, metric: Metric) -> None:
        self.starts = blocks.starts
        engine = DenseEngine(metric)
        center, axes = _find_axes(blocks, engine, is_centered=metric == "euclidean")
        self._parts = [
            ((engine.scale(blocks.read(block)) - center) @ axes).astype(np.float32)
            for block in range(blocks.n_blocks)
        ]

    def read(self, block: int) -> NDArray[np.float64]:
        """Return the rows of a block."""
        return self._parts[block].astype(np.float64)


def _find_axes(
    blocks: CheckedBlocks, engine: DenseEngine, *, is_centered: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a center, and the directions of the largest second moments around it, as columns.

    They are the singular vectors of a truncated decomposition, by the eigenvectors of the moments, which are
    added up block by block.
    """
    total, moments = np.zeros(blocks.n_columns), np.zeros((blocks.n_columns, blocks.n_columns))
    for block in range(blocks.n_blocks):
        rows = engine.scale(blocks.read(block))
        total += rows.sum(axis=0)
        moments += rows.T @ rows
    center = total / max(1, blocks.n_rows) if is_centered else np.zeros(blocks.n_columns)
    moments -= blocks.n_rows * np.outer(center, center)
    # Ascending, so that the last are the largest.
    return center, np.linalg.eigh(moments)[1][:, -AXES:]


def find_approximately(
    blocks: CheckedBlocks, metric: Metric, k: int, min_recall: float | None
) -> tuple[Neighbors, Recall]:
    """Return neighbors of all rows, and their recall.

    Parameters
    ----------
    blocks : CheckedBlocks
        Of dense rows.
    metric : {"cosine", "euclidean", "inner_product"}
    k : int
        Neighbors of each row.
    min_recall : float, optional
        Least lower bound of the recall.

    Raises
    ------
    SettingsError
        The recall is lower.
    BudgetError
        The candidates do not fit in memory.
    """
    reduced, engine = ReducedBlocks(blocks, metric), DenseEngine(metric)
    true = TrueNeighbors(blocks, engine, k)
    for factor in FACTORS:
        n_candidates = min(factor * k, MOST_CANDIDATES)
        # Numbers and closeness of the candidates, of all rows.
        check_memory(16 * blocks.n_rows * n_candidates)
        proposed = no_neighbors(blocks.n_rows, n_candidates)
        search_blocks(reduced, DenseEngine(metric), proposed)
        found = decide(blocks, engine, proposed.ids, k)
        recall = true.recall_of(found)
        if min_recall is None or recall.low >= min_recall:
            break
    check_recall(recall, min_recall, "use engine='exact'")
    return found, recall


def decide(blocks: CheckedBlocks, engine: Any, proposed: NDArray[np.int64], k: int) -> Neighbors:
    """Return the k closest of the candidates of each row, decided as an exact engine decides."""
    found = no_neighbors(blocks.n_rows, k)
    numbers = np.arange(blocks.n_rows)
    for block in range(blocks.n_blocks):
        part = slice(blocks.starts[block], blocks.starts[block + 1])
        rows = engine.scale(blocks.read(block))
        kept: Any = found.ids[part], found.similarities[part]
        for other in range(blocks.n_blocks):
            candidates = rows if other == block else engine.scale(blocks.read(other))
            engine.rescore((numbers[part], rows), (blocks.starts[other], candidates), proposed[part], kept)
    return found
