"""Approximate neighbors: decided exactly among their candidates, and with a recall that is measured."""

from types import SimpleNamespace
from typing import Any

import dask.array as da
import numpy as np
import psutil
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

import novelty_dask
from novelty_dask.engines.dense import Metric
from novelty_dask.errors import BudgetError, InputError, SettingsError
from novelty_dask.results.recall import recall_interval

METRICS: tuple[Metric, ...] = ("cosine", "euclidean", "inner_product")


def make_vectors(n_rows: int = 1_500, n_columns: int = 300) -> NDArray[np.float64]:
    """Return rows whose columns matter less and less, as those of embeddings do."""
    chance = np.random.default_rng(5)
    centers = chance.normal(size=(40, n_columns))
    X = 0.3 * centers[chance.integers(0, 40, n_rows)] + chance.normal(size=(n_rows, n_columns))
    scaled: NDArray[np.float64] = X / np.arange(1, n_columns + 1) ** 0.25
    return scaled


def true_share(found: Any, exact: Any) -> float:
    """Return the share of the true neighbors among those found."""
    pairs = zip(found.ids.tolist(), exact.ids.tolist(), strict=True)
    return float(np.mean([len({*ids} & {*others}) / len(others) for ids, others in pairs]))


@pytest.mark.parametrize("metric", METRICS)
def test_approximate_neighbors_have_exact_values_and_the_recall_that_is_measured(metric: Metric) -> None:
    X = make_vectors()
    exact = novelty_dask.neighbors(X, metric=metric)
    found = novelty_dask.neighbors(X, metric=metric, engine="approximate", block_rows=400)
    values, true = ([*arrays][1] for arrays in (found, exact))
    where = [dict(zip(*row, strict=True)) for row in zip(exact.ids.tolist(), true.tolist(), strict=True)]
    for row, (ids, close) in enumerate(zip(found.ids.tolist(), values.tolist(), strict=True)):
        assert row not in ids
        assert all(where[row].get(other, value) == value for other, value in zip(ids, close, strict=True))
        assert close == sorted(close, reverse=metric != "euclidean")
    share = true_share(found, exact)
    assert 0.5 < share < 1
    assert found.recall is not None
    assert found.recall.low <= share <= found.recall.high
    assert found.recall.n_rows == 1_000
    assert exact.recall is None


def test_more_candidates_are_tried_until_the_recall_is_high_enough() -> None:
    X = make_vectors()
    first = novelty_dask.neighbors(X, engine="approximate")
    assert first.recall
    wanted = first.recall.high
    found = novelty_dask.neighbors(X, engine="approximate", min_recall=wanted)
    assert found.recall
    assert found.recall.low >= wanted
    noise = np.random.default_rng(3).normal(size=(2_000, 600))
    with pytest.raises(
        SettingsError, match=r"have a recall of 0\..* by 1,000 rows\), below min_recall=0.999; use"
    ):
        novelty_dask.neighbors(noise, engine="approximate", n_neighbors=2, min_recall=0.999)


def test_few_columns_are_all_kept() -> None:
    X = make_vectors(400, 30)
    found = novelty_dask.neighbors(da.from_array(X, chunks=(150, 30)), engine="approximate", min_recall=0.98)
    assert found.ids.tolist() == novelty_dask.neighbors(X).ids.tolist()
    assert found.recall
    assert found.recall.share == 1


def test_candidates_for_which_there_is_no_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    X = make_vectors(400, 4)
    # Enough for the blocks and the result, and not for four times as many candidates.
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=200_000))
    assert novelty_dask.neighbors(X).ids.shape == (400, 10)
    with pytest.raises(BudgetError, match="The search is projected to need"):
        novelty_dask.neighbors(X, engine="approximate")


def test_the_interval_holds_the_recall_of_all_rows_in_95_of_100_samples() -> None:
    chance = np.random.default_rng(8)
    populations = {
        "binomial": chance.binomial(10, 0.97, 20_000) / 10,
        "all or nothing": (chance.random(20_000) < 0.95).astype(float),
        "some rows are hard": np.where(chance.random(20_000) < 0.02, 0.3, 1.0),
        "half": chance.random(20_000),
    }
    for name, shares in populations.items():
        covered = 0
        for seed in range(500):
            sample = np.random.default_rng(seed).choice(shares, 300, replace=False)
            low, high = recall_interval(sample)[1:3]
            covered += low <= shares.mean() <= high
        assert covered >= 0.93 * 500, name


def test_recall_of_others_is_measured() -> None:
    X = make_vectors(700, 20)
    exact = novelty_dask.neighbors(X, n_neighbors=5)
    assert novelty_dask.measure_recall(X, exact.ids).share == 1
    worse = exact.ids.copy()
    worse[::7, 2] = -1
    found = novelty_dask.measure_recall(X, worse, n_sample=10**6)
    assert found.share == pytest.approx(1 - 100 / (700 * 5))
    assert found.n_rows == 700
    # As many libraries return them: itself first, which counts for nothing.
    with_self = np.hstack([np.arange(700)[:, None], exact.ids[:, :4]])
    assert novelty_dask.measure_recall(X, with_self, n_sample=700).share == pytest.approx(0.8)
    assert "recall of 0.8000 (" in str(novelty_dask.measure_recall(X, with_self, n_sample=700))
    # Of equal rows any will do.
    twins = np.repeat(X[:20], 10, axis=0)
    others = np.array([[other for other in range(row // 10 * 10, row // 10 * 10 + 10) if other != row][-3:]
                       for row in range(200)])  # fmt: skip
    assert novelty_dask.measure_recall(twins, others).share == 1
    assert novelty_dask.measure_recall(np.empty((0, 3)), np.empty((0, 5), int)).n_rows == 0


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        (np.zeros((3, 2)), r"ids has the shape \(3, 2\) and the type float64; pass integers"),
        (np.zeros((2, 2), int), r"for each of the 3 rows of X"),
        (np.full((3, 2), 3), "ids names row 3, and X has 3; pass the X that was searched"),
    ],
)
def test_ids_of_other_rows_are_refused(ids: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        novelty_dask.measure_recall(np.eye(3), ids)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"engine": "annoying"}, "There is no engine 'annoying'; pass one of 'exact', 'approximate'"),
        ({"min_recall": 0.9}, "min_recall is 0.9; pass a number between 0 and 1, with engine='approximate'"),
        ({"min_recall": 1, "engine": "approximate"}, "min_recall is 1; pass a number between 0 and 1"),
    ],
)
def test_impossible_choices_are_refused(options: Any, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        novelty_dask.neighbors(np.eye(3), **options)


def test_sparse_rows_are_searched_exactly() -> None:
    X = sp.eye(3, format="csr")
    with pytest.raises(InputError, match="X is sparse, and sparse rows are searched exactly"):
        novelty_dask.neighbors(X, engine="approximate")
    with pytest.raises(InputError, match="X is sparse"):
        novelty_dask.measure_recall(X, np.zeros((3, 1), int))
