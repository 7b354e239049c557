from collections.abc import Sequence

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from novelty_dask.kernels.neighbors import Neighbors
from novelty_dask.kernels.search.columns import order_columns
from novelty_dask.kernels.search.topk import Block, SearchCounts, merge, prepare, search, similarity

WEIGHTS = st.sampled_from([0.0, 0.0, 0.0, 1e-30, 1e-6, 0.5, 1.0, 1.0, 3.0, 1e6])
MATRICES = st.tuples(st.integers(1, 40), st.integers(1, 12)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=WEIGHTS)
)


def unit_rows(dense: np.ndarray) -> sp.csr_matrix:
    dense = dense.astype(np.float64)
    lengths = np.linalg.norm(dense, axis=1, keepdims=True)
    return sp.csr_matrix(
        np.divide(dense, lengths, out=np.zeros_like(dense), where=lengths > 0).astype(np.float32)
    )


def in_order(X: sp.csr_matrix, levels: int = 32) -> tuple[sp.csr_matrix, np.ndarray]:
    columns = order_columns(np.bincount(X.indices, minlength=X.shape[1]), levels)
    shape = (X.shape[0], columns.document_frequency.size)
    Y = sp.csr_matrix((X.data.copy(), columns.rank[X.indices], X.indptr.copy()), shape=shape)
    Y.sort_indices()
    return Y, columns.breakpoints


def like_urls(n_rows: int, seed: int = 0) -> sp.csr_matrix:
    """Rows in families, as sorted URLs are: common columns, columns of the family, columns of the row."""
    rng = np.random.default_rng(seed)
    family = np.sort(rng.zipf(1.6, n_rows) % 300)
    common = rng.choice(60, (n_rows, 20), p=np.arange(60, 0, -1) / 1830)
    shared = 60 + (family[:, None] * 37 + rng.integers(0, 18, (n_rows, 12))) % 900
    own = 960 + rng.zipf(1.2, (n_rows, 10)) % 4000
    rows = np.repeat(np.arange(n_rows), 42)
    X = sp.coo_matrix((np.ones(rows.size), (rows, np.hstack([common, shared, own]).ravel()))).tocsr()
    X.data = 1 + np.log(X.data)
    frequency = np.bincount(X.indices, minlength=X.shape[1])
    X.data *= (1 + np.log(n_rows / np.maximum(frequency, 1)))[X.indices]
    return (sp.diags(1 / np.sqrt(X.multiply(X).sum(axis=1).A1)) @ X).tocsr().astype(np.float32)


def cut_blocks(X: sp.csr_matrix, breakpoints: np.ndarray, block_rows: int, tile_rows: int) -> list[Block]:
    starts = range(0, max(1, X.shape[0]), block_rows)
    return [prepare(X[a : a + block_rows], breakpoints, tile_rows=tile_rows) for a in starts]


def search_all(
    blocks: Sequence[Block], k: int, order: Sequence[int] | None = None, carried: Neighbors | None = None
) -> tuple[Neighbors, SearchCounts]:
    starts = np.cumsum([0, *(block.n_rows for block in blocks)])
    work, parts = SearchCounts(), []
    for rows, start in zip(blocks, starts, strict=False):
        span = slice(start, start + rows.n_rows)
        neighbors = (
            Neighbors(carried.ids[span].copy(), carried.similarities[span].copy())
            if carried
            else Neighbors.empty(rows.n_rows, k)
        )
        for number in order if order is not None else range(len(blocks)):
            work += search(
                rows, blocks[number], neighbors, row_start=int(start), candidate_start=int(starts[number])
            )
        parts.append(neighbors)
    return Neighbors(*(np.concatenate(part) for part in zip(*parts, strict=True))), work


def whole(X: sp.csr_matrix, k: int, levels: int = 32) -> Neighbors:
    Y, breakpoints = in_order(X, levels)
    return search_all(cut_blocks(Y, breakpoints, max(1, X.shape[0]), 65_536), k)[0]


def brute_force(X: sp.csr_matrix) -> np.ndarray:
    dense = X.toarray().astype(np.float64)
    similarities = np.minimum(dense @ dense.T, 1)
    np.fill_diagonal(similarities, -1)
    return similarities


def assert_exact(X: sp.csr_matrix, k: int, neighbors: Neighbors) -> None:
    similarities = brute_force(X)
    expected = -np.sort(-np.maximum(similarities, 0), axis=1)[:, :k]
    expected = np.pad(expected, ((0, 0), (0, k - expected.shape[1])))
    assert np.abs(neighbors.similarities - expected).max(initial=0) < 1e-6
    found = neighbors.ids >= 0
    assert np.array_equal(found, neighbors.similarities > 0)
    rows = np.broadcast_to(np.arange(X.shape[0])[:, None], found.shape)
    own = similarities[rows[found], neighbors.ids[found]]
    assert np.abs(own - neighbors.similarities[found]).max(initial=0) < 1e-6
    assert all(len(set(ids[ids >= 0])) == np.count_nonzero(ids >= 0) for ids in neighbors.ids)


def assert_same_bytes(neighbors: Neighbors, expected: Neighbors) -> None:
    assert np.array_equal(neighbors.ids, expected.ids)
    assert neighbors.similarities.tobytes() == expected.similarities.tobytes()


@pytest.fixture(scope="module")
def sample() -> sp.csr_matrix:
    return like_urls(1200)


@settings(deadline=None, max_examples=150)
@given(dense=MATRICES, k=st.integers(1, 45), levels=st.integers(1, 40))
def test_neighbors_are_those_of_brute_force(dense: np.ndarray, k: int, levels: int) -> None:
    X = unit_rows(dense)
    assert_exact(X, k, whole(X, k, levels))


@settings(deadline=None, max_examples=100)
@given(dense=MATRICES, k=st.integers(1, 12), block_rows=st.integers(1, 40), data=st.data())
def test_neighbors_are_the_same_bytes_for_any_blocks_tiles_and_order(
    dense: np.ndarray, k: int, block_rows: int, data: st.DataObject
) -> None:
    X = unit_rows(dense)
    Y, breakpoints = in_order(X)
    blocks = cut_blocks(Y, breakpoints, block_rows, tile_rows=data.draw(st.integers(1, 40)))
    order = data.draw(st.permutations(range(len(blocks))))
    assert_same_bytes(search_all(blocks, k, order)[0], whole(X, k))


@pytest.mark.parametrize("k", [1, 10, 50])
def test_neighbors_in_a_corpus_like_urls_are_exact(sample: sp.csr_matrix, k: int) -> None:
    assert_exact(sample, k, whole(sample, k))


@pytest.mark.sampled
@pytest.mark.parametrize("block_rows", [7, 64, 1200])
@pytest.mark.parametrize("tile_rows", [5, 100, 65_536])
def test_block_and_tile_sizes_leave_no_trace(sample: sp.csr_matrix, block_rows: int, tile_rows: int) -> None:
    X = sample[:400] if block_rows == 7 else sample
    Y, breakpoints = in_order(X)
    assert_same_bytes(search_all(cut_blocks(Y, breakpoints, block_rows, tile_rows), 10)[0], whole(X, 10))


@pytest.mark.parametrize("levels", [1, 2, 5, 100])
def test_the_number_of_levels_leaves_no_trace(sample: sp.csr_matrix, levels: int) -> None:
    assert_same_bytes(whole(sample, 10, levels), whole(sample, 10))


def test_carried_strips_leave_no_trace(sample: sp.csr_matrix) -> None:
    Y, breakpoints = in_order(sample)
    blocks = cut_blocks(Y, breakpoints, 300, 64)
    expected = whole(sample, 10)
    first, _ = search_all(blocks, 10, order=[3, 0])
    assert_same_bytes(search_all(blocks, 10, order=[1, 2], carried=first)[0], expected)
    assert_same_bytes(search_all(blocks, 10, carried=expected)[0], expected)
    second, _ = search_all(blocks, 10, order=[2, 1, 0])
    assert_same_bytes(merge([second, first]), expected)


def test_carried_thresholds_save_work(sample: sp.csr_matrix) -> None:
    Y, breakpoints = in_order(sample)
    blocks = cut_blocks(Y, breakpoints, 300, 64)
    neighbors, cold = search_all(blocks, 10)
    _, warm = search_all(blocks, 10, carried=neighbors)
    assert warm.multiply_adds < cold.multiply_adds


def test_similarities_are_symmetric_to_the_bit(sample: sp.csr_matrix) -> None:
    n = 150
    ids, similarities = whole(sample[:n], n)
    square = np.zeros((n, n), np.float32)
    for i in range(n):
        found = ids[i] >= 0
        square[i, ids[i][found]] = similarities[i][found]
    assert np.array_equal(square, square.T)


@pytest.mark.parametrize("tile_rows", [3, 64])
def test_identical_rows_are_neighbors_of_lowest_id_first(tile_rows: int) -> None:
    Y, breakpoints = in_order(unit_rows(np.tile([1.0, 2.0, 0.0, 3.0], (30, 1))))
    ids, similarities = search_all(cut_blocks(Y, breakpoints, 10, tile_rows), 3, order=[2, 0, 1])[0]
    assert ids[0].tolist() == [1, 2, 3]
    assert ids[1].tolist() == [0, 2, 3]
    assert np.all(ids[3:] == [0, 1, 2])
    assert np.all(similarities <= 1)
    assert np.all(similarities > 1 - 1e-6)


@settings(deadline=None, max_examples=100)
@given(
    dense=MATRICES,
    contents=st.lists(st.integers(0, 39), min_size=1, max_size=60),
    k=st.integers(1, 30),
    block_rows=st.integers(1, 60),
    data=st.data(),
)
def test_equal_rows_are_each_a_neighbor_and_ties_go_to_the_lowest_id(
    dense: np.ndarray, contents: list[int], k: int, block_rows: int, data: st.DataObject
) -> None:
    X = unit_rows(dense[np.array(contents) % len(dense)])
    assert_exact(X, k, whole(X, k))
    Y, breakpoints = in_order(X)
    ids, similarities = whole(X, X.shape[0] + k)
    weights = Y.toarray()
    for i in range(X.shape[0]):
        order = sorted(range(X.shape[0]), key=lambda j: (-value_of(weights[i], weights[j]), j))
        expected = [j for j in order if j != i and value_of(weights[i], weights[j]) > 0]
        assert ids[i][ids[i] >= 0].tolist() == expected
    blocks = cut_blocks(Y, breakpoints, block_rows, tile_rows=data.draw(st.integers(1, 60)))
    order = data.draw(st.permutations(range(len(blocks))))
    assert_same_bytes(search_all(blocks, k, order)[0], Neighbors(ids[:, :k], similarities[:, :k]))


def value_of(x: np.ndarray, y: np.ndarray) -> np.float32:
    columns = np.arange(x.size, dtype=np.int32)
    return similarity(x.astype(np.float32), columns, y.astype(np.float32))


def test_a_row_repeated_ten_thousand_times_is_compared_once_a_tile() -> None:
    Y, breakpoints = in_order(unit_rows(np.tile(np.random.default_rng(9).random(70), (10_000, 1))))
    (ids, _), work = search_all(cut_blocks(Y, breakpoints, 10_000, 4_096), 10)
    assert np.array_equal(ids[20:], np.broadcast_to(np.arange(10), (9_980, 10)))
    assert ids[3].tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9, 10]
    assert work.finished <= 3 * 10_000


def test_ties_at_the_last_rank_go_to_the_lowest_id() -> None:
    dense = np.eye(8)[np.arange(40) % 8] + np.eye(8)[(np.arange(40) // 5 + 1) % 8]
    X = unit_rows(dense)
    similarities = brute_force(X).astype(np.float32)
    order = np.lexsort((np.broadcast_to(np.arange(40), (40, 40)), -similarities))[:, :6]
    Y, breakpoints = in_order(X)
    for block_rows in (1, 7, 40):
        ids, values = search_all(cut_blocks(Y, breakpoints, block_rows, 4), 6)[0]
        assert np.array_equal(np.where(values > 0, ids, order), order)


@pytest.mark.parametrize("k", [1, 3, 4, 5, 100])
def test_k_around_the_number_of_rows(k: int) -> None:
    X = unit_rows(np.ones((5, 3)) + np.eye(5, 3))
    assert_exact(X, k, whole(X, k))


def test_rows_without_a_common_column_are_no_neighbors() -> None:
    ids, similarities = whole(unit_rows(np.eye(6)), 3)
    assert np.all(ids == -1)
    assert np.all(similarities == 0)


def test_zero_rows_have_and_are_no_neighbors() -> None:
    ids, _ = whole(unit_rows(np.array([[0, 0], [1, 0], [0, 0], [1, 1]])), 3)
    assert ids.tolist() == [[-1, -1, -1], [3, -1, -1], [-1, -1, -1], [1, -1, -1]]


@pytest.mark.parametrize("shape", [(1, 3), (0, 3), (3, 0), (0, 0)])
def test_single_and_empty_blocks(shape: tuple[int, int]) -> None:
    ids, _ = whole(unit_rows(np.ones(shape)), 2)
    assert np.array_equal(ids, np.full((shape[0], 2), -1))


def test_no_neighbors_asked_for() -> None:
    assert whole(unit_rows(np.ones((4, 2))), 0).ids.shape == (4, 0)


def test_one_dominant_column_and_weights_of_all_sizes() -> None:
    rng = np.random.default_rng(5)
    dense = rng.random((300, 400)) ** 40 * 10.0 ** rng.integers(-12, 6, (300, 400))
    dense[:, 7] = 1e9
    X = unit_rows(dense)
    assert_exact(X, 10, whole(X, 10))


@settings(deadline=None, max_examples=60)
@given(
    n_rows=st.integers(20, 600),
    shares=st.lists(st.sampled_from([0.01, 0.1, 0.2, 0.5, 0.98]), min_size=2, max_size=20),
    sizes=st.lists(st.sampled_from([1e-12, 1e-3, 1.0, 2.0, 1e4]), min_size=1, max_size=4),
    k=st.integers(1, 15),
    seed=st.integers(0, 2**32 - 1),
)
def test_lists_of_all_densities_in_large_and_small_tiles_are_exact(
    n_rows: int, shares: list[float], sizes: list[float], k: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    dense = rng.choice(sizes, (n_rows, len(shares))) * (rng.random((n_rows, len(shares))) < shares)
    X = unit_rows(dense)
    neighbors = whole(X, k)
    assert_exact(X, k, neighbors)
    Y, breakpoints = in_order(X)
    assert_same_bytes(search_all(cut_blocks(Y, breakpoints, n_rows, tile_rows=64), k)[0], neighbors)


@pytest.mark.parametrize("apart", [1, 2, 5, 30])
def test_similarities_closer_than_any_rounding_of_the_filters_are_told_apart(apart: int) -> None:
    weights = np.random.default_rng(apart).random((1, 40)).repeat(900, axis=0)
    weights[np.arange(900), np.arange(900) % 40] *= 1 + apart * 2e-7 * (np.arange(900) % 7)
    X = unit_rows(weights)
    Y, breakpoints = in_order(X)
    exact, columns = Y.toarray(), np.arange(40, dtype=np.int32)
    ids, similarities = search_all(cut_blocks(Y, breakpoints, 300, 128), 8)[0]
    for i in range(0, 900, 37):
        values = np.array([similarity(exact[i], columns, row) for row in exact])
        values[i] = -1
        order = np.lexsort((np.arange(900), -values))[:8]
        assert ids[i].tolist() == order.tolist()
        assert np.array_equal(similarities[i], values[order])


@pytest.mark.long
def test_rows_of_thousands_of_weights() -> None:
    rng = np.random.default_rng(6)
    X = unit_rows(rng.random((40, 20_000)) * (rng.random((40, 20_000)) < 0.4))
    assert_exact(X, 5, whole(X, 5))


@pytest.mark.long
def test_a_row_of_more_weights_than_sixteen_bits_count() -> None:
    X = unit_rows(np.random.default_rng(7).random((3, 70_000)))
    assert_exact(X, 2, whole(X, 2))


@pytest.mark.parametrize(
    ("weight", "ids"), [(1e-20, [[2, -1], [2, -1], [1, 0]]), (1e-30, [[-1, -1], [2, -1], [1, -1]])]
)
def test_similarities_too_small_to_add_up_in_float32_count_as_none(
    weight: float, ids: list[list[int]]
) -> None:
    X = sp.csr_matrix(np.array([[1, weight, 0], [0, weight, 1], [0, 0.6, 0.8]], np.float32))
    assert whole(X, 2).ids.tolist() == ids


def test_new_rows_are_compared_with_a_corpus_they_are_not_part_of(sample: sp.csr_matrix) -> None:
    Y, breakpoints = in_order(sample)
    known, new = prepare(Y[:1000], breakpoints), prepare(Y[1000:], breakpoints)
    neighbors = Neighbors.empty(200, 4)
    search(new, known, neighbors, row_start=1000, candidate_start=0)
    expected = (Y[1000:].astype(np.float64) @ Y[:1000].astype(np.float64).T).toarray()
    assert np.abs(neighbors.similarities - -np.sort(-expected, axis=1)[:, :4]).max() < 1e-6


@pytest.mark.parametrize("block_rows", [1200, 300, 77])
@pytest.mark.parametrize("n_groups", [3, 60, 900])
def test_no_neighbor_is_of_the_own_group(sample: sp.csr_matrix, block_rows: int, n_groups: int) -> None:
    X = sp.vstack([sample, sample[::7], sample[:40]]).tocsr()
    # Equal rows are of one group, wherever they are.
    group = np.random.default_rng(n_groups).integers(0, n_groups, sample.shape[0])
    groups = np.concatenate([group, group[::7], group[:40]])
    Y, breakpoints = in_order(X)
    blocks = cut_blocks(Y, breakpoints, block_rows, 256)
    starts = np.cumsum([0, *(block.n_rows for block in blocks)])
    parts = [np.split(groups, starts[1:-1])[number] for number in range(len(blocks))]
    found = [Neighbors.empty(block.n_rows, 6) for block in blocks]
    for number, neighbors in enumerate(found):
        for other in range(len(blocks)):
            search(
                blocks[number],
                blocks[other],
                neighbors,
                row_start=int(starts[number]),
                candidate_start=int(starts[other]),
                groups=(parts[number], parts[other]),
            )
    similarities = brute_force(X)
    similarities[groups[:, None] == groups] = 0
    expected = -np.sort(-similarities, axis=1)[:, :6]
    ids, values = (np.concatenate(part) for part in zip(*found, strict=True))
    assert np.abs(values - expected).max() < 1e-6
    rows, places = np.nonzero(ids >= 0)
    assert (groups[rows] != groups[ids[rows, places]]).all()
    assert np.abs(similarities[rows, ids[rows, places]] - values[rows, places]).max() < 1e-6
    tied = values[:, 1:] == values[:, :-1]
    assert (np.diff(ids)[tied & (ids[:, 1:] >= 0)] > 0).all()


def test_a_row_block_never_pays_for_inverted_lists(sample: sp.csr_matrix) -> None:
    Y, breakpoints = in_order(sample)
    rows, candidates = cut_blocks(Y, breakpoints, 600, 128)
    before = rows.nbytes
    search(rows, candidates, Neighbors.empty(600, 3), row_start=0, candidate_start=600)
    # A link and a number of each row, for the rows that it equals.
    assert rows.nbytes <= before + 8 * 600


def test_blocks_of_other_columns_are_refused() -> None:
    X = unit_rows(np.ones((3, 4)))
    rows, candidates = prepare(X, np.array([2, 4], np.int32)), prepare(X, np.array([4], np.int32))
    with pytest.raises(ValueError, match="same Columns"):
        search(rows, candidates, Neighbors.empty(3, 1), row_start=0, candidate_start=0)


@pytest.mark.parametrize("rows", [2, 4])
def test_neighbors_of_other_rows_are_refused(rows: int) -> None:
    block = prepare(unit_rows(np.ones((3, 4))), np.array([4], np.int32))
    with pytest.raises(ValueError, match="3 rows"):
        search(block, block, Neighbors.empty(rows, 1), row_start=0, candidate_start=0)


def test_the_kept_similarity_is_the_float64_sum_rounded_once() -> None:
    rng = np.random.default_rng(8)
    x, y = rng.random((2, 500)).astype(np.float32)
    x, y = x / np.float32(np.linalg.norm(x) * 1.001), y / np.float32(np.linalg.norm(y) * 1.001)
    expected = np.float32(np.cumsum(x.astype(np.float64) * y.astype(np.float64))[-1])
    assert similarity(x, np.arange(500, dtype=np.int32), y) == expected


def test_pruning_leaves_little_of_the_work() -> None:
    Y, breakpoints = in_order(like_urls(6000))
    _, work = search_all(cut_blocks(Y, breakpoints, 6000, 2048), 10)
    full = (np.bincount(Y.indices).astype(np.float64) ** 2).sum()
    assert work.multiply_adds < 0.085 * full
    assert work.slots < 0.55 * 6000**2
    assert work.finished < 200 * 6000
    assert work.adjacent == 10 * 6000 - 55
