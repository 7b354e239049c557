from pathlib import Path

import dask.bag as db
import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
from dask.base import compute
from dask_ml.feature_extraction.text import HashingVectorizer as DaskVectorizer
from sklearn.feature_extraction.text import TfidfTransformer

from novelty_dask.datasets import make_urls
from novelty_dask.kernels.text.ngrams import count_ngrams
from novelty_dask.objects.commits import Draft
from novelty_dask.planning.stages import COLUMNS, SORT, VECTORIZE, WEIGH
from novelty_dask.planning.tiles import plan_tiles
from novelty_dask.stages.perform import perform
from novelty_dask.stages.sort import read_sorted_rows
from novelty_dask.storage.arrays import RunArrays
from novelty_dask.storage.runs import StoredRun
from novelty_dask.storage.tables import write_table
from tests.support.arrays import listed
from tests.support.reference import count_features
from tests.support.runs import NOBODY, make_run

N_FEATURES = 150_000
"""More columns than a chunk has, and no multiple of them."""


PLAN = plan_tiles(50, 16)


def store_sorted(run: StoredRun, sizes: list[int], n_rows: int) -> None:
    """Store rows in tables of some sizes, as a sort leaves them."""
    urls, tables, start = make_urls(n_rows, seed=8)[0], [], 0
    draft = Draft(SORT.task(), run.objects)
    for number, size in enumerate(sizes):
        numbers = np.arange(start, start + size)
        columns = {
            "url": pa.array(urls[start : start + size], pa.string()),
            "count": numbers + 1,
            "position": -numbers,
        }
        tables.append(write_table(draft, f"work/rows/{number}.parquet", pa.table(columns)))
        start += size
    run.commit(draft.digests, SORT.task(), NOBODY, {"tables": tables})


@pytest.fixture
def arrays(tmp_path: Path) -> RunArrays:
    """A run of 50 rows in blocks of 16, vectorized and weighed task by task."""
    run = make_run(tmp_path, PLAN, features="ngrams", n_features=N_FEATURES)
    store_sorted(run, [20, 0, 7, 23], 50)
    n_nonzeros = 0
    run.create_arrays(VECTORIZE)
    for task in reversed(VECTORIZE.tasks(run.manifest.shape)):
        n_nonzeros += perform(run.url, NOBODY, *task)["nonzeros"]
    assert n_nonzeros == count_features(make_urls(50, seed=8)[0], (3, 3), N_FEATURES).nnz
    for stage in (COLUMNS, WEIGH):
        run.create_arrays(stage)
        for task in stage.tasks(run.manifest.shape):
            perform(run.url, NOBODY, *task)
    return run.arrays()


def test_rows_are_read_from_the_tables_in_which_they_lie(tmp_path: Path) -> None:
    run = make_run(tmp_path, PLAN)
    store_sorted(run, [5, 0, 2], 7)
    for start, stop in ((0, 4), (4, 7), (5, 7), (0, 7)):
        assert read_sorted_rows(run.commits, start, stop)["position"].to_pylist() == [
            -row for row in range(start, stop)
        ]


def test_rows_are_stored_with_count_and_position(arrays: RunArrays) -> None:
    assert listed(arrays["rows/url"][:]) == make_urls(50, seed=8)[0]
    assert listed(arrays["rows/count"][:]) == list(range(1, 51))
    assert listed(arrays["rows/position"][:]) == [-row for row in range(50)]


def test_document_frequencies_are_summed_over_blocks(arrays: RunArrays) -> None:
    expected = count_features(make_urls(50, seed=8)[0], (3, 3), N_FEATURES)
    frequency = np.bincount(expected.indices, minlength=N_FEATURES)
    np.testing.assert_array_equal(arrays["columns/document_frequency"][:], frequency)
    np.testing.assert_array_equal(np.asarray(arrays["partial_frequency"][:]).sum(axis=0), frequency)


def test_columns_are_ranked_rare_ones_first(arrays: RunArrays) -> None:
    frequency, rank = arrays.read("columns/document_frequency"), arrays.read("columns/rank")
    assert ((rank >= 0) == (frequency > 0)).all()
    used = np.flatnonzero(rank >= 0)
    assert sorted(rank[used]) == list(range(len(used)))
    assert (np.diff(frequency[used][np.argsort(rank[used])]) >= 0).all()


def test_blocks_are_weighed_as_scikit_learn_weighs_the_whole(arrays: RunArrays) -> None:
    counts = count_features(make_urls(50, seed=8)[0], (3, 3), N_FEATURES)
    expected = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    rank = np.asarray(arrays["columns/rank"][:])
    for block, start in enumerate(range(0, 50, 16)):
        wanted = expected[start : start + 16]
        wanted.indices = rank[wanted.indices]
        wanted.sort_indices()
        found = arrays.read_csr("weights", block, (wanted.shape[0], int(rank.max()) + 1))
        assert found.data.tobytes() == wanted.data.tobytes()
        np.testing.assert_array_equal(found.indices, wanted.indices)
        np.testing.assert_array_equal(found.indptr, wanted.indptr)


def test_the_counts_are_those_of_dask_ml_on_a_bag() -> None:
    urls = make_urls(500, seed=4)[0]
    vectorizer = DaskVectorizer(
        analyzer="char", ngram_range=(3, 3), norm=None, alternate_sign=False, dtype=np.float32
    )
    theirs = sp.vstack(
        compute(*vectorizer.transform(db.from_sequence(urls, npartitions=3)).to_delayed().ravel())
    )
    assert (theirs != count_ngrams(urls, (3, 3), 2**20)).nnz == 0
