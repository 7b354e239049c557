import math
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from novelty_dask.kernels.scores import Novelty, novelty_scores

SCORES = Novelty._fields
SIMILARITIES = arrays(
    np.float32, st.tuples(st.integers(1, 30), st.integers(1, 12)), elements=st.floats(0, 1, width=32)
).map(lambda similarities: -np.sort(-similarities, axis=1))


def novelty_of(similarities: np.ndarray, n_rows: int, score: str) -> np.ndarray:
    found: np.ndarray = getattr(
        novelty_scores(similarities, n_rows - 1, np.ones(len(similarities), bool)), score
    )
    return found


@pytest.mark.parametrize(
    ("similarities", "n_rows", "score", "novelty"),
    [
        ([1.0, 0.5, 0.25], 10, "mean", 1 - 1.75 / 3),
        ([1.0, 0.5, 0.25], 10, "nearest", 0.0),
        ([1.0, 0.5, 0.25], 10, "kth", 0.75),
        ([1.0, 0.5, 0.0], 4, "mean", 0.5),
        ([1.0, 0.5, 0.0], 3, "mean", 0.25),
        ([1.0, 0.5, 0.0], 3, "kth", 0.5),
        ([1.0, 0.0, 0.0], 2, "mean", 0.0),
        ([1.0, 0.0, 0.0], 2, "kth", 0.0),
        ([0.0, 0.0, 0.0], 10, "mean", 1.0),
        ([0.0, 0.0, 0.0], 10, "nearest", 1.0),
        ([1.0000001, 1.0000001, 1.0000001], 10, "mean", 0.0),
    ],
)
def test_novelty_of_one_row(similarities: list[float], n_rows: int, score: str, novelty: float) -> None:
    scores = novelty_of(np.array([similarities], np.float32), n_rows, score)
    assert scores.dtype == np.float64
    assert scores.tolist() == pytest.approx([novelty], abs=1e-15)


@pytest.mark.parametrize("score", SCORES)
def test_novelty_is_undefined_without_features_and_for_an_only_row(score: str) -> None:
    similarities = np.zeros((2, 3), np.float32)
    np.testing.assert_array_equal(
        getattr(novelty_scores(similarities, 1, np.array([True, False])), score), np.array([1.0, np.nan])
    )
    assert np.isnan(novelty_of(similarities[:1], 1, score)).all()
    assert novelty_of(similarities[:0], 5, score).shape == (0,)


@settings(deadline=None, max_examples=100)
@given(similarities=SIMILARITIES, n_rows=st.integers(2, 20))
def test_mean_is_the_sum_in_rank_order(similarities: np.ndarray, n_rows: int) -> None:
    possible = min(similarities.shape[1], n_rows - 1)
    expected = [
        1 - reduce(add, row[:possible]) / possible for row in similarities.astype(np.float64).tolist()
    ]
    assert novelty_of(similarities, n_rows, "mean").tolist() == [
        min(max(value, 0.0), 1.0) for value in expected
    ]


@settings(deadline=None, max_examples=100)
@given(
    similarities=SIMILARITIES,
    cut=st.integers(0, 30),
    n_rows=st.integers(1, 20),
    score=st.sampled_from(SCORES),
)
def test_novelty_is_the_same_bytes_for_any_blocks(
    similarities: np.ndarray, cut: int, n_rows: int, score: str
) -> None:
    whole = novelty_of(similarities, n_rows, score)
    blocks = [novelty_of(block, n_rows, score) for block in (similarities[:cut], similarities[cut:])]
    assert np.concatenate(blocks).tobytes() == whole.tobytes()
    assert novelty_of(np.asfortranarray(similarities), n_rows, score).tobytes() == whole.tobytes()


@settings(deadline=None, max_examples=100)
@given(similarities=SIMILARITIES, n_rows=st.integers(2, 20))
def test_scores_are_ordered_and_between_0_and_1(similarities: np.ndarray, n_rows: int) -> None:
    mean, nearest, kth = (novelty_of(similarities, n_rows, score) for score in SCORES)
    assert (nearest <= mean + math.ulp(1)).all()
    assert (mean <= kth + math.ulp(1)).all()
    assert (nearest >= 0).all()
    assert (kth <= 1).all()
