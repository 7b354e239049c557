"""Sentences of README and docs/ that nothing else holds to what is so."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

import novelty_dask
from novelty_dask.datasets import make_urls
from tests.support.arrays import listed
from tests.support.files import ROOT, write_lines
from tests.support.reference import count_features, tfidf

NOTEBOOK = "notebooks/01_quickstart.ipynb"


def page(name: str) -> str:
    """Return the text of a page, each run of spaces as one."""
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


def test_the_readme_says_how_long_the_tests_take() -> None:
    assert re.search(r"The second tests it, which takes (\d+ to )?\d+ minutes", page("README.md"))


@pytest.mark.parametrize("name", ["README.md", "docs/getting-started.md"])
def test_pages_that_name_the_notebook_say_how_to_open_it(name: str) -> None:
    assert (ROOT / NOTEBOOK).exists()
    for part in (NOTEBOOK, "`pip install jupyterlab`", f"`jupyter lab {NOTEBOOK}`"):
        assert part in page(name)


def test_features_and_weights_are_those_of_the_expressions_on_the_page() -> None:
    urls, _ = make_urls(200, seed=1)
    of_features, of_weights = re.findall(
        r"`((?:HashingVectorizer|TfidfTransformer)\([^`]+\))`", page("docs/explanation/novelty.md")
    )
    names: dict[str, Any] = {
        "np": np,
        "HashingVectorizer": HashingVectorizer,
        "TfidfTransformer": TfidfTransformer,
    }
    counts = eval(of_features, names).transform(urls)
    weights = eval(of_weights, names).fit_transform(counts)
    # What tests of kernels and of whole runs compare with, bit for bit.
    for found, expected in ((counts, count_features(urls, (3, 3))), (weights, tfidf(urls))):
        assert found.dtype == expected.dtype == np.float32
        assert (found != expected).nnz == 0


def test_similarities_within_a_ten_millionth_are_ties_and_go_by_number(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "u.txt", make_urls(700)[0])
    run = novelty_dask.score(source, n_neighbors=400, features="ngrams", workers=0)
    ids, similarities = np.asarray(run.neighbors.ids[:]), np.asarray(run.neighbors.similarities[:])
    rows, ranks = np.nonzero((similarities[:, 1:] == similarities[:, :-1]) & (ids[:, 1:] >= 0))
    assert similarities.dtype == np.float32
    assert (ids[rows, ranks] < ids[rows, ranks + 1]).all()
    counts = count_features(listed(run.urls[:]), (3, 3)).astype(np.float64)
    weights = sp.csr_array(TfidfTransformer(sublinear_tf=True).fit_transform(counts))
    former, latter = (
        weights[rows].multiply(weights[ids[rows, rank]]).sum(axis=1) for rank in (ranks, ranks + 1)
    )
    # Some of them are no ties in float64.
    assert 0 < np.abs(former - latter).max() < 2e-7
