from pathlib import Path

import dask
import dask.bag as db
import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
import zarr
from dask_ml.feature_extraction.text import HashingVectorizer as DaskVectorizer
from sklearn.feature_extraction.text import TfidfTransformer

from novelty_dask.datasets import make_urls
from novelty_dask.execution.executors import Job
from novelty_dask.kernels.text.ngrams import count_ngrams
from novelty_dask.objects.commits import Commit, Draft
from novelty_dask.planning.tiles import plan_tiles
from novelty_dask.stages import vectorize
from novelty_dask.stages.sort import SORTED
from novelty_dask.stages.tasks import perform
from novelty_dask.stages.vectorize import BlockRows
from novelty_dask.storage.arrays import array, read_csr
from novelty_dask.storage.layout import WHOLE
from novelty_dask.storage.runs import StoredRun
from novelty_dask.storage.tables import Table, write_table
from tests.support.reference import count_features
from tests.support.runs import NOBODY, make_run

N_FEATURES = 150_000
"""More columns than a chunk has, and no multiple of them."""


PLAN = plan_tiles(50, 16)


def stored(run: StoredRun, sizes: list[int], n_rows: int) -> list[Table]:
    """Rows cut into tables of some sizes, as a sort leaves them."""
    urls, tables, start = make_urls(n_rows, seed=8)[0], [], 0
    draft = Draft(SORTED, run.objects)
    for number, size in enumerate(sizes):
        numbers = np.arange(start, start + size)
        columns = {
            "url": pa.array(urls[start : start + size], pa.string()),
            "count": numbers + 1,
            "position": -numbers,
        }
        tables.append(write_table(draft, f"work/rows/{number}.parquet", pa.table(columns)))
        start += size
    run.commits.add(SORTED, Commit(run.manifest.fingerprint, NOBODY, draft.stamps, {}))
    return tables


@pytest.fixture
def group(tmp_path: Path) -> zarr.Group:
    """A run of 50 rows in blocks of 16, vectorized and weighed task by task."""
    run = make_run(tmp_path, PLAN, n_features=N_FEATURES)
    rows = list(vectorize.block_rows(stored(run, [20, 0, 7, 23], 50), PLAN))
    n_nonzeros = 0
    run.create_arrays("vectorize")
    for each in reversed(rows):
        figures = perform(run.url, NOBODY, "vectorize", vectorize.vectorize, Job(str(each.block), each))
        n_nonzeros += figures["nonzeros"]
    assert n_nonzeros == count_features(make_urls(50, seed=8)[0], (3, 3), N_FEATURES).nnz
    run.create_arrays("columns")
    perform(run.url, NOBODY, "columns", vectorize.order, Job(WHOLE))
    run.create_arrays("weigh")
    for block in range(PLAN.n_blocks):
        perform(run.url, NOBODY, "weigh", vectorize.weigh_block, Job(str(block), block))
    return run.group()


def test_blocks_know_the_tables_of_their_rows() -> None:
    a, b, c = tables = [Table("all", "a", 5, 0), Table("all", "b", 0, 0), Table("all", "c", 2, 0)]
    assert list(vectorize.block_rows(tables, plan_tiles(7, 4))) == [
        BlockRows(0, ((a, 0, 4),)),
        BlockRows(1, ((a, 4, 5), (b, 0, 0), (c, 0, 2))),
    ]


def test_rows_are_stored_with_count_and_position(group: zarr.Group) -> None:
    assert array(group, "rows/url")[:].tolist() == make_urls(50, seed=8)[0]
    assert array(group, "rows/count")[:].tolist() == list(range(1, 51))
    assert array(group, "rows/position")[:].tolist() == [-row for row in range(50)]


def test_document_frequencies_are_summed_over_blocks(group: zarr.Group) -> None:
    expected = count_features(make_urls(50, seed=8)[0], (3, 3), N_FEATURES)
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
    counts = count_features(make_urls(50, seed=8)[0], (3, 3), N_FEATURES)
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


def test_the_counts_are_those_of_dask_ml_on_a_bag() -> None:
    urls = make_urls(500, seed=4)[0]
    vectorizer = DaskVectorizer(
        analyzer="char", ngram_range=(3, 3), norm=None, alternate_sign=False, dtype=np.float32
    )
    theirs = sp.vstack(
        dask.compute(*vectorizer.transform(db.from_sequence(urls, npartitions=3)).to_delayed().ravel())
    )
    assert (theirs != count_ngrams(urls, (3, 3), 2**20)).nnz == 0
