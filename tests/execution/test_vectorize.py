from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import zarr
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

from novelty_dask.datasets import make_urls
from novelty_dask.execution import vectorize
from novelty_dask.execution.vectorize import BlockRows
from novelty_dask.planning.tiles import plan_tiles
from novelty_dask.storage import blocks
from novelty_dask.storage.blocks import array, read_csr
from novelty_dask.storage.runs import Manifest, create_run
from novelty_dask.storage.tables import Table, write_table

N_FEATURES = 150_000
"""More columns than a chunk has, and no multiple of them."""


def scikit_learn(urls: list[str], ngram_range: tuple[int, int], n_features: int) -> Any:
    vectorizer = HashingVectorizer(
        analyzer="char",
        ngram_range=ngram_range,
        n_features=n_features,
        norm=None,
        alternate_sign=False,
        dtype=np.float32,
    )
    return vectorizer.transform(urls)


def stored(folder: Path, sizes: list[int], n_rows: int) -> list[Table]:
    """Rows cut into tables of some sizes."""
    urls, tables, start = make_urls(n_rows, seed=8)[0], [], 0
    for number, size in enumerate(sizes):
        numbers = np.arange(start, start + size)
        columns = {
            "url": pa.array(urls[start : start + size], pa.string()),
            "count": numbers + 1,
            "position": -numbers,
        }
        tables.append(write_table(f"{folder}/{number}.parquet", pa.table(columns)))
        start += size
    return tables


@pytest.fixture
def group(tmp_path: Path) -> zarr.Group:
    """A run of 50 rows in blocks of 16, vectorized and weighed task by task."""
    plan, url = plan_tiles(50, 16), str(tmp_path / "run.zarr")
    manifest = Manifest({"ngram_range": [3, 3], "n_features": N_FEATURES}, [], plan=dict(vars(plan)))
    group = create_run(url, manifest)
    specs = [
        *blocks.row_specs(50, 16),
        *blocks.sparse_specs("counts", plan.n_blocks, 16, "uint32"),
        *blocks.frequency_specs(N_FEATURES, plan.n_blocks),
        *blocks.column_specs(N_FEATURES),
        *blocks.sparse_specs("weights", plan.n_blocks, 16, "float32"),
    ]
    blocks.create_arrays(group, specs)
    tables = stored(tmp_path, [20, 0, 7, 23], 50)
    rows = list(vectorize.block_rows(tables, plan))
    figures = [vectorize.vectorize(url, each) for each in reversed(rows)]
    assert (
        sum(each["nonzeros"] for each in figures)
        == scikit_learn(make_urls(50, seed=8)[0], (3, 3), N_FEATURES).nnz
    )
    for part in range(3):
        vectorize.sum_frequency(url, part)
    vectorize.order(url, None)
    for block in range(plan.n_blocks):
        vectorize.weigh_block(url, block)
    return group


def test_blocks_know_the_tables_of_their_rows() -> None:
    tables = [Table("a", 5, 0), Table("b", 0, 0), Table("c", 2, 0)]
    assert list(vectorize.block_rows(tables, plan_tiles(7, 4))) == [
        BlockRows(0, (("a", 0, 4),)),
        BlockRows(1, (("a", 4, 5), ("b", 0, 0), ("c", 0, 2))),
    ]


def test_rows_are_stored_with_count_and_position(group: zarr.Group) -> None:
    assert array(group, "rows/url")[:].tolist() == make_urls(50, seed=8)[0]
    assert array(group, "rows/count")[:].tolist() == list(range(1, 51))
    assert array(group, "rows/position")[:].tolist() == [-row for row in range(50)]


def test_document_frequencies_are_summed_over_blocks(group: zarr.Group) -> None:
    expected = scikit_learn(make_urls(50, seed=8)[0], (3, 3), N_FEATURES)
    frequency = np.bincount(expected.indices, minlength=N_FEATURES)
    np.testing.assert_array_equal(array(group, "columns/document_frequency")[:], frequency)
    np.testing.assert_array_equal(np.asarray(array(group, "partial_frequency")[:]).sum(axis=0), frequency)


def test_columns_are_ranked_rare_ones_first(group: zarr.Group) -> None:
    frequency, rank = array(group, "columns/document_frequency")[:], array(group, "columns/rank")[:]
    assert ((rank >= 0) == (frequency > 0)).all()
    used = np.flatnonzero(rank >= 0)
    assert sorted(rank[used]) == list(range(len(used)))
    assert (np.diff(frequency[used][np.argsort(rank[used])]) >= 0).all()


def test_blocks_are_weighed_as_scikit_learn_weighs_the_whole(group: zarr.Group) -> None:
    counts = scikit_learn(make_urls(50, seed=8)[0], (3, 3), N_FEATURES)
    expected = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    rank = np.asarray(array(group, "columns/rank")[:])
    for block, start in enumerate(range(0, 50, 16)):
        wanted = expected[start : start + 16]
        wanted.indices = rank[wanted.indices]
        wanted.sort_indices()
        found = read_csr(group, "weights", block, (wanted.shape[0], int(rank.max()) + 1))
        assert found.data.tobytes() == wanted.data.tobytes()
        np.testing.assert_array_equal(found.indices, wanted.indices)
        np.testing.assert_array_equal(found.indptr, wanted.indptr)
