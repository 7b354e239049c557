"""The share of a row that no neighbor has, against sets of columns."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.kernels.coverage import Columns, Coverage, cover, uncovered_shares
from tests.support.arrays import random_rows


def columns_of(X: sp.csr_matrix) -> Columns:
    return Columns.checked(X.indptr.astype(np.int64), X.indices.astype(np.int32), X.shape[1])


def shares_of(X: sp.csr_matrix, ids: np.ndarray, cuts: list[int]) -> np.ndarray:
    """The shares of all rows, whose candidates come in blocks that end at some rows."""
    coverage, places = Coverage.start(columns_of(X), ids), np.zeros(X.shape[1], np.int32)
    for start, stop in zip([0, *cuts], [*cuts, X.shape[0]], strict=True):
        cover(coverage, columns_of(X[start:stop]), start, places)
        assert not places.any()
    shares = np.empty(X.shape[0])
    uncovered_shares(coverage.columns.indptr, X.data, coverage.is_covered, shares)
    return shares


def expected_shares(X: sp.csr_matrix, ids: np.ndarray) -> list[float]:
    """The same by sets of columns and Python's floats."""
    rows = [dict(zip(row.indices.tolist(), row.data.tolist(), strict=True)) for row in X]
    shares = []
    for row, others in zip(rows, ids.tolist(), strict=True):
        known = {column for other in others if other >= 0 for column in rows[other]}
        left = sum(weight * weight for column, weight in row.items() if column not in known)
        total = sum(weight * weight for weight in row.values())
        shares.append(left / total if row else np.nan)
    return shares


@st.composite
def neighborhoods(draw: st.DrawFn) -> tuple[sp.csr_matrix, np.ndarray, list[int]]:
    """Rows, up to four neighbors of each, and ends of blocks."""
    n = draw(st.integers(1, 25))
    seed = draw(st.integers(0, 2**32 - 1))
    X = random_rows(n, draw(st.integers(1, 12)), density=draw(st.floats(0, 1)), seed=seed)
    X.sort_indices()
    ids = np.random.default_rng(seed).integers(-1, n, (n, draw(st.integers(1, 4))))
    cuts = draw(st.lists(st.integers(0, n), max_size=4).map(sorted))
    return X, ids, cuts


@settings(deadline=None, max_examples=200)
@given(neighborhoods())
def test_shares_are_those_of_sets_however_candidates_are_cut(
    made: tuple[sp.csr_matrix, np.ndarray, list[int]],
) -> None:
    X, ids, cuts = made
    shares = shares_of(X, ids, cuts)
    np.testing.assert_allclose(shares, expected_shares(X, ids), rtol=1e-14, equal_nan=True)
    assert shares.tobytes() == shares_of(X, ids[:, ::-1].copy(), []).tobytes()
    defined = shares[~np.isnan(shares)]
    assert ((defined >= 0) & (defined <= 1)).all()


@settings(deadline=None, max_examples=100)
@given(neighborhoods())
def test_one_more_neighbor_never_raises_a_share(made: tuple[sp.csr_matrix, np.ndarray, list[int]]) -> None:
    X, ids, _ = made
    fewer, more = shares_of(X, ids[:, 1:].copy(), []), shares_of(X, ids, [])
    assert (more[~np.isnan(more)] <= fewer[~np.isnan(more)]).all()


def test_a_share_is_0_with_all_columns_and_1_with_none() -> None:
    X = sp.csr_matrix(np.array([[1, 2, 0], [3, 4, 5], [0, 0, 6], [0, 0, 0]], np.float32))
    assert shares_of(X, np.array([[1], [0], [0], [0]]), []).tolist()[::2] == [0, 1]
    assert np.isnan(shares_of(X, np.array([[-1], [-1], [-1], [1]]), [])).tolist() == [False] * 3 + [True]
    assert shares_of(X, np.array([[-1], [0], [-1], [0]]), [])[:2].tolist() == [1, 0.5]


def test_ids_of_no_row_cover_nothing() -> None:
    X = random_rows(5, 8, density=0.5, seed=1)
    X.sort_indices()
    far = np.array([[99], [-5], [2**60], [-(2**60)], [5]])
    assert (np.nan_to_num(shares_of(X, far, [2]), nan=1) == 1).all()


@pytest.mark.parametrize("indptr", [[1, 2], [0, 1], [0, 3], [0, 3, 2], [0, -1, 2], [0, 2**40, 2]])
def test_rows_outside_their_arrays_are_refused(indptr: list[int]) -> None:
    with pytest.raises(ValueError, match="do not lie one after the other"):
        Columns.checked(np.array(indptr), np.zeros(2, np.int32), 1)


@pytest.mark.parametrize("column", [-1, 7, 2**31 - 1, -(2**31)])
def test_columns_that_there_are_not_are_refused(column: int) -> None:
    with pytest.raises(ValueError, match="has a column that is not one of 7"):
        Columns.checked(np.array([0, 2]), np.array([0, column], np.int32), 7)
