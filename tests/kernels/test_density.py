"""Local outlier factors, against scikit-learn's and by the rules where it has none."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.neighbors import LocalOutlierFactor

from novelty_dask.kernels.density import GREATEST_FACTOR, gather, outlier_factors, reachability_densities


def gathered(values: np.ndarray, ids: np.ndarray, cuts: list[int]) -> np.ndarray:
    """A value of each neighbor, from blocks that end at some rows."""
    out = np.full(ids.shape, np.nan)
    for start, stop in zip([0, *cuts], [*cuts, len(values)], strict=True):
        gather(values[start:stop], start, ids, out)
    return out


def factors_of(ids: np.ndarray, similarities: np.ndarray, cuts: list[int]) -> np.ndarray:
    """The factors of all rows."""
    densities, factors = np.empty(len(ids)), np.empty(len(ids))
    kth = 1 - similarities[:, -1].astype(np.float64)
    reachability_densities(ids, 1 - np.asarray(similarities, np.float64), gathered(kth, ids, cuts), densities)
    outlier_factors(ids, gathered(densities, ids, cuts), densities, factors)
    return factors


def neighbors_of(X: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Neighbors by brute force, ties to the lower id; those of similarity 0 are missing."""
    x = X / np.linalg.norm(X, axis=1, keepdims=True)
    similarities = np.minimum(x @ x.T, 1).astype(np.float32)
    np.fill_diagonal(similarities, -1)
    ids = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    found = np.take_along_axis(similarities, ids, axis=1)
    return np.where(found > 0, ids, -1), found


@settings(deadline=None, max_examples=60)
@given(
    n=st.integers(3, 60),
    n_columns=st.integers(2, 12),
    k=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
    cuts=st.lists(st.integers(0, 60), max_size=3),
)
def test_factors_are_those_of_scikit_learn(
    n: int, n_columns: int, k: int, seed: int, cuts: list[int]
) -> None:
    X = np.random.default_rng(seed).random((n, n_columns)) ** 3
    ids, similarities = neighbors_of(X, min(k, n - 1))
    # Far apart enough for single precision, which similarities are rounded to.
    assume(similarities.max() < 1 - 1e-3)
    expected = LocalOutlierFactor(n_neighbors=ids.shape[1], metric="cosine", algorithm="brute").fit(X)
    found = factors_of(ids, similarities, sorted(min(cut, n) for cut in cuts))
    np.testing.assert_allclose(found, -expected.negative_outlier_factor_, rtol=1e-4)
    assert found.tobytes() == factors_of(ids, similarities, []).tobytes()


@pytest.mark.filterwarnings("ignore:Duplicate values:UserWarning")
def test_equal_rows_are_as_dense_as_scikit_learn_says() -> None:
    rng = np.random.default_rng(4)
    X = np.repeat(rng.random((12, 6)), 4, axis=0)
    ids, similarities = neighbors_of(X, 3)
    np.testing.assert_array_equal(factors_of(ids, similarities, []), 1)
    # A row beside a swarm: its neighbors are as dense as rows can be.
    X = np.vstack([X, rng.random(6)])
    ids, similarities = neighbors_of(X, 3)
    expected = LocalOutlierFactor(n_neighbors=3, metric="cosine", algorithm="brute").fit(X)
    factor = factors_of(ids, similarities, [])[-1]
    assert factor == pytest.approx(-expected.negative_outlier_factor_[-1], rel=1e-4)
    assert 1e6 < factor < GREATEST_FACTOR


def test_distances_that_are_rounding_are_none() -> None:
    ids = np.array([[1, 2], [0, 2], [0, 1]])
    nearly = np.nextafter(np.float32(1), np.float32(0))
    similarities = np.array([[1, nearly], [1, nearly], [nearly, nearly]], np.float32)
    np.testing.assert_array_equal(factors_of(ids, similarities, []), 1)


def test_a_missing_neighbor_is_at_distance_1_and_has_no_density() -> None:
    ids = np.array([[1, -1], [0, -1], [-1, -1]])
    similarities = np.array([[0.5, 0], [0.5, 0], [0, 0]], np.float32)
    densities = np.empty(3)
    reachability_densities(ids, 1 - np.asarray(similarities, np.float64), np.ones((3, 2)), densities)
    np.testing.assert_allclose(densities, 1, rtol=1e-9)
    neighbor_densities = gathered(np.array([4.0, 8.0, 1.0]), ids, [])
    factors = np.empty(3)
    outlier_factors(ids, neighbor_densities, np.array([4.0, 8.0, 1.0]), factors)
    assert factors.tolist() == [2, 0.5, GREATEST_FACTOR]


def test_ids_of_no_row_have_no_value() -> None:
    ids = np.array([[99, 2, -5], [2**60, -(2**60), 0]])
    np.testing.assert_array_equal(
        gathered(np.array([0.5, 0.25, 0.75]), ids, [1]), [[np.nan, 0.75, np.nan], [np.nan, np.nan, 0.5]]
    )
