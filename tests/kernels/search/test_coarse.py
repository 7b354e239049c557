"""Pieces of tiles: their lists bound those of the groups, so no piece with a neighbor is left out."""

import numpy as np
import pytest
import scipy.sparse as sp

from novelty_dask.kernels.neighbors import Neighbors
from novelty_dask.kernels.search import topk
from novelty_dask.kernels.search.block import Block, prepare
from novelty_dask.kernels.search.coarse import MOST_TILES, PIECES, width_of_piece
from novelty_dask.kernels.search.columns import order_columns
from novelty_dask.kernels.search.finish import Comparison
from novelty_dask.kernels.search.lists import Lists
from novelty_dask.kernels.search.scan import scan_tile
from novelty_dask.kernels.search.scratch import allocate_scratch, fit_scratch
from novelty_dask.kernels.search.survey import survey

COLUMNS = 300


def make_rows(n_rows: int, seed: int = 0) -> sp.csr_matrix:
    """Rows in families: common columns, columns of the family, and columns of the row; of unit length."""
    rng = np.random.default_rng(seed)
    family = np.sort(rng.integers(0, max(n_rows // 60, 1), n_rows))
    common, own = rng.integers(0, 20, (n_rows, 3)), rng.integers(200, COLUMNS, (n_rows, 2))
    shared = 20 + (family[:, None] * 7 + rng.integers(0, 5, (n_rows, 4))) % 180
    columns = np.hstack([common, shared, own])
    numbers = np.repeat(np.arange(n_rows), columns.shape[1])
    data = rng.uniform(0.2, 1, columns.size)
    X = sp.coo_matrix((data, (numbers, columns.ravel())), (n_rows, COLUMNS)).tocsr()
    frequency = np.bincount(X.indices, minlength=COLUMNS)
    X.data *= np.log(1 + n_rows / np.maximum(frequency, 1))[X.indices]
    return sp.csr_matrix(sp.diags(1 / np.sqrt(X.multiply(X).sum(axis=1).A1)) @ X, dtype=np.float32)


def make_block(n_rows: int, tile_rows: int) -> Block:
    """A block of such rows, their columns in order."""
    X = make_rows(n_rows)
    columns = order_columns(np.bincount(X.indices, minlength=COLUMNS))
    shape = n_rows, columns.document_frequency.size
    Y = sp.csr_matrix((X.data, columns.rank[X.indices], X.indptr), shape=shape)
    Y.sort_indices()
    return prepare(Y, columns.breakpoints, tile_rows=tile_rows)


def spread(lists: Lists, n_columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The largest weights of groups, the weight of a step, both by column, and the norms of groups."""
    occurring = np.flatnonzero(np.unpackbits(lists.occurring.view(np.uint8), bitorder="little"))
    of_entries = np.repeat(np.arange(occurring.size), np.diff(lists.indptr)[:-1])
    weights, scales = np.zeros((lists.n_groups, n_columns)), np.zeros(n_columns)
    scales[occurring] = lists.scales[:-1]
    weights[lists.groups, occurring[of_entries]] = lists.maxima * scales[occurring[of_entries]]
    return weights, scales, lists.norms * (lists.highest.astype(float) / 255)[:, None]


@pytest.mark.parametrize(("n_rows", "tile_rows"), [(700, 100), (3_000, 1_500), (24_000, 18_000)])
def test_a_piece_has_the_largest_weights_and_norms_of_its_groups(n_rows: int, tile_rows: int) -> None:
    block = make_block(n_rows, tile_rows)
    [level] = block.levels
    weights, scales, norms = spread(level, block.n_columns)
    assert level.n_groups == PIECES * len(block.tiles)
    for number, tile in enumerate(block.tiles):
        exact, _, of_groups = spread(tile.lists, block.n_columns)
        width = width_of_piece(tile.lists.n_groups)
        assert width == (16 if tile_rows < 16_384 or number else 32)
        for piece in range(PIECES):
            at, groups = number * PIECES + piece, slice(piece * width, (piece + 1) * width)
            largest = exact[groups].max(axis=0, initial=0)
            assert np.array_equal(weights[at] > 0, largest > 0)
            assert np.all(weights[at] >= largest * (1 - 1e-6))
            assert np.all(weights[at] <= largest + scales * (1 + 1e-6))
            highest = of_groups[:, groups].max(axis=1, initial=0)
            assert np.all(norms[:, at] >= highest * (1 - 1e-6))
            assert np.all(norms[:, at] <= highest + level.highest / 255 * (1 + 1e-6))


def test_a_survey_marks_each_piece_with_a_row_that_is_similar_enough_and_leaves_tiles_out() -> None:
    block, k = make_block(3_000, 500), 5
    neighbors = Neighbors.empty(block.n_rows, k)
    topk.search(block, block, neighbors, row_start=0, candidate_start=0)
    comparison = Comparison(block.rows, block.rows, neighbors, 0, 0, k, *topk.NO_GROUPS)
    [level] = block.levels
    scratch = allocate_scratch(block.rows, block.n_columns, level.n_groups)
    rows = np.arange(0, block.n_rows, 7, dtype=np.int32)
    marks = np.zeros((len(block.tiles), rows.size), np.uint64)
    steps, slots = survey(comparison, rows, level, fit_scratch(scratch, level.n_groups), marks)
    assert steps > 0
    assert slots == rows.size * level.n_groups
    X = sp.csr_matrix((block.rows.data, block.rows.indices, block.rows.indptr)).astype(np.float64)
    similar = (X[rows] @ X.T).toarray().astype(np.float32) >= neighbors.similarities[rows, -1:]
    assert similar.sum() >= (k + 1) * rows.size
    for number, tile in enumerate(block.tiles):
        width = 16 * width_of_piece(tile.lists.n_groups)
        for row in range(rows.size):
            pieces = np.unique(np.flatnonzero(similar[row, tile.distinct]) // width)
            assert all(int(marks[number, row]) >> int(piece) & 1 for piece in pieces)
    assert (marks == 0).mean() > 0.3
    assert not scratch.group_sums.any()
    assert not scratch.dense_sums.any()


def test_only_marked_pieces_are_looked_at() -> None:
    block, k = make_block(3_000, 1_500), 5
    comparison = Comparison(block.rows, block.rows, Neighbors.empty(3_000, k), 0, 0, 0, *topk.NO_GROUPS)
    tile = block.tiles[0]
    part = allocate_scratch(block.rows, block.n_columns, tile.lists.n_groups)
    rows, width = np.array([2_000, 2_500], np.int32), width_of_piece(tile.lists.n_groups)
    _, slots, finished = scan_tile(comparison, rows, tile, part, np.array([0b101, 0b10], np.uint64))
    assert finished > 2 * k
    assert slots >= 3 * width
    ids = [[int(each) for each in comparison.neighbors.ids[row] if each >= 0] for row in rows]
    reached = [{int(np.searchsorted(tile.distinct, each)) // 16 // width for each in some} for some in ids]
    assert reached[0] <= {0, 2}
    assert reached[1] == {1}


@pytest.mark.parametrize(("n_rows", "tile_rows"), [(2_500, 30), (2_500, 600), (700, 700)])
def test_what_was_not_surveyed_has_the_same_neighbors(
    n_rows: int, tile_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    block, k = make_block(n_rows, tile_rows), 7
    assert len(block.levels) == (-(-len(block.tiles) // MOST_TILES) if len(block.tiles) > 1 else 0)
    found = []
    for least in (2, 10**9):
        monkeypatch.setattr(topk, "LEAST_SURVEYED", least)
        neighbors = Neighbors.empty(n_rows, k)
        # As rows of another block: a block that is compared with itself is not surveyed.
        rows = make_block(n_rows, tile_rows)
        counts = topk.search(rows, block, neighbors, row_start=0, candidate_start=0)
        found.append((neighbors, counts))
    (surveyed, of_survey), (plain, of_plain) = found
    assert np.array_equal(surveyed.ids, plain.ids)
    assert np.array_equal(surveyed.similarities, plain.similarities)
    assert (of_survey == of_plain) == (len(block.tiles) == 1)
