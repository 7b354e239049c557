from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import pairwise

from novelty_dask.kernels.cosine import cosine_similarity

VALUES = st.one_of(st.just(0.0), st.floats(-1e6, -1e-6), st.floats(1e-6, 1e6))
MATRICES = arrays(np.float64, st.tuples(st.integers(1, 8), st.just(5)), elements=VALUES)


@settings(deadline=None, max_examples=200)
@given(X=MATRICES, Y=st.none() | MATRICES)
def test_agrees_with_scikit_learn(X: np.ndarray, Y: np.ndarray | None) -> None:
    np.testing.assert_allclose(cosine_similarity(X, Y), pairwise.cosine_similarity(X, Y), rtol=0, atol=1e-8)


@settings(deadline=None, max_examples=100)
@given(X=MATRICES, scale=st.sampled_from([5e-300, 1e-150, 1e150, 1e300]))
def test_does_not_depend_on_the_scale_of_rows(X: np.ndarray, scale: float) -> None:
    # Powers of two scale exactly.
    factor = 2.0 ** round(np.log2(scale))
    small = X / 2**20
    np.testing.assert_allclose(cosine_similarity(small * factor, X), cosine_similarity(X), rtol=0, atol=1e-8)


@pytest.mark.parametrize("value", [5e-324, 1e-300, 1e300, np.finfo(np.float64).max])
def test_extreme_rows(value: float) -> None:
    X = np.array([[value, 0], [value, value], [-value, 0]])
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        cosine_similarity(X), [[1, half, -1], [half, 1, -half], [-1, -half, 1]], rtol=0, atol=1e-14
    )


def test_zero_rows_have_similarity_0() -> None:
    assert cosine_similarity([[0, 0], [1, 2]]).tolist() == [[0, 0], [0, pytest.approx(1)]]


@settings(deadline=None, max_examples=100)
@given(MATRICES)
def test_similarities_are_within_1(X: np.ndarray) -> None:
    assert (np.abs(cosine_similarity(X)) <= 1).all()


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float16, np.float32, np.float64])
def test_every_real_dtype_gives_float64(dtype: type) -> None:
    similarity = cosine_similarity(np.array([[1, 1], [1, 0]], dtype))
    assert similarity.dtype == np.float64
    np.testing.assert_allclose(similarity[0], [1, np.sqrt(0.5)], rtol=0, atol=1e-14)


@pytest.mark.parametrize(("n_x", "n_y", "n_features"), [(0, 3, 2), (3, 0, 2), (2, 3, 0), (0, 0, 0)])
def test_empty_arrays(n_x: int, n_y: int, n_features: int) -> None:
    similarity = cosine_similarity(np.ones((n_x, n_features)), np.ones((n_y, n_features)))
    assert similarity.tolist() == np.zeros((n_x, n_y)).tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0],), "X must be a dense 2-D array of real numbers, not a 1-D array of float64"),
        ((1.0,), "X must be a dense 2-D array of real numbers, not a 0-D"),
        (([[1j]],), "not a 2-D array of complex128"),
        (([["a"]],), "not a 2-D array of <U1"),
        ((sp.csr_matrix([[1.0]]),), "not a 0-D array of object"),
        (([[np.nan]],), "X must not hold NaN or infinity"),
        (([[1.0]], [[np.inf]]), "Y must not hold NaN or infinity"),
        (([[1.0]], [[1.0, 2.0]]), "X and Y must have the same number of columns, not 1 and 2"),
    ],
)
def test_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cosine_similarity(*arguments)


@pytest.mark.parametrize("n_features", [1, 2, 3, 64, 1_000])
def test_no_value_is_above_1(n_features: int) -> None:
    chance = np.random.default_rng(n_features)
    X = chance.normal(size=(40, n_features))
    X = np.vstack([X, 3 * X, X / 7, -X])
    for similarity in (cosine_similarity(X), cosine_similarity(X, X)):
        assert np.abs(similarity).max() <= 1
    assert (np.diagonal(cosine_similarity(X)) == 1).all()
