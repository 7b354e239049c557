"""Neighbors among the candidates that the engine of a library proposes, decided exactly, with a recall."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from novelty_dask.engines.dense import DenseEngine
from novelty_dask.engines.products import ProductEngine
from novelty_dask.errors import InputError, NoveltyError, SettingsError, reason
from novelty_dask.vectors.approximate import decide
from novelty_dask.vectors.libraries.proposing import load, thread_count
from novelty_dask.vectors.recall import TrueNeighbors, check_recall
from novelty_dask.vectors.searching import check_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from novelty_dask.engines.dense import Metric
    from novelty_dask.kernels.neighbors import Neighbors
    from novelty_dask.results.recall import Recall
    from novelty_dask.vectors.checked import CheckedBlocks

MORE = 5
"""Candidates of a row beyond its neighbors: itself, and some that float32 can't tell from the last."""
BATCH_BYTES = 2**25
"""Bytes of the rows that are searched at once, and of their candidates."""


def find_among_candidates(
    blocks: CheckedBlocks, metric: Metric, k: int, engine: tuple[str, Any], min_recall: float | None
) -> tuple[Neighbors, Recall]:
    """Return neighbors of all rows, and their recall.

    Parameters
    ----------
    blocks : CheckedBlocks
    metric : {"cosine", "euclidean", "inner_product"}
    k : int
        Neighbors of each row.
    engine : (str, CandidateEngine)
        What sentences call it, and itself.
    min_recall : float, optional
        Least lower bound of the recall.

    Raises
    ------
    InputError
        The engine does not take rows of this form.
    SettingsError
        It does not know the metric, or failed, or the recall is lower.
    BudgetError
        All rows, the index and the candidates do not fit in memory.
    """
    name, proposer = engine
    _check(blocks, metric, name, proposer)
    n_rows, n_candidates = blocks.n_rows, min(k + MORE, blocks.n_rows)
    n_values = int(blocks.frequency.sum()) if blocks.is_sparse else n_rows * (blocks.n_columns + 1)
    row_bytes = 24 * n_values if blocks.is_sparse else 4 * n_values
    check_memory(
        row_bytes + proposer.index_bytes(n_rows, n_values) + n_rows * (8 * n_candidates + 16 * k),
        "use engine='exact', which holds two blocks of rows at a time",
    )
    exact: Any = ProductEngine(metric) if blocks.is_sparse else DenseEngine(metric)
    with _one_sentence(name):
        proposed = _propose(_gather(blocks, exact, metric), metric, n_candidates, proposer)
    found = decide(blocks, exact, proposed, k)
    # As in an exact search, sparse rows that share no column are no neighbors by cosine.
    above = 0.0 if blocks.is_sparse and metric == "cosine" else -np.inf
    found.ids[found.similarities <= above] = -1
    recall = TrueNeighbors(blocks, exact, k, above=above).recall_of(found)
    check_recall(recall, min_recall, "pass other engine_options, or use engine='exact'")
    return found, recall


def _check(blocks: CheckedBlocks, metric: Metric, name: str, proposer: Any) -> None:
    """Refuse what an engine does not take."""
    if metric not in proposer.metrics:
        known = " and ".join(map(repr, proposer.metrics))
        message = f"{name} finds by {known}, and not by {metric!r}; use engine='exact'."
        raise SettingsError(message)
    if blocks.is_sparse and not proposer.takes_sparse:
        message = f"X is sparse, and {name} takes dense rows; use engine='exact', or pass a dense X."
        raise InputError(message)
    if proposer.takes_sparse and not blocks.is_sparse:
        message = f"X is dense, and {name} takes sparse rows; use engine='exact', or pass a csr_matrix."
        raise InputError(message)


def _gather(blocks: CheckedBlocks, exact: Any, metric: Metric) -> Any:
    """Return all rows in the form in which engines take them."""
    if blocks.is_sparse:
        return sp.vstack([exact.scale(blocks.read(block)) for block in range(blocks.n_blocks)], "csr")
    center, largest, has_zeros = _survey(blocks, metric)
    rows = np.zeros((blocks.n_rows, blocks.n_columns + has_zeros), np.float32)
    for block in range(blocks.n_blocks):
        part = slice(blocks.starts[block], blocks.starts[block + 1])
        rows[part, : blocks.n_columns] = exact.scale(blocks.read(block)) / largest - center
    if has_zeros:
        rows[:, -1] = ~rows.any(axis=1)
    return rows


def _survey(blocks: CheckedBlocks, metric: Metric) -> tuple[NDArray[np.float64], float, bool]:
    """Return the mean and the largest value, by which rows are scaled, and whether any has no direction."""
    total, largest, has_zeros = np.zeros(blocks.n_columns), 0.0, False
    for block in range(blocks.n_blocks):
        rows = blocks.read(block)
        if metric == "cosine":
            has_zeros |= not rows.any(axis=1).all()
            continue
        largest = max(largest, float(np.abs(rows).max(initial=0)))
        if metric == "euclidean":
            # float32 tells distances apart where rows lie around zero.
            total += (rows / blocks.n_rows).sum(axis=0)
    return total / (largest or 1.0), largest or 1.0, has_zeros


def _propose(X: Any, metric: Metric, n_candidates: int, proposer: Any) -> NDArray[np.int64]:
    """Return candidates of all rows."""
    n_rows, n_columns = X.shape
    if n_candidates == n_rows:
        return np.tile(np.arange(n_rows), (n_rows, 1))
    proposed = np.full((n_rows, n_candidates), -1)
    step = max(1, BATCH_BYTES // (4 * n_columns + 16 * n_candidates))
    with _limited_threads():
        index = proposer.prepare(X, metric, n_candidates)
        for start in range(0, n_rows, step):
            part = slice(start, min(start + step, n_rows))
            found = np.asarray(proposer.search(index, X, part, n_candidates))
            proposed[part, : found.shape[1]] = found
    return proposed


@contextmanager
def _one_sentence(name: str) -> Iterator[None]:
    """Turn any error of a library into one of ours, of one sentence."""
    try:
        yield
    except NoveltyError:
        raise
    except Exception as error:
        message = f"{name} failed: {reason(error)}; pass other engine_options, or use engine='exact'."
        raise SettingsError(message) from error


@contextmanager
def _limited_threads() -> Iterator[None]:
    """Let OpenMP and BLAS use as many threads as a library may, where their number can be set."""
    if not find_spec("threadpoolctl"):
        yield
        return
    with load("threadpoolctl").threadpool_limits(thread_count()):
        yield
