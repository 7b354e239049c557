"""Collections of Dask as input, in one process and on a scheduler, and estimators inside those of dask-ml."""

from typing import Any

import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from dask.base import compute
from dask.delayed import delayed
from distributed import Client
from sklearn.pipeline import make_pipeline

import novelty_dask
from novelty_dask.estimators import ExactNeighborsTransformer, NoveltyDetector, UrlVectorizer

wrappers = pytest.importorskip("dask_ml.wrappers", reason="dask-ml is not installed")

URLS = novelty_dask.datasets.make_urls(300, n_planted=3, seed=2)[0]
NEW = ["https://unheard-of.example/zebra?okapi", *URLS[:40]]


@pytest.fixture(scope="module")
def matrix() -> Any:
    return UrlVectorizer(n_features=2**16).fit_transform(URLS)


def blocks(matrix: Any, size: int, *, known: bool = True) -> Any:
    """Return rows as a Dask array of blocks of some rows, whose number may not be known."""
    parts = [matrix[start : start + size] for start in range(0, matrix.shape[0], size)]
    arrays = [
        da.from_delayed(
            delayed(part),
            (part.shape[0] if known else np.nan, matrix.shape[1]),
            meta=sp.csr_matrix(np.empty((0, matrix.shape[1]), part.dtype)),
        )
        for part in parts
    ]
    return da.concatenate(arrays, allow_unknown_chunksizes=True)


def same(one: Any, other: Any) -> bool:
    """Return whether two matrices have the same bytes."""
    return all(
        getattr(one, name).tobytes() == getattr(other, name).astype(getattr(one, name).dtype).tobytes()
        for name in ("data", "indices", "indptr")
    )


COLLECTIONS = {
    "bag": lambda urls: db.from_sequence(urls, npartitions=4),
    "series": lambda urls: dd.from_pandas(pd.Series(urls, name="url"), npartitions=3),
    "array": lambda urls: da.from_array(np.array(urls, object), chunks=70),
}


@pytest.mark.parametrize("kind", COLLECTIONS)
def test_texts_of_a_collection_are_those_of_a_list(kind: str) -> None:
    # Equal ones are in different partitions.
    texts = [*URLS, *URLS[:100]]
    expected = UrlVectorizer(n_features=2**16).fit(texts)
    vectorizer = UrlVectorizer(n_features=2**16).fit(COLLECTIONS[kind](texts))
    assert vectorizer.n_rows_ == expected.n_rows_
    assert vectorizer.idf_.tobytes() == expected.idf_.tobytes()
    lazy = vectorizer.transform(COLLECTIONS[kind](URLS))
    assert isinstance(lazy, da.Array)
    assert sp.issparse(lazy._meta)
    parts: Any = compute(*lazy.to_delayed().ravel())
    computed: Any = sp.vstack(parts, format="csr")
    assert same(computed, expected.transform(URLS))


@pytest.mark.parametrize("known", [True, False])
def test_sparse_blocks_are_fitted_and_scored_as_a_matrix(matrix: Any, known: bool) -> None:
    X = blocks(matrix, 70, known=known)
    detector = NoveltyDetector(novelty=True).fit(X)
    expected = NoveltyDetector(novelty=True).fit(matrix)
    assert detector.novelty_.tobytes() == expected.novelty_.tobytes()
    for method in ("predict", "score_samples", "decision_function"):
        lazy = getattr(detector, method)(X)
        assert isinstance(lazy, da.Array)
        assert lazy.compute().tobytes() == getattr(expected, method)(matrix).tobytes()
    for lazy, array in zip(detector.kneighbors(X, 3), expected.kneighbors(matrix, 3), strict=True):
        assert lazy.dtype == array.dtype
        assert lazy.compute().tobytes() == array.tobytes()


def test_a_dense_array_may_be_cut_by_columns(matrix: Any) -> None:
    X = np.random.default_rng(0).normal(size=(90, 6))
    lazy = da.from_array(X, chunks=(40, 4))
    graph = ExactNeighborsTransformer(4).fit_transform(lazy)
    assert same(graph, ExactNeighborsTransformer(4).fit_transform(X))
    detector = NoveltyDetector(novelty=True).fit(X)
    assert detector.predict(lazy).compute().tolist() == detector.predict(X).tolist()
    frame = dd.from_pandas(pd.DataFrame(X), npartitions=2)
    assert NoveltyDetector().fit(frame).novelty_.tobytes() == NoveltyDetector().fit(X).novelty_.tobytes()


def test_urls_of_a_bag_go_through_a_pipeline_to_their_scores() -> None:
    bag = db.from_sequence(URLS, npartitions=3)
    pipeline = make_pipeline(UrlVectorizer(), NoveltyDetector(novelty=True)).fit(bag)
    labels = pipeline.predict(db.from_sequence(NEW, npartitions=2)).compute()
    assert (
        labels.tolist()
        == make_pipeline(UrlVectorizer(), NoveltyDetector(novelty=True)).fit(URLS).predict(NEW).tolist()
    )
    assert labels[0] == -1


def test_parallel_post_fit_predicts_block_by_block(matrix: Any) -> None:
    wrapped = wrappers.ParallelPostFit(NoveltyDetector(novelty=True)).fit(matrix)
    expected = NoveltyDetector(novelty=True).fit(matrix).predict(matrix)
    for X in (blocks(matrix, 70), blocks(matrix, 70, known=False)):
        labels = wrapped.predict(X)
        assert isinstance(labels, da.Array)
        assert labels.compute().tolist() == expected.tolist()
    dense = np.random.default_rng(1).normal(size=(60, 5))
    wrapped = wrappers.ParallelPostFit(NoveltyDetector(novelty=True)).fit(dense)
    assert wrapped.predict(da.from_array(dense, chunks=(25, 5))).compute().shape == (60,)


def test_pipelines_of_dask_ml_end_in_a_detector() -> None:
    text = pytest.importorskip("dask_ml.feature_extraction.text")
    pipeline = make_pipeline(
        text.HashingVectorizer(analyzer="char", ngram_range=(3, 3), alternate_sign=False, n_features=2**16),
        NoveltyDetector(novelty=True),
    )
    pipeline.fit(db.from_sequence(URLS, npartitions=3))
    labels = pipeline.predict(db.from_sequence(NEW, npartitions=2)).compute()
    assert labels.shape == (len(NEW),)
    wrapped = wrappers.ParallelPostFit(pipeline)
    assert wrapped.predict(NEW).tolist() == labels.tolist()


def test_blocks_are_scored_by_the_workers_of_a_scheduler(client: Client, matrix: Any) -> None:
    detector = NoveltyDetector(novelty=True).fit(matrix)
    with client.as_current():
        future = client.compute(detector.score_samples(blocks(matrix, 70)))
        assert future.result().tobytes() == detector.score_samples(matrix).tobytes()
        vectorizer = UrlVectorizer().fit(db.from_sequence(URLS, npartitions=4))
    assert vectorizer.idf_.tobytes() == UrlVectorizer().fit(URLS).idf_.tobytes()
