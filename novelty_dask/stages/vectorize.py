"""Rows to weighted sparse blocks: hash, count the rows of each column, weigh.

Each task reads one block and writes one block.  Document frequencies are stored for each block and summed by
one task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from novelty_dask.kernels.search.columns import order_columns
from novelty_dask.kernels.text.normal_forms import normalize_texts
from novelty_dask.kernels.text.tfidf import document_frequency, renumber_columns
from novelty_dask.progress import advance
from novelty_dask.stages.merged import MergedRows
from novelty_dask.stages.sort import read_sorted_rows
from novelty_dask.stages.tasks import TaskResult, Workspace
from novelty_dask.storage.arrays import Arrays, split_csr
from novelty_dask.storage.tables import KEPT, TIMES, has_times

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pyarrow as pa
    import scipy.sparse as sp
    from numpy.typing import NDArray


def vectorize_block(workspace: Workspace, item: str) -> TaskResult:
    """Return the rows of a block, and the number of them in which each column occurs."""
    bounds = workspace.plan.bounds(int(item))
    is_made_of_runs = workspace.run.manifest.growth is not None
    rows = MergedRows(workspace.run).read(*bounds) if is_made_of_runs else _read_rows(workspace, *bounds)
    urls = rows["rows/url"].tolist()
    lines = _normalize(workspace, urls)
    counts = workspace.features.count(lines)
    text = max(_text_bytes(urls), _text_bytes(lines)) + _text_bytes(rows.get("rows/kept", ()))
    frequency = _partial_frequency(workspace, counts, rows["rows/position"])
    return TaskResult({**rows, **frequency}, {"nonzeros": counts.nnz, "text_bytes": text})


def _read_rows(workspace: Workspace, start: int, stop: int) -> dict[str, NDArray[Any]]:
    """Return consecutive rows from the tables of the sort."""
    table = read_sorted_rows(workspace.run.commits, start, stop)
    rows: dict[str, NDArray[Any]] = {
        "rows/url": np.array(table["url"].to_pylist(), np.dtypes.StringDType()),
        "rows/count": table["count"].to_numpy(),
        "rows/position": table["position"].to_numpy(),
        "rows/spellings": _spellings(table),
    }
    if KEPT in table.column_names:
        rows["rows/kept"] = np.array(table[KEPT].to_pylist(), np.dtypes.StringDType())
    rows |= {f"rows/{name}": table[name].to_numpy() for name in TIMES if has_times(table)}
    return rows


def _text_bytes(texts: Iterable[str]) -> int:
    """Return the bytes of some texts."""
    return sum(len(text.encode()) for text in texts)


def _spellings(table: pa.Table) -> NDArray[np.int64]:
    """Return how many spellings each row has; lines that are compared as they are have one."""
    if "spellings" in table.column_names:
        return np.asarray(table["spellings"].to_numpy())
    return np.ones(table.num_rows, np.int64)


def recount_block(workspace: Workspace, item: str) -> TaskResult:
    """Return of `vectorize_block` what follows from the stored URLs of a block."""
    positions = workspace.read_rows("rows/position", int(item))
    return TaskResult(_partial_frequency(workspace, _count_stored(workspace, item), positions))


def sum_frequencies(workspace: Workspace, _item: str) -> TaskResult:
    """Return the summed document frequencies, and weight and order of the columns, rare ones first."""
    frequency = np.zeros(workspace.settings.n_features, np.int64)
    # One block at a time: all partial frequencies together would be the size of a matrix of blocks by
    # columns.
    for block in range(workspace.plan.n_blocks):
        frequency += workspace.arrays.read("partial_frequency", block)
        advance(block + 1, workspace.plan.n_blocks)
    if workspace.plan.known_rows:
        return _adopt_columns(workspace, frequency)
    ordered = order_columns(frequency)
    segments = workspace.run.manifest.identity.segments
    # A run that has grown keeps the weights that follow from the rows it began with.
    n_rows = segments[0].rows if segments else workspace.plan.n_rows
    arrays: Arrays = {
        "columns/document_frequency": frequency,
        "columns/idf": workspace.features.inverse_document_frequency(frequency, n_rows),
        "columns/rank": _rank_all(ordered.rank) if segments else ordered.rank,
        "columns/breakpoints": ordered.breakpoints,
    }
    if segments:
        # Behind all columns of these rows are those that only rows added later may have.
        all_columns = np.int32(frequency.size)
        arrays = {
            **arrays,
            "columns/breakpoints": np.unique(np.append(ordered.breakpoints, all_columns)).astype(np.int32),
        }
    return TaskResult(arrays, {"n_columns": ordered.document_frequency.size})


def _rank_all(ranks: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return ranks with those that are lacking behind all others, in the order of the columns."""
    # Of all columns, whether a row has them or not: so the order in which weights are multiplied, and with it
    # the last bit of a similarity, does not depend on which rows were added when.
    lacking = np.flatnonzero(ranks < 0)
    ranks = ranks.copy()
    ranks[lacking] = ranks.size - lacking.size + np.arange(lacking.size, dtype=np.int32)
    return ranks


def _adopt_columns(workspace: Workspace, frequency: NDArray[np.int64]) -> TaskResult:
    """Return the columns of the reference, and behind them those that only the rows of this run have."""
    reference = workspace.open_candidates().arrays
    names = ("columns/document_frequency", "columns/idf", "columns/rank")
    arrays = {name: reference.read(name) for name in names}
    ranks, breakpoints = arrays["columns/rank"], reference.read_breakpoints()
    # A column that the reference lacks has the weight of document frequency 0 there already.  It meets no
    # candidate, but counts in the length of its row.  Behind the last break-point of the reference all
    # candidates have a norm of 0, and so no search looks at it.
    lacking = np.flatnonzero((frequency > 0) & (ranks < 0))
    n_known = int(breakpoints[-1])
    ranks[lacking] = n_known + np.arange(lacking.size, dtype=np.int32)
    if lacking.size:
        breakpoints = np.unique(np.append(breakpoints, np.int32(n_known + lacking.size)))
    arrays["columns/breakpoints"] = breakpoints.astype(np.int32)
    return TaskResult(arrays, {"n_columns": n_known + lacking.size})


def weigh_block(workspace: Workspace, item: str) -> TaskResult:
    """Return the weights of a block, with columns in their final order."""
    # The rows are hashed anew, which takes less time than storing and reading their counts.
    idf, rank = workspace.arrays.read("columns/idf"), workspace.arrays.read("columns/rank")
    weights = workspace.features.weigh(_count_stored(workspace, item), idf)
    weights = renumber_columns(weights, rank, int(rank.max()) + 1)
    return TaskResult(split_csr("weights", weights, workspace.plan.block_rows))


def _count_stored(workspace: Workspace, item: str) -> sp.csr_matrix:
    """Return the features of the stored URLs of a block."""
    return _count(workspace, workspace.read_rows("rows/url", int(item)).tolist())


def _count(workspace: Workspace, urls: Sequence[str]) -> sp.csr_matrix:
    """Return the features of the normal forms of URLs."""
    return workspace.features.count(_normalize(workspace, urls))


def _normalize(workspace: Workspace, urls: Sequence[str]) -> Sequence[str]:
    """Return the normal forms of URLs."""
    return normalize_texts(urls, workspace.settings.normal_form)


def _partial_frequency(workspace: Workspace, counts: sp.csr_matrix, positions: NDArray[np.int64]) -> Arrays:
    """Return the array of partial frequencies of a block, of those rows that weights are computed from."""
    segments = workspace.run.manifest.identity.segments
    # What was added later was read behind all of them.
    weighed = counts[positions < segments[0].lines] if segments else counts
    return {"partial_frequency": document_frequency(weighed)}
