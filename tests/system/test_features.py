"""Whole runs that compare URLs by their parts: exact, the same however they are cut, and never mixed up."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.errors import SettingsError, StoreError
from novelty_dask.features.url import UrlFeatures
from novelty_dask.kernels.choices import FEATURE_VERSIONS
from novelty_dask.kernels.text.tfidf import document_frequency
from novelty_dask.kernels.text.urls import normalize
from novelty_dask.storage.manifest import checksum
from tests.support.arrays import listed
from tests.support.content import content
from tests.support.files import write_lines
from tests.support.listeners import at_start, interrupt
from tests.support.reference import assert_exact

ODD = [
    "readme.txt",
    "GET /x HTTP/1.1",
    "a",
    "?",
    "#/",
    "http://",
    "é",
    "1.2.3.4",
    "[::1]:80/x",
    "me@a.example",
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lines(tmp_path_factory.mktemp("source") / "urls.txt", [*make_urls(900, seed=4)[0], *ODD])


def weighed(urls: list[str]) -> sp.csr_matrix:
    """Return the weights of the pages of a corpus in one piece."""
    features = UrlFeatures(2**22)
    counts = features.count([normalize(url, "page") or "" for url in urls])
    idf = features.inverse_document_frequency(document_frequency(counts), len(urls))
    weights = features.weigh(counts, idf)
    # Most columns are empty: brute force can do without them.
    used, columns = np.unique(weights.indices, return_inverse=True)
    return sp.csr_matrix((weights.data, columns, weights.indptr), shape=(len(urls), used.size))


@pytest.fixture(scope="module")
def run(source: Path) -> novelty_dask.Run:
    return novelty_dask.score(source, workers=0)


def test_neighbors_are_exact(run: novelty_dask.Run) -> None:
    assert_exact(run.neighbors.ids[:], run.neighbors.similarities[:], weighed(listed(run.urls[:])))
    assert not np.isnan(run.novelty[:]).any()


def test_neighbors_are_others_than_by_ngrams(run: novelty_dask.Run, source: Path) -> None:
    assert (
        content(novelty_dask.score(source, features="ngrams", normal_form="page", workers=0))["ids"]
        != content(run)["ids"]
    )


@pytest.mark.sampled
@pytest.mark.parametrize("block_rows", [64, 333])
def test_block_size_does_not_show(run: novelty_dask.Run, source: Path, block_rows: int) -> None:
    again = novelty_dask.score(source, workers=0, block_rows=block_rows)
    assert content(again) == content(run)


def test_a_stopped_run_goes_on_to_the_same_bytes(run: novelty_dask.Run, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score(source, out, workers=0, listener=at_start("compare", interrupt))
    resumed = novelty_dask.resume(out, workers=0)
    assert content(resumed) == content(run)
    assert not novelty_dask.verify(out, recompute_blocks=1).damages


def test_n_grams_are_refused_where_they_mean_nothing(source: Path) -> None:
    with pytest.raises(SettingsError, match="ngram_range"):
        novelty_dask.score(source, features="url", ngram_range=(3, 3))


def test_a_run_of_another_version_of_the_features_is_refused_by_name(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    novelty_dask.score(source, out, workers=0)
    for document in (out / "zarr.json", out / "manifest" / "zarr.json"):
        root = json.loads(document.read_text())
        content = root["attributes"]["novelty_dask"]
        content["identity"]["features_version"] = FEATURE_VERSIONS["url"] + 1
        del content["checksum"]
        content["checksum"] = checksum(content)
        document.write_text(json.dumps(root))
    with pytest.raises(StoreError, match=r"compares by version 3 of the features 'url', .* by version 2; "):
        novelty_dask.open(out)


@pytest.mark.sampled
@pytest.mark.parametrize(
    "lines", [["a.example"], ["a.example", "b.example"], ODD, ["x" * 8_192, "x" * 8_191]]
)
def test_edges_are_exact_and_defined(tmp_path: Path, lines: list[str]) -> None:
    run = novelty_dask.score(write_lines(tmp_path / "urls.txt", lines), block_rows=2)
    rows = listed(run.urls[:])
    assert sorted(rows) == sorted(set(lines))
    if len(rows) > 1:
        assert_exact(run.neighbors.ids[:], run.neighbors.similarities[:], weighed(rows))
    assert np.isnan(run.novelty[:]).all() == (len(rows) == 1)
