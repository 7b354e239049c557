"""The views of rows, from stored arrays, against brute force."""

import random
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import LocalOutlierFactor

import novelty_dask
import novelty_dask.stages.views
from novelty_dask import stages
from novelty_dask.kernels.choices import VIEWS
from novelty_dask.kernels.coverage import Columns
from novelty_dask.kernels.density import GREATEST_FACTOR
from novelty_dask.planning import tiles
from novelty_dask.run import Run
from novelty_dask.stages.tasks import Candidates
from novelty_dask.storage.runs import open_stored
from tests.support.arrays import listed
from tests.support.files import read_real_lines, write_lines

TIES = [f"https://{case}.example/{i % 7}" for i in range(30) for case in ("TIE", "tie", "Tie")]


def weights(run: Run) -> sp.csr_matrix:
    """All weights of a run."""
    stored = open_stored(run.url)
    arrays, plan = stored.arrays(), stored.manifest.plan
    assert plan
    n_columns = int(arrays.read("columns/rank").max()) + 1
    bounds = [plan.bounds(block) for block in range(plan.n_blocks)]
    blocks = [
        arrays.read_csr("weights", block, (stop - start, n_columns))
        for block, (start, stop) in enumerate(bounds)
    ]
    return sp.csr_matrix(sp.vstack(blocks))


def dense_uncovered(run: Run) -> np.ndarray:
    """The share of each row that no neighbor has, by dense arrays."""
    squares = weights(run).toarray().astype(np.float64) ** 2
    ids = np.asarray(run.neighbors.ids[:])
    covered = np.array([(squares[row[row >= 0]] > 0).any(axis=0) for row in ids])
    totals = squares.sum(axis=1)
    with np.errstate(invalid="ignore"):
        shares: np.ndarray = np.where(covered, 0, squares).sum(axis=1) / totals
    return shares


def views(run: Run) -> dict[str, np.ndarray]:
    return {name: np.asarray(getattr(run, name)[:]) for name in VIEWS}


def check_views(run: Run) -> None:
    """What follows from stored arrays is as it should be."""
    found = views(run)
    similarities = np.asarray(run.neighbors.similarities[:]).astype(np.float64)
    possible = similarities[:, : len(run) - 1]
    defined = ~np.isnan(found["novelty"])
    if len(run) > 1:
        np.testing.assert_array_equal(found["novelty_nearest"][defined], 1 - possible[defined, 0])
        np.testing.assert_array_equal(found["novelty_kth"][defined], 1 - possible[defined, -1])
        np.testing.assert_allclose(found["uncovered"][defined], dense_uncovered(run)[defined], rtol=1e-12)
    for name, view in found.items():
        np.testing.assert_array_equal(np.isnan(view), ~defined, name)
        assert (view[defined] >= 0).all(), name
        assert np.isfinite(view[defined]).all(), name


@pytest.mark.sampled
@pytest.mark.parametrize("block_rows", [64, 500, 1_000])
def test_views_are_those_of_brute_force(tmp_path: Path, block_rows: int) -> None:
    urls = [*novelty_dask.datasets.make_urls(400, seed=6)[0], *TIES, "ab"]
    check_views(novelty_dask.score(write_lines(tmp_path / "urls.txt", urls), block_rows=block_rows))


def test_factors_are_those_of_scikit_learn(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "urls.txt", novelty_dask.datasets.make_urls(1_200, seed=7)[0])
    compare_factors(
        novelty_dask.score(source, features="ngrams", block_rows=256, n_neighbors=5), at_least=0.5
    )


@pytest.mark.corpus
def test_factors_of_real_urls_are_those_of_scikit_learn(corpora: Path, tmp_path: Path) -> None:
    source = write_lines(tmp_path / "urls.txt", read_real_lines(corpora, 3_000))
    compare_factors(novelty_dask.score(source, features="ngrams", block_rows=1_024), at_least=0.9)


def compare_factors(run: Run, at_least: float) -> None:
    """Compare local outlier factors with scikit-learn's, on rows on which no tie at k bears."""
    X, k = weights(run).astype(np.float64), run.neighbors.ids.shape[1]
    fitted = LocalOutlierFactor(n_neighbors=k, metric="cosine", algorithm="brute").fit(X)
    distances, _ = fitted.kneighbors(n_neighbors=k + 1)
    is_tied = distances[:, k] - distances[:, k - 1] < 1e-6
    ids = np.asarray(run.neighbors.ids[:])
    # A tie at k of a neighbor is decided otherwise as well, and enters by its density.
    is_clear = ~is_tied & ~is_tied[ids].any(axis=1)
    assert is_clear.mean() >= at_least
    found = np.asarray(run.lof[:])[is_clear]
    np.testing.assert_allclose(found, -fitted.negative_outlier_factor_[is_clear], rtol=1e-4)


EDGES: dict[str, list[str]] = {
    "one row": ["https://a.example/"],
    "two rows": ["https://a.example/", "https://b.example/"],
    "two that share nothing": ["aaaa", "bbbb"],
    "nothing shared": ["aaaa", "bbbb", "cccc"],
    "all twins": [f"https://a.example/{case}" for case in ("abc", "ABC", "aBc", "Abc", "abC")],
    "too short for a feature": ["ab", "https://a.example/1", "https://a.example/2", "z"],
    "only too short": ["ab", "cd"],
    "more twins than neighbors": [
        f"https://a.example/{number:05b}".translate({48: 97, 49: 65}) for number in range(32)
    ],
}


@pytest.mark.sampled
@pytest.mark.parametrize("urls", EDGES.values(), ids=EDGES.keys())
def test_edges_are_defined(tmp_path: Path, urls: list[str]) -> None:
    check_views(novelty_dask.score(write_lines(tmp_path / "urls.txt", urls), block_rows=2, n_neighbors=3))


def test_twins_are_covered_and_as_dense_as_each_other(tmp_path: Path) -> None:
    run = novelty_dask.score(write_lines(tmp_path / "urls.txt", EDGES["all twins"]), n_neighbors=3)
    found = views(run)
    assert found["uncovered"].tolist() == [0] * 5
    # The similarity of equal rows is rounded, and their distance counts as 0 all the same.
    assert (found["novelty_nearest"] < 1e-6).all()
    np.testing.assert_allclose(found["lof"], 1, rtol=1e-12)


def test_a_row_that_shares_nothing_is_the_newest_in_every_view(tmp_path: Path) -> None:
    urls = [*novelty_dask.datasets.make_urls(300, seed=8)[0], "\u4e2d\u6587\u5b57\u6bcd\u8868"]
    run = novelty_dask.score(write_lines(tmp_path / "urls.txt", urls))
    for name in VIEWS:
        assert run.top(1, by=name).url.tolist() == urls[-1:], name
    assert run.top(1).lof.tolist() == [GREATEST_FACTOR]


@pytest.mark.long
@settings(deadline=None, max_examples=4)
@given(seed=st.integers(0, 99), block_rows=st.integers(15, 150), k=st.integers(1, 6))
def test_blocks_of_any_size_leave_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, seed: int, block_rows: int, k: int
) -> None:
    urls = [*novelty_dask.datasets.make_urls(100, seed=seed)[0], *TIES, "ab"]
    random.Random(seed).shuffle(urls)
    source = write_lines(tmp_path_factory.mktemp("cut") / "urls.txt", urls)
    whole = novelty_dask.score(source, block_rows=1_000, n_neighbors=k)
    cut = novelty_dask.score(source, block_rows=block_rows, n_neighbors=k)
    for (name, expected), found in zip(views(whole).items(), views(cut).values(), strict=True):
        assert found.tobytes() == expected.tobytes(), name


@pytest.mark.long
def test_longer_stretches_leave_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write_lines(tmp_path / "urls.txt", novelty_dask.datasets.make_urls(500, seed=9)[0])
    expected = views(novelty_dask.score(source, block_rows=50))
    monkeypatch.setattr(tiles, "STRETCH_SPANS", 7)
    run = novelty_dask.score(source, block_rows=50)
    assert run.manifest.stages["cover"]["tasks"] == 2
    for name, found in views(run).items():
        assert found.tobytes() == expected[name].tobytes(), name


def test_only_blocks_with_neighbors_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    read_columns = stages.views._read_columns

    def look(rows: Candidates, block: int) -> Columns:
        read.append(block)
        return read_columns(rows, block)

    monkeypatch.setattr(stages.views, "_read_columns", look)
    # Three words that share nothing, whose rows fill two blocks each.
    urls = [f"{word}{number:02}" for word in ("aaaaaaaa", "mmmmmmmm", "zzzzzzzz") for number in range(8)]
    run = novelty_dask.score(write_lines(tmp_path / "urls.txt", urls), block_rows=4, n_neighbors=2)
    assert listed(run.urls[:]) == sorted(urls)
    assert sorted(read) == [0, 1, 2, 3, 4, 5]
