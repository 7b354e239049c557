import numpy as np
import pytest
import scipy.sparse as sp

from novelty_dask.kernels.search import inverted
from novelty_dask.kernels.search.block import NO_TIMES, prepare
from novelty_dask.kernels.search.bounds import Rows
from novelty_dask.kernels.search.inverted import InvertedTile, find_distinct, invert, invert_by_length
from novelty_dask.kernels.search.lists import STEPS
from novelty_dask.kernels.search.simd import LANES
from tests.support.arrays import random_rows

LEVELS = np.array([5, 20, 30], np.int32)


def unit_rows(n_rows: int, seed: int = 0) -> sp.csr_matrix:
    X = random_rows(n_rows, 30, density=0.3, seed=seed)
    lengths = np.sqrt(X.multiply(X).sum(axis=1).A1)
    X = (sp.diags(1 / np.maximum(lengths, 1e-9)) @ X).tocsr().astype(np.float32)
    X.sort_indices()
    return sp.csr_matrix(X)


def list_numbers(tile: InvertedTile) -> np.ndarray:
    """The number of the list of each entry."""
    return np.repeat(np.arange(tile.lists.scales.size), np.diff(tile.lists.indptr))


def unpacked(tile: InvertedTile, n_rows: int) -> np.ndarray:
    """Rounded weights of all rows, dense."""
    columns = np.flatnonzero(np.unpackbits(tile.lists.occurring.view(np.uint8), bitorder="little"))
    lists = list_numbers(tile)
    scales = tile.lists.scales[lists, None].astype(np.float64)
    dense = np.zeros((-(-n_rows // LANES), LANES, 30))
    dense[tile.lists.groups, :, columns[lists]] = tile.lanes.reshape(-1, LANES) * scales
    return dense.reshape(-1, 30)[:n_rows]


@pytest.mark.parametrize(("first", "last"), [(0, 50), (0, 16), (7, 31), (49, 50)])
def test_weights_are_rounded_up_by_at_most_a_step(first: int, last: int) -> None:
    X = unit_rows(50)
    tile = invert(prepare(X, LEVELS).rows, first, last, 30)
    exact = X[first:last].toarray().astype(np.float64)
    rounded = unpacked(tile, last - first)
    assert np.array_equal(rounded > 0, exact > 0)
    assert np.all(rounded >= exact * (1 - 1e-6))
    assert np.all(rounded <= exact + tile.lists.scales.max() * (1 + 1e-6))
    largest = exact.max(axis=0)[exact.any(axis=0)]
    assert tile.lists.scales[:-1] == pytest.approx(largest / STEPS)


def test_each_entry_has_the_largest_of_its_lanes() -> None:
    tile = invert(prepare(unit_rows(50), LEVELS).rows, 0, 50, 30)
    assert np.array_equal(tile.lists.maxima, tile.lanes.reshape(-1, LANES).max(axis=1))
    assert np.all(np.diff(tile.lists.groups.astype(int))[np.diff(list_numbers(tile)) == 0] > 0)


def test_norms_are_rounded_up_by_at_most_a_step_and_filled_up_with_nothing() -> None:
    rows = prepare(unit_rows(50), LEVELS).rows
    tile = invert(rows, 10, 50, 30)
    rounded = tile.norms * (tile.lists.highest.astype(np.float64) / STEPS)[:, None]
    exact = rows.norms[10:50].T
    assert np.all(rounded[:, :40] >= exact * (1 - 1e-6))
    assert np.all(rounded[:, :40] <= exact + tile.lists.highest[:, None] / STEPS * (1 + 1e-6))
    assert not rounded[:, 40:].any()
    assert np.array_equal(tile.lists.norms[:, :3], tile.norms.reshape(3, 3, LANES).max(axis=2))
    assert not tile.lists.norms[:, 3:].any()


@pytest.mark.parametrize(("n_rows", "least"), [(50, 2), (600, 8), (1100, 16)])
def test_dense_lists_have_the_same_maxima_with_a_place_for_each_group(n_rows: int, least: int) -> None:
    rng = np.random.default_rng(1)
    dense = rng.random((n_rows, 30)) * (rng.random((n_rows, 30)) < np.repeat([0.002, 0.3], 15))
    dense[: n_rows // 2, 29] = 0
    X = sp.csr_matrix(
        dense / np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), 1e-9), dtype=np.float32
    )
    tile = invert(prepare(X, LEVELS).rows, 0, n_rows, 30)
    n_groups = tile.lists.norms.shape[1]
    lengths, expected = np.diff(tile.lists.indptr), []
    assert 1 << tile.lists.shift == least
    for column in np.flatnonzero(lengths >= least):
        entries = slice(*tile.lists.indptr[column : column + 2])
        expected.append(np.zeros(n_groups))
        expected[-1][tile.lists.groups[entries]] = tile.lists.maxima[entries]
        assert tile.lists.dense_numbers[tile.lists.indptr[column] >> tile.lists.shift] == len(expected) - 1
    assert 10 < len(expected) < 30
    assert np.array_equal(tile.lists.dense.reshape(-1, n_groups), expected)
    occurring = np.array(expected) > 0
    bits = np.unpackbits(tile.dense_groups.view(np.uint8), bitorder="little").reshape(len(expected), -1)
    assert np.array_equal(bits[:, :n_groups], occurring)
    assert not bits[:, n_groups:].any()
    before = tile.dense_before.reshape(len(expected), -1)
    for word in range(before.shape[1]):
        assert np.array_equal(before[:, word], occurring[:, : 64 * word].sum(axis=1))


def test_only_the_first_of_equal_rows_has_lanes() -> None:
    X = unit_rows(30)
    repeated = sp.vstack([X, X[[3, 3, 5]], X]).tocsr()
    tile, expected = (
        invert(prepare(matrix, LEVELS).rows, 0, matrix.shape[0], 30) for matrix in (repeated, X)
    )
    assert tile.distinct.tolist() == list(range(30))
    assert np.array_equal(unpacked(tile, 30), unpacked(expected, 30))
    assert np.array_equal(tile.norms, expected.norms)
    assert [tile.next_equal[row] for row in (0, 3, 30, 31, 5, 36)] == [33, 30, 31, 36, 32, -1]


def test_only_columns_that_occur_have_lists_and_an_empty_one_follows_them() -> None:
    X = sp.csr_matrix(np.array([[1, 0, 0, 0], [0, 0, 1, 0]], np.float32))
    tile = invert(prepare(X, np.array([4], np.int32)).rows, 0, 2, 4)
    assert tile.lists.indptr.tolist() == [0, 1, 2, 2]
    assert tile.lists.scales.tolist() == [np.float32(1 / STEPS)] * 2 + [0]


def test_a_column_of_stored_zeros_counts_as_a_step() -> None:
    X = sp.csr_matrix((np.array([0, 1], np.float32), np.array([0, 1]), np.array([0, 2])), shape=(1, 2))
    tile = invert(prepare(X, np.array([2], np.int32)).rows, 0, 1, 2)
    assert tile.lists.maxima.tolist() == [1, 255]


def test_weights_too_small_to_be_divided_count_a_step() -> None:
    X = sp.csr_matrix(np.array([[1e-44, 1], [0, 1]], np.float32))
    tile = invert(prepare(X, np.array([2], np.int32)).rows, 0, 2, 2)
    assert tile.lanes[:LANES].tolist() == [1] + [0] * (LANES - 1)


def test_a_tile_of_more_non_zeros_than_can_be_numbered_is_refused() -> None:
    empty = np.zeros(0, np.int32)
    rows = Rows(
        np.array([0, 2**31], np.int64),
        empty,
        empty.astype(np.float32),
        np.zeros((1, 1), np.float32),
        empty.astype(np.uint16),
        NO_TIMES,
    )
    with pytest.raises(ValueError, match="tile_rows"):
        invert(rows, 0, 1, 3)


@pytest.mark.parametrize(
    ("lengths", "parts"),
    [
        # The long rows have most non-zeros, fewer than half, all, none of them; and the rows have none.
        ([2, 9, 2, 2, 9], [[0, 2, 3], [1, 4]]),
        ([2, 2, 9, 2, 2, 2], [[0, 1, 2, 3, 4, 5]]),
        ([9, 8, 9], [[0, 1, 2]]),
        ([2, 3, 2], [[0, 1, 2]]),
        ([0, 0], [[0]]),
    ],
)
def test_short_and_long_rows_have_tiles_of_their_own_if_most_weights_are_in_long_ones(
    monkeypatch: pytest.MonkeyPatch, lengths: list[int], parts: list[list[int]]
) -> None:
    monkeypatch.setattr(inverted, "LONG", 8)
    rng = np.random.default_rng(0)
    columns = [np.sort(rng.choice(30, length, replace=False)) for length in lengths]
    data = np.concatenate([np.full(length, max(length, 1) ** -0.5, np.float32) for length in lengths])
    X = sp.csr_matrix((data, np.concatenate(columns), np.cumsum([0, *lengths])), shape=(len(lengths), 30))
    block = prepare(X, LEVELS).rows
    tiles = invert_by_length(block, find_distinct(block, 0, len(lengths)), 30)
    assert [tile.distinct.tolist() for tile in tiles] == parts
    for tile, rows in zip(tiles, parts, strict=True):
        assert np.array_equal(unpacked(tile, len(rows)) > 0, X[rows].toarray() > 0)
