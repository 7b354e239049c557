"""Rows in memory, looked up exactly: against brute force, and whatever is looked up together."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from novelty_dask.engines import index as index_module
from novelty_dask.engines.dense import Metric
from novelty_dask.engines.index import NeighborIndex
from novelty_dask.kernels.cosine import cosine_similarity
from novelty_dask.kernels.missing import fill_missing

FORMS: dict[str, Callable[[Any], Any]] = {"dense": np.asarray, "sparse": sp.csr_matrix}


def brute_force(Q: NDArray[Any], X: NDArray[Any], metric: Metric) -> Any:
    """Return all distances."""
    if metric == "cosine":
        return 1 - cosine_similarity(Q, X)
    return np.sqrt(((Q[:, None] - X[None]) ** 2).sum(axis=-1))


def first(distances: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """Return the numbers of the smallest distances of each row, ties by number."""
    return np.argsort(distances, axis=1, kind="stable")[:, :k]


@pytest.fixture(params=[(form, metric) for form in FORMS for metric in ("cosine", "euclidean")], ids="-".join)
def signed(request: pytest.FixtureRequest) -> tuple[NDArray[np.float64], Any, Metric]:
    """Vectors of small integers, whose distances tie and are exact or equally rounded, in each form."""
    form, metric = request.param
    X = np.random.default_rng(0).integers(-3, 4, size=(200, 4)).astype(float)
    return X, FORMS[form](X), metric


def test_neighbors_are_those_of_brute_force(
    signed: tuple[NDArray[np.float64], Any, Metric], monkeypatch: pytest.MonkeyPatch
) -> None:
    X, rows, metric = signed
    distances = brute_force(X, X, metric)
    np.fill_diagonal(distances, np.inf)
    monkeypatch.setattr(index_module, "VECTOR_ROWS", 64)
    found = NeighborIndex(rows, metric).search_itself(7)
    assert not np.any(found.ids == np.arange(200)[:, None])
    expected = np.sort(distances, axis=1)[:, :7]
    np.testing.assert_allclose(found.distances, expected, atol=1e-12)
    np.testing.assert_allclose(np.take_along_axis(distances, found.ids, 1), expected, atol=1e-12)
    if metric == "euclidean":
        assert np.array_equal(found.ids, first(distances, 7))


def test_ties_go_to_the_lower_number(signed: tuple[NDArray[np.float64], Any, Metric]) -> None:
    _, rows, metric = signed
    stack = sp.vstack if sp.issparse(rows) else np.vstack
    found = NeighborIndex(stack([rows[:5]] * 3), metric).search(rows[:5], 3)
    assert np.array_equal(found.ids, np.arange(5)[:, None] + [0, 5, 10])


def test_a_row_has_the_same_bytes_whatever_it_is_looked_up_with(
    signed: tuple[NDArray[np.float64], Any, Metric],
) -> None:
    X, _, metric = signed
    rows = X + np.random.default_rng(1).normal(size=X.shape)
    index = NeighborIndex(rows, metric)
    whole = index.search(rows, 9)
    for size in (1, 7, 64):
        parts = [index.search(rows[start : start + size], 9) for start in range(0, 200, size)]
        assert np.concatenate([part.closeness for part in parts]).tobytes() == whole.closeness.tobytes()
        assert np.concatenate([part.ids for part in parts]).tobytes() == whole.ids.tobytes()


@pytest.mark.sampled
def test_blocks_change_no_byte(
    signed: tuple[NDArray[np.float64], Any, Metric], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, rows, metric = signed
    whole = NeighborIndex(rows, metric).search_itself(5)
    for size in (1, 33):
        monkeypatch.setattr(index_module, "VECTOR_ROWS", size)
        cut = NeighborIndex(rows, metric).search_itself(5)
        assert (cut.ids.tobytes(), cut.closeness.tobytes()) == (
            whole.ids.tobytes(),
            whole.closeness.tobytes(),
        )


def test_vectors_far_from_zero_lose_no_neighbor() -> None:
    X = np.random.default_rng(2).normal(size=(300, 3)) * 1e-4 + 1e4
    distances = brute_force(X, X, "euclidean")
    np.fill_diagonal(distances, np.inf)
    assert np.array_equal(NeighborIndex(X, "euclidean").search_itself(4).ids, first(distances, 4))


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_squares_that_overflow_or_vanish_make_no_difference_to_cosine(scale: float) -> None:
    X = np.random.default_rng(3).normal(size=(60, 5))
    expected = NeighborIndex(X, "cosine").search_itself(4)
    for form in FORMS.values():
        found = NeighborIndex(form(X * scale), "cosine").search_itself(4)
        assert np.array_equal(found.ids, expected.ids)


def weights(n_rows: int, seed: int) -> Any:
    """Nonnegative sparse rows, some of them empty."""
    return sp.random(n_rows, 200, 0.02, random_state=seed, format="csr")


def test_nonnegative_sparse_rows_are_looked_up_by_the_kernel_of_a_run() -> None:
    X, Q = weights(500, 4), weights(40, 5)
    index = NeighborIndex(X, "cosine")
    assert index.is_nonnegative
    found = index.search(Q, 6)
    assert found.closeness.dtype == np.float32
    distances = brute_force(Q.toarray(), X.toarray(), "cosine")
    np.testing.assert_allclose(found.distances, np.sort(distances, axis=1)[:, :6], atol=1e-6)


def test_columns_that_no_fitted_row_has_count_in_the_length() -> None:
    X = sp.csr_matrix(np.array([[1.0, 0, 0], [1, 1, 0]]))
    found = NeighborIndex(X, "cosine").search(sp.csr_matrix(np.array([[3.0, 0, 4], [0, 0, 5]])), 2)
    np.testing.assert_allclose(found.closeness, [[0.6, 0.6 / np.sqrt(2)], [0, 0]], rtol=1e-6)
    assert found.ids.tolist() == [[0, 1], [0, 1]]


def test_rows_of_unit_length_in_single_precision_are_not_scaled_again() -> None:
    rng = np.random.default_rng(6)
    X = rng.random((50, 9)).astype(np.float32)
    X /= np.linalg.norm(X, axis=1, keepdims=True).astype(np.float32)
    found = NeighborIndex(sp.csr_matrix(X), "cosine").search_itself(3)
    sums = np.array([[np.float32(sum(float(a) * float(b) for a, b in zip(X[i], X[j], strict=True)))
                      for j in found.ids[i]] for i in range(50)])  # fmt: skip
    np.testing.assert_allclose(found.closeness, sums, atol=2**-23)


def test_an_index_that_travels_finds_the_same() -> None:
    index = NeighborIndex(weights(100, 7), "cosine")
    copy = pickle.loads(pickle.dumps(index))
    for one, other in zip(index.search_itself(3)[:2], copy.search_itself(3)[:2], strict=True):
        assert one.tobytes() == other.tobytes()


def test_what_is_fitted_may_change_afterwards() -> None:
    X = np.eye(3)
    index = NeighborIndex(X, "euclidean")
    X[:] = 7
    assert index.search(np.eye(3), 1).distances.ravel().tolist() == [0, 0, 0]


def test_free_slots_get_the_lowest_other_numbers() -> None:
    ids = np.array([[3, 0, -1], [-1, -1, -1], [5, 4, 2]])
    fill_missing(ids, np.array([1, -1, 0]))
    assert ids.tolist() == [[3, 0, 2], [0, 1, 2], [5, 4, 2]]
