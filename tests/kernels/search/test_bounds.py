import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.kernels.search.bounds import SMALLEST, minimum_estimate, suffix_norms
from tests.support.arrays import random_rows


@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e-18])
def test_suffix_norms_are_upper_bounds_that_hardly_exceed_the_norms(scale: float) -> None:
    X = random_rows(200, 50, density=0.4, seed=3) * np.float32(scale)
    breakpoints = np.array([0, 1, 7, 30, 49, 50], np.int32)
    norms, starts = suffix_norms(X.indptr.astype(np.int64), X.indices.astype(np.int32), X.data, breakpoints)
    dense = X.toarray().astype(np.float64)
    for level, cut in enumerate(breakpoints):
        exact = np.sqrt((dense[:, cut:] ** 2).sum(axis=1))
        assert np.all(norms[:, level] >= exact)
        assert np.all(norms[:, level] <= exact * (1 + 1e-6))
        assert np.array_equal(starts[:, level], np.count_nonzero(dense[:, :cut], axis=1))


def test_products_of_norms_are_upper_bounds_in_float32() -> None:
    X = random_rows(300, 40, density=0.5, seed=4)
    breakpoints = np.array([10, 40], np.int32)
    norms, _ = suffix_norms(X.indptr.astype(np.int64), X.indices.astype(np.int32), X.data, breakpoints)
    exact = np.sqrt((X.toarray().astype(np.float64)[:, 10:] ** 2).sum(axis=1))
    assert np.all(np.outer(norms[:, 0], norms[:, 0]) >= np.outer(exact, exact))


@settings(deadline=None, max_examples=200)
@given(nonzeros=st.integers(1, 3000), seed=st.integers(0, 2**32 - 1))
def test_the_minimum_estimate_covers_float32_sums_in_any_order(nonzeros: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.lognormal(sigma=rng.uniform(0, 8), size=(2, nonzeros))
    x, y = (x / np.linalg.norm(x)).astype(np.float32), (y / np.linalg.norm(y)).astype(np.float32)
    similarity = np.float32(math.fsum(x.astype(np.float64) * y.astype(np.float64)))
    products = rng.permutation(x * y)
    for order in (products, np.sort(products)[::-1]):
        assert np.cumsum(order, dtype=np.float32)[-1] >= minimum_estimate(similarity, nonzeros)


def test_the_minimum_estimate_is_positive_and_close_below_the_similarity() -> None:
    assert minimum_estimate(np.float32(0), 70) == SMALLEST / 2
    assert 0.49998 < minimum_estimate(np.float32(0.5), 70) < 0.5
    assert minimum_estimate(np.float32(1), 1 << 22) < 0.5
