"""The estimators are scikit-learn's and Dask's in all that these ask of estimators."""

import pickle
import warnings
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import DBSCAN
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.manifold import TSNE
from sklearn.metrics import make_scorer, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsTransformer, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

import novelty_dask
from novelty_dask.estimators import ExactNeighborsTransformer, NoveltyDetector, UrlVectorizer

URLS, PLANTED = novelty_dask.datasets.make_urls(400, n_planted=4)
MAKE: dict[str, Callable[[], BaseEstimator]] = {
    "detector": NoveltyDetector,
    "detector of new rows": lambda: NoveltyDetector(novelty=True),
    "detector by distance": lambda: NoveltyDetector(5, metric="euclidean", by="novelty_kth", novelty=True),
    "detector of a share": lambda: NoveltyDetector(contamination=0.1, by="novelty_nearest"),
    "transformer": ExactNeighborsTransformer,
    "transformer to ones": lambda: ExactNeighborsTransformer(3, mode="connectivity", metric="euclidean"),
    "vectorizer": UrlVectorizer,
}


@pytest.fixture(scope="module")
def vectors() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).normal(size=(120, 6))


@pytest.mark.sampled
@pytest.mark.parametrize("name", MAKE)
def test_all_checks_of_scikit_learn_pass(name: str) -> None:
    with warnings.catch_warnings():
        # It warns of each check that its own settings, or a kind of input, leave out.
        warnings.simplefilter("ignore", SkipTestWarning)
        warnings.simplefilter("ignore", FutureWarning)
        results = check_estimator(MAKE[name](), on_fail=None)
    assert results
    assert [each for each in results if each["status"] not in ("passed", "skipped")] == []
    # That of array libraries needs a variable of the environment.
    skipped = {each["check_name"] for each in results if each["status"] == "skipped"}
    assert skipped <= {"check_array_api_input"}


@pytest.mark.parametrize("name", MAKE)
def test_clones_have_the_parameters_and_nothing_that_was_fitted(name: str) -> None:
    estimator = MAKE[name]()
    estimator.fit(URLS)
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params()
    assert not [attribute for attribute in vars(copy) if attribute.endswith("_")]


@pytest.mark.parametrize("n_features", [2**8, 2**22])
def test_a_pickled_vectorizer_is_whole_and_no_larger_than_what_it_has_seen(n_features: int) -> None:
    vectorizer = UrlVectorizer(n_features=n_features).fit(URLS)
    pickled = pickle.dumps(vectorizer)
    assert len(pickled) < 300_000
    copy = pickle.loads(pickled)
    assert copy.idf_.dtype == vectorizer.idf_.dtype
    assert copy.idf_.tobytes() == vectorizer.idf_.tobytes()
    assert copy.n_rows_ == vectorizer.n_rows_


@pytest.mark.parametrize("name", MAKE)
def test_pickles_give_the_same_bytes(name: str) -> None:
    estimator = MAKE[name]().fit(URLS)
    copy = pickle.loads(pickle.dumps(estimator))
    for method in ("transform", "score_samples"):
        if hasattr(estimator, method):
            assert bytes_of(getattr(copy, method)(URLS[:50])) == bytes_of(
                getattr(estimator, method)(URLS[:50])
            )


def bytes_of(result: Any) -> list[bytes]:
    """Return the bytes of an array, or of the arrays of a matrix."""
    arrays = (result,) if isinstance(result, np.ndarray) else (result.data, result.indices, result.indptr)
    return [np.ascontiguousarray(array).tobytes() for array in arrays]


def test_the_graph_is_that_of_scikit_learn(vectors: np.ndarray[Any, Any]) -> None:
    for metric in ("cosine", "euclidean"):
        for mode in ("distance", "connectivity"):
            ours = ExactNeighborsTransformer(5, mode=mode, metric=metric).fit_transform(vectors)
            theirs = KNeighborsTransformer(n_neighbors=5, mode=mode, metric=metric).fit_transform(vectors)
            assert ours.indices.tolist() == theirs.indices.tolist()
            np.testing.assert_allclose(ours.data, theirs.data, atol=1e-7)
            assert ours.indptr.tolist() == theirs.indptr.tolist()


def test_each_row_is_first_among_its_equals() -> None:
    graph = ExactNeighborsTransformer(2).fit_transform(np.ones((4, 3)))
    assert graph.indices.reshape(4, 3)[:, 0].tolist() == [0, 1, 2, 3]
    assert graph.data.reshape(4, 3)[:, 0].tolist() == [0, 0, 0, 0]
    alone = ExactNeighborsTransformer(1, mode="connectivity").fit_transform(np.ones((4, 3)))
    assert alone.toarray().tolist() == np.eye(4).tolist()


def test_neighbors_are_those_of_scikit_learn(vectors: np.ndarray[Any, Any]) -> None:
    detector = NoveltyDetector(4, metric="euclidean").fit(vectors)
    theirs = NearestNeighbors(n_neighbors=4).fit(vectors)
    for queries in (None, vectors[:7] + 0.1):
        distances, indices = detector.kneighbors(queries)
        expected = theirs.kneighbors(queries)
        assert indices.tolist() == expected[1].tolist()
        np.testing.assert_allclose(distances, expected[0])
        graphs = [each.kneighbors_graph(queries, 3, mode="distance") for each in (detector, theirs)]
        assert graphs[0].indices.tolist() == graphs[1].indices.tolist()


@pytest.mark.long
# Asked for the first time, joblib counts the cores by a command.
@pytest.mark.process
def test_graphs_fit_what_takes_distances_computed_before(vectors: np.ndarray[Any, Any]) -> None:
    graph = ExactNeighborsTransformer(40).fit_transform(vectors)
    labels = DBSCAN(metric="precomputed", eps=0.3).fit_predict(graph)
    expected = DBSCAN(metric="cosine", eps=0.3, algorithm="brute").fit_predict(vectors)
    within = (1 - novelty_dask.cosine_similarity(vectors) < 0.3).sum(axis=1).max()
    assert within <= 40
    assert labels.tolist() == expected.tolist()
    placed = TSNE(metric="precomputed", init="random", perplexity=10, random_state=0).fit_transform(graph)
    assert placed.shape == (120, 2)


def test_umap_takes_the_entries_of_the_graph(vectors: np.ndarray[Any, Any]) -> None:
    umap = pytest.importorskip("umap")
    graph = ExactNeighborsTransformer(15).fit_transform(vectors)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = graph.indices.reshape(120, 16), graph.data.reshape(120, 16)
        placed = umap.UMAP(precomputed_knn=known, n_neighbors=15, random_state=0).fit_transform(vectors)
    assert placed.shape == (120, 2)


def test_scanpy_takes_the_transformer(vectors: np.ndarray[Any, Any]) -> None:
    scanpy, anndata = pytest.importorskip("scanpy"), pytest.importorskip("anndata")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = anndata.AnnData(vectors)
        scanpy.pp.neighbors(data, transformer=ExactNeighborsTransformer(14, metric="euclidean"), use_rep="X")
        other = anndata.AnnData(vectors)
        scanpy.pp.neighbors(other, n_neighbors=15, use_rep="X")
    assert (data.obsp["distances"] != other.obsp["distances"]).nnz == 0 or np.allclose(
        data.obsp["distances"].toarray(), other.obsp["distances"].toarray(), atol=1e-6
    )


def test_new_rows_are_told_from_known_ones() -> None:
    detector = NoveltyDetector(novelty=True).fit(URLS)
    scores = detector.score_samples(["https://unheard-of.example/zebra/quagga?okapi", URLS[0]])
    assert scores[0] < scores[1]
    assert detector.predict(["https://unheard-of.example/zebra/quagga?okapi"]).tolist() == [-1]
    np.testing.assert_array_equal(
        detector.decision_function(URLS), detector.score_samples(URLS) - detector.offset_
    )


def test_planted_urls_are_outliers() -> None:
    share = len(PLANTED) / len(URLS)
    labels = make_pipeline(UrlVectorizer(), NoveltyDetector(contamination=share)).fit_predict(URLS)
    assert np.flatnonzero(labels < 0).tolist() == sorted(PLANTED)


def test_contamination_is_the_share_of_outliers(vectors: np.ndarray[Any, Any]) -> None:
    labels = NoveltyDetector(contamination=0.25).fit_predict(vectors)
    assert (labels < 0).sum() == 30


def test_columns_of_novelty_are_those_of_a_run() -> None:
    X = np.array([[1.0, 0], [1, 1], [0, 1], [1, 0.1]])
    similarities = novelty_dask.cosine_similarity(X)
    np.fill_diagonal(similarities, -1)
    best = np.sort(similarities, axis=1)[:, ::-1][:, :2]
    for by, expected in (
        ("novelty", best.mean(axis=1)),
        ("novelty_nearest", best[:, 0]),
        ("novelty_kth", best[:, 1]),
    ):
        np.testing.assert_allclose(NoveltyDetector(2, by=by).fit(X).novelty_, 1 - expected, atol=1e-12)


def test_a_search_over_parameters_chooses_by_a_score() -> None:
    X = UrlVectorizer().fit_transform(URLS)
    y = np.ones(len(URLS), int)
    y[PLANTED] = -1
    search = GridSearchCV(
        NoveltyDetector(novelty=True),
        {"n_neighbors": [1, 5], "by": ["novelty", "novelty_kth"]},
        scoring=make_scorer(roc_auc_score, response_method="decision_function"),
        cv=2,
        error_score="raise",
    ).fit(X, y)
    assert search.best_score_ > 0.9
    assert set(search.best_params_) == {"n_neighbors", "by"}


def test_output_may_be_asked_for_as_scikit_learn_has_it(vectors: np.ndarray[Any, Any]) -> None:
    transformer = ExactNeighborsTransformer(3).fit(vectors)
    assert transformer.get_feature_names_out()[:2].tolist() == [
        "exactneighborstransformer0",
        "exactneighborstransformer1",
    ]
    ours = ExactNeighborsTransformer(3).set_output(transform="default")
    assert sp.issparse(ours.fit_transform(vectors))
    # As for all transformers to sparse matrices.
    for each in (ExactNeighborsTransformer(3), KNeighborsTransformer(n_neighbors=3)):
        with pytest.raises((ValueError, TypeError), match=r"[Ss]parse"):
            each.set_output(transform="pandas").fit_transform(vectors)


def test_methods_that_make_no_sense_are_not_there() -> None:
    assert not hasattr(NoveltyDetector(novelty=True), "fit_predict")
    for method in ("predict", "score_samples", "decision_function"):
        assert not hasattr(NoveltyDetector(), method)


@pytest.mark.parametrize(
    ("estimator", "X", "error", "sentence"),
    [
        (NoveltyDetector(0), np.eye(3), ValueError, "n_neighbors is 0; pass an integer of at least 1"),
        (NoveltyDetector(cast("int", 2.5)), np.eye(3), TypeError, "n_neighbors is 2.5; pass an integer"),
        (NoveltyDetector(metric="dot"), np.eye(3), ValueError, "no metric 'dot'; pass 'cosine' or"),
        (NoveltyDetector(by="lof"), np.eye(3), ValueError, "no novelty 'lof'; pass by="),
        (NoveltyDetector(contamination=0.6), np.eye(3), ValueError, "contamination is 0.6; pass 'auto'"),
        (NoveltyDetector(contamination="some"), np.eye(3), ValueError, "is 'some'; pass 'auto'"),
        (ExactNeighborsTransformer(mode="x"), np.eye(3), ValueError, "no mode 'x'; pass 'connectivity' or"),
        (UrlVectorizer(normal_form="x"), ["a.example"], ValueError, "normal_form='x'"),
        (UrlVectorizer(), [], ValueError, "no text to fit; pass at least one"),
        (UrlVectorizer(), iter(["a.example"]), TypeError, "X is list_iterator; pass one column of texts"),
        (UrlVectorizer(), "a.example", TypeError, "X is str; pass one column of texts"),
        (UrlVectorizer(), ["a.example", None], TypeError, r"number 1 \(from 0\) is NoneType; convert it"),
        (UrlVectorizer(normal_form="web"), ["a.example", "http://["], ValueError, r"number 1 .* is no URL"),
    ],
)  # fmt: skip
def test_what_is_impossible_is_refused(estimator: Any, X: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        estimator.fit(X)


def test_what_an_estimator_was_not_fitted_for_is_refused(vectors: np.ndarray[Any, Any]) -> None:
    detector = NoveltyDetector(novelty=True)
    with pytest.raises(NotFittedError):
        detector.kneighbors(vectors)
    with pytest.raises(ValueError, match="was fitted on a matrix and can't take URLs"):
        detector.fit(vectors).predict(URLS[:2])
    with pytest.raises(
        ValueError, match=r"X has negative values, and the rows .* have none; fit it on a dense"
    ):
        detector.fit(sp.csr_matrix(np.abs(vectors))).predict(vectors)
    with pytest.raises(ValueError, match="Expected n_neighbors <= n_samples_fit"):
        detector.fit(vectors).kneighbors(n_neighbors=120)
