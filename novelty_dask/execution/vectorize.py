"""Rows to weighted sparse blocks: hash, count in how many rows each column occurs, weigh.

Each task reads one block and writes one block.  Document frequencies are stored for each
block and summed by ranges of columns, so that no task sees more than a strip of them.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from novelty_dask.kernels.bounds import order_columns
from novelty_dask.kernels.ngrams import count_ngrams
from novelty_dask.kernels.tfidf import (
    document_frequency,
    inverse_document_frequency,
    renumber_columns,
    weigh,
)
from novelty_dask.planning.tiles import TilePlan, block_slices
from novelty_dask.storage.blocks import array, read_csr, write_csr
from novelty_dask.storage.runs import open_group, read_manifest
from novelty_dask.storage.tables import Table, read_slice

if TYPE_CHECKING:
    import zarr


class BlockRows(NamedTuple):
    """A block, and the tables in which its rows lie, each with first row and the one after the last."""

    block: int
    parts: tuple[tuple[str, int, int], ...]


def block_rows(tables: Sequence[Table], plan: TilePlan) -> Iterator[BlockRows]:
    """The blocks of a plan, from sorted tables that follow one another."""
    for block, slices in enumerate(block_slices([table.n_rows for table in tables], plan)):
        yield BlockRows(block, tuple((tables[number].url, start, stop) for number, start, stop in slices))


def vectorize(run: str, rows: BlockRows) -> dict[str, float]:
    """Store the rows of a block and their hashed n-gram counts."""
    group = open_group(run, "r+")
    settings = read_manifest(group).settings
    table = pa.concat_tables(read_slice(*part) for part in rows.parts)
    urls = table["url"].to_pylist()
    store_rows(group, rows.block, table, urls)
    counts = count_ngrams(urls, settings["ngram_range"], settings["n_features"])
    write_csr(group, "counts", rows.block, counts)
    array(group, "partial_frequency")[rows.block] = document_frequency(counts)
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


def sum_frequency(run: str, part: int) -> dict[str, float]:
    """Sum the document frequencies of one range of columns over all blocks."""
    group = open_group(run, "r+")
    partial, total = array(group, "partial_frequency"), array(group, "columns/document_frequency")
    columns = slice(part * total.chunks[0], (part + 1) * total.chunks[0])
    frequency = np.zeros_like(total[columns])
    for block in range(partial.shape[0]):
        frequency += np.asarray(partial[block, columns])
    total[columns] = frequency
    return {}


def order(run: str, _item: None) -> dict[str, float]:
    """Fix weight and order of the columns, rare ones first."""
    group = open_group(run, "r+")
    frequency = np.asarray(array(group, "columns/document_frequency")[:])
    columns = order_columns(frequency)
    array(group, "columns/idf")[:] = inverse_document_frequency(
        frequency, read_manifest(group).plan["n_rows"]
    )
    array(group, "columns/rank")[:] = columns.rank
    array(group, "columns/cuts")[: columns.cuts.size] = columns.cuts
    return {"columns": columns.document_frequency.size}


def weigh_block(run: str, block: int) -> dict[str, float]:
    """Turn the counts of a block into weights, with columns in their final order."""
    group = open_group(run, "r+")
    plan = TilePlan(**read_manifest(group).plan)
    start, stop = plan.bounds(block)
    idf = np.asarray(array(group, "columns/idf")[:])
    rank = np.asarray(array(group, "columns/rank")[:])
    counts = read_csr(group, "counts", block, (stop - start, idf.size)).astype(np.float32)
    write_csr(group, "weights", block, renumber_columns(weigh(counts, idf), rank, int(rank.max()) + 1))
    return {}
