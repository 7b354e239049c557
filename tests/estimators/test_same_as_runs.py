"""What estimators compute of URLs are the bytes that a run has of them."""

import lzma
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import novelty_dask
from novelty_dask.cli import main
from novelty_dask.estimators import NoveltyDetector, UrlVectorizer
from novelty_dask.stages.tasks import open_workspace
from novelty_dask.storage.runs import open_complete
from tests.support.files import write_lines

K = 7
OPTIONS = {"ngram_range": "--ngram"}
SETTINGS: dict[str, dict[str, Any]] = {
    "urls": {},
    "templates": {"normal_form": "template", "n_features": 2**18},
    "n-grams": {"features": "ngrams", "ngram_range": (2, 4), "n_features": 2**16},
}


@pytest.fixture(scope="module", params=SETTINGS)
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, UrlVectorizer]:
    """A run of the command line, and the vectorizer of its settings."""
    settings = SETTINGS[request.param]
    folder = tmp_path_factory.mktemp("run")
    urls = novelty_dask.datasets.make_urls(3_000, seed=4)[0]
    source = write_lines(folder / "urls.txt", [*urls, *urls[:50]])
    values = {"n_neighbors": K, "block_rows": 700, "workers": 0, **settings}
    options = [
        part
        for name, value in values.items()
        for part in (
            OPTIONS.get(name, f"--{name.replace('_', '-')}"),
            str(value).strip("()").replace(" ", ""),
        )
    ]
    main(["score", str(source), "-o", str(folder / "run.zarr"), *options], standalone_mode=False)
    return novelty_dask.open(folder / "run.zarr"), UrlVectorizer(**settings)


def stored_weights(run: Any) -> Any:
    """Return the weights of a run, with the columns of its features."""
    workspace = open_workspace(stored := open_complete(run.url), stored.arrays())
    rank = workspace.arrays.read("columns/rank")
    used = int(rank.max()) + 1
    blocks = [
        workspace.arrays.read_csr("weights", block, (stop - start, used))
        for block in range(workspace.plan.n_blocks)
        for start, stop in [workspace.plan.bounds(block)]
    ]
    ranked = sp.vstack(blocks, format="csr")
    columns = np.zeros(used, np.int32)
    columns[rank[rank >= 0]] = np.flatnonzero(rank >= 0)
    weights = sp.csr_matrix(
        (ranked.data, columns[ranked.indices], ranked.indptr), (ranked.shape[0], rank.size)
    )
    weights.sort_indices()
    return weights


@pytest.mark.sampled
def test_columns_and_weights_are_those_of_the_run(case: tuple[Any, UrlVectorizer]) -> None:
    run, vectorizer = case
    urls = run.urls[:].tolist()
    weights, expected = vectorizer.fit_transform(urls), stored_weights(run)
    assert weights.shape == expected.shape
    assert np.array_equal(weights.indptr, expected.indptr)
    assert np.array_equal(weights.indices, expected.indices)
    assert weights.data.tobytes() == expected.data.tobytes()


def test_other_spellings_and_repeated_lines_count_once(case: tuple[Any, UrlVectorizer]) -> None:
    run, vectorizer = case
    urls = run.urls[:].tolist()
    idf = vectorizer.fit(urls).idf_
    assert vectorizer.fit([*urls, *urls[::3]]).idf_.tobytes() == idf.tobytes()
    assert vectorizer.n_rows_ == len(run)


def test_neighbors_and_novelty_are_those_of_the_command_line(case: tuple[Any, UrlVectorizer]) -> None:
    run, vectorizer = case
    X = vectorizer.fit_transform(run.urls[:].tolist())
    ids, similarities = run.neighbors.ids[:], run.neighbors.similarities[:]
    for by in ("novelty", "novelty_nearest", "novelty_kth"):
        detector = NoveltyDetector(K, by=by).fit(X)
        assert detector.novelty_.tobytes() == getattr(run, by)[:].tobytes()
    distances, indices = detector.kneighbors()
    assert np.array_equal(indices[ids >= 0], ids[ids >= 0])
    assert (ids >= 0).mean() > 0.9
    assert (1 - distances).astype(np.float32).tobytes() == similarities.tobytes()


def test_new_urls_are_compared_with_the_weights_of_the_run(case: tuple[Any, UrlVectorizer]) -> None:
    run, vectorizer = case
    X = vectorizer.fit_transform(run.urls[:].tolist())
    detector = NoveltyDetector(K, novelty=True).fit(X)
    rows = vectorizer.transform(run.urls[100:200].tolist())
    distances, indices = detector.kneighbors(rows, K + 1)
    # Each finds itself, or a row equal to it, and then what the run found for it.
    assert np.all(distances[:, 0] < 1e-6)
    for number, found in enumerate(indices, start=100):
        others = found[found != number][:K]
        stored = run.neighbors.ids[number]
        assert others[: (stored >= 0).sum()].tolist() == stored[stored >= 0].tolist()


@pytest.mark.corpus
def test_neighbors_of_real_urls_are_those_of_a_run(corpora: Path, tmp_path: Path) -> None:
    with lzma.open(corpora / "urls_1m.txt.xz", "rt", encoding="utf-8") as file:
        lines = [next(file).rstrip("\n") for _ in range(4_000)]
    run: Any = novelty_dask.score(write_lines(tmp_path / "urls.txt", lines), tmp_path / "run.zarr", workers=0)
    detector = NoveltyDetector().fit(run.urls[:].tolist())
    assert detector.novelty_.tobytes() == run.novelty[:].tobytes()
    ids = run.neighbors.ids[:]
    assert np.array_equal(detector.kneighbors()[1][ids >= 0], ids[ids >= 0])
