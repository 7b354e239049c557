import numpy as np
import pytest
import scipy.sparse as sp

from novelty_dask.kernels.search.block import prepare

BREAKPOINTS = np.array([1, 3], np.int32)
ROWS = sp.csr_matrix(np.array([[0.6, 0, 0.8], [0, 0, 0], [0, 1, 0]], np.float32))


def with_data(data: list[float]) -> sp.csr_matrix:
    return sp.csr_matrix((np.array(data, np.float32), ROWS.indices, ROWS.indptr), shape=ROWS.shape)


def with_indices(indices: list[int]) -> sp.csr_matrix:
    return sp.csr_matrix((ROWS.data, np.array(indices, np.int32), ROWS.indptr), shape=ROWS.shape)


@pytest.mark.parametrize(
    ("X", "fault"),
    [
        (ROWS.astype(np.float64), "float64"),
        (ROWS.tocsc(), "csc"),
        (with_data([0.6, -0.8, 1.0]), "negative"),
        (with_data([0.6, np.nan, 1.0]), "non-finite"),
        (with_data([0.6, np.inf, 1.0]), "non-finite"),
        (with_data([0.6, 0.7, 1.0]), "normalize"),
        (with_indices([2, 0, 1]), "ascend"),
        (with_indices([2, 2, 1]), "ascend"),
    ],
)
def test_rows_for_which_the_bounds_fail_are_refused(X: sp.csr_matrix, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        prepare(X, BREAKPOINTS)


@pytest.mark.parametrize("breakpoints", [[], [1, 2], [1, 1, 3], [3, 1], [-1, 3], [1, 4]])
def test_break_points_that_do_not_fit_are_refused(breakpoints: list[int]) -> None:
    with pytest.raises(ValueError, match="breakpoints"):
        prepare(ROWS, np.array(breakpoints, np.int32))


@pytest.mark.parametrize("tile_rows", [0, -1, 65_537])
def test_tiles_that_sixteen_bits_can_not_number_are_refused(tile_rows: int) -> None:
    with pytest.raises(ValueError, match="tile_rows"):
        prepare(ROWS, BREAKPOINTS, tile_rows=tile_rows)


def test_the_order_of_columns_is_checked_within_rows_only() -> None:
    X = sp.csr_matrix(np.array([[0, 0, 1], [0, 0, 0], [0, 0, 0], [1, 0, 0]], np.float32))
    assert prepare(X, BREAKPOINTS).n_rows == 4


def test_inverted_lists_are_made_when_they_are_asked_for() -> None:
    block = prepare(ROWS, BREAKPOINTS)
    forward = block.nbytes
    assert len(block.tiles) == 1
    assert block.nbytes > forward


def test_a_candidate_of_66_weights_takes_about_a_kilobyte() -> None:
    columns = np.sort(np.random.default_rng(0).random((20_000, 200)).argsort(axis=1)[:, :66], axis=1)
    X = sp.csr_matrix(
        (np.full(columns.size, 66**-0.5, np.float32), columns.ravel(), np.arange(0, columns.size + 1, 66)),
        shape=(20_000, 200),
    )
    block = prepare(X, np.arange(169, 201, dtype=np.int32))
    assert block.tiles
    assert block.nbytes / block.n_rows < 1300
