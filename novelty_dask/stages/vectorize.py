"""Rows to weighted sparse blocks: hash, count in how many rows each column occurs, weigh.

Each task reads one block and writes one block; document frequencies are stored for each block and summed
by one task.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from novelty_dask.execution.executors import Figures
from novelty_dask.kernels.search.columns import order_columns
from novelty_dask.kernels.text.ngrams import count_ngrams
from novelty_dask.kernels.text.tfidf import (
    document_frequency,
    inverse_document_frequency,
    renumber_columns,
    weigh,
)
from novelty_dask.planning.tiles import TilePlan, block_slices
from novelty_dask.stages.tasks import Workspace
from novelty_dask.storage.arrays import array, write_csr
from novelty_dask.storage.tables import Table, read_slice

if TYPE_CHECKING:
    import zarr


class BlockRows(NamedTuple):
    """A block, and the tables in which its rows lie, each with first row and the one after the last."""

    block: int
    parts: tuple[tuple[Table, int, int], ...]


def block_rows(tables: Sequence[Table], plan: TilePlan) -> Iterator[BlockRows]:
    """The blocks of a plan, from sorted tables that follow one another."""
    for block, slices in enumerate(block_slices([table.n_rows for table in tables], plan)):
        yield BlockRows(block, tuple((tables[number], start, stop) for number, start, stop in slices))


def vectorize(workspace: Workspace, rows: BlockRows) -> Figures:
    """Store the rows of a block, and in how many of them each column occurs."""
    commits = workspace.run.commits
    table = pa.concat_tables(read_slice(commits, "sort", *part) for part in rows.parts)
    urls = table["url"].to_pylist()
    store_rows(workspace.group, rows.block, table, urls)
    counts = _hash(workspace, urls)
    array(workspace.group, "partial_frequency")[rows.block] = document_frequency(counts)
    return {"nonzeros": counts.nnz}


def store_rows(group: "zarr.Group", block: int, table: pa.Table, urls: list[str]) -> None:
    """Store URLs, counts and first positions of a block."""
    columns = {
        "url": np.array(urls, np.dtypes.StringDType()),
        "count": table["count"].to_numpy(),
        "position": table["position"].to_numpy(),
    }
    for name, values in columns.items():
        stored = array(group, f"rows/{name}")
        start = block * stored.chunks[0]
        stored[start : start + len(values)] = values


def _hash(workspace: Workspace, urls: list[str]) -> sp.csr_matrix:
    """Counts of some URLs with the settings of a run."""
    return count_ngrams(urls, workspace.settings["ngram_range"], workspace.settings["n_features"])


def order(workspace: Workspace, _argument: None) -> Figures:
    """Sum the document frequencies, and fix weight and order of the columns, rare ones first."""
    group = workspace.group
    partial = array(group, "partial_frequency")
    frequency = np.zeros(partial.shape[1], np.int64)
    for block in range(partial.shape[0]):
        frequency += np.asarray(partial[block])
    columns = order_columns(frequency)
    array(group, "columns/document_frequency")[:] = frequency
    array(group, "columns/idf")[:] = inverse_document_frequency(frequency, workspace.plan.n_rows)
    array(group, "columns/rank")[:] = columns.rank
    array(group, "columns/cuts")[: columns.cuts.size] = columns.cuts
    return {"columns": columns.document_frequency.size}


def weigh_block(workspace: Workspace, block: int) -> Figures:
    """Weigh the counts of a block, with columns in their final order.

    The rows are hashed anew: that takes less than to store and read their counts.
    """
    group = workspace.group
    start, stop = workspace.plan.bounds(block)
    idf = np.asarray(array(group, "columns/idf")[:])
    rank = np.asarray(array(group, "columns/rank")[:])
    counts = _hash(workspace, np.asarray(array(group, "rows/url")[start:stop]).tolist())
    write_csr(group, "weights", block, renumber_columns(weigh(counts, idf), rank, int(rank.max()) + 1))
    return {}
