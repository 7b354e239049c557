"""Dense products show the search what sparse ones show it."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.kernels.neighbors import Neighbors
from novelty_dask.kernels.search import dense, inverted, topk
from novelty_dask.kernels.search.columns import order_columns
from novelty_dask.kernels.search.topk import Block, SearchCounts, prepare, search


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Dense products wherever they are possible, in small parts."""
    for name, value in {"LONG": 0, "SPEED": 2**40, "STRETCH": 7, "PROBE": 2, "QUERIES": 3}.items():
        monkeypatch.setattr(dense, name, value)
    return monkeypatch


def twins(n_rows: int, n_columns: int, n_own: int, seed: int = 0) -> tuple[sp.csr_matrix, np.ndarray]:
    """Return unit rows that share all but a few of their columns, some of them equal, and break-points."""
    rng = np.random.default_rng(seed)
    table = np.tile(np.r_[np.ones(n_columns), np.zeros(9 * n_own)], (n_rows, 1)).astype(np.float32)
    for row in table:
        row[rng.choice(n_columns, n_own, replace=False)] = 0
        row[n_columns + rng.choice(9 * n_own, n_own, replace=False)] = 3
    X = sp.csr_matrix(np.vstack([table, table[: n_rows // 8]]))
    columns = order_columns(np.bincount(X.indices, minlength=X.shape[1]))
    data = X.data / np.repeat(np.sqrt(X.multiply(X).sum(axis=1).A1), np.diff(X.indptr))
    shape = (X.shape[0], columns.document_frequency.size)
    Y = sp.csr_matrix((data.astype(np.float32), columns.rank[X.indices], X.indptr), shape=shape)
    Y.sort_indices()
    return Y, columns.breakpoints


def among_short_rows(X: sp.csr_matrix, *, alternate: bool) -> tuple[sp.csr_matrix, np.ndarray]:
    """Return long rows in the midst of as many short ones, or each behind one, and break-points."""
    rng = np.random.default_rng(1)
    n_rows, n_columns = X.shape
    columns = n_columns + np.sort([rng.choice(20_000, 24, replace=False) for _ in range(n_rows)], axis=1)
    data = np.full(columns.size, 24**-0.5, np.float32)
    short = sp.csr_matrix(
        (data, columns.ravel(), np.arange(n_rows + 1) * 24), shape=(n_rows, n_columns + 20_000)
    )
    long = sp.csr_matrix((X.data, X.indices, X.indptr), shape=short.shape)
    order = np.arange(2 * n_rows)
    order = order.reshape(2, n_rows).T.ravel() if alternate else np.roll(order, -n_rows // 3)
    both = sp.vstack([short, long]).tocsr()[order]
    ordered = order_columns(np.bincount(both.indices, minlength=short.shape[1]))
    shape = (2 * n_rows, ordered.document_frequency.size)
    Y = sp.csr_matrix((both.data, ordered.rank[both.indices], both.indptr), shape=shape)
    Y.sort_indices()
    return Y, ordered.breakpoints


def found(
    X: sp.csr_matrix, breakpoints: np.ndarray, k: int, tile_rows: int
) -> tuple[Neighbors, SearchCounts]:
    """Return the neighbors of all rows, searched as two blocks, each against both."""
    half = X.shape[0] // 2
    blocks: list[tuple[Block, int]] = [
        (prepare(X[:half], breakpoints, tile_rows=tile_rows), 0),
        (prepare(X[half:], breakpoints, tile_rows=tile_rows), half),
    ]
    parts, counts = [], SearchCounts()
    for rows, row_start in blocks:
        neighbors = Neighbors.empty(rows.n_rows, k)
        # Each with itself first, as a comparison of spans does.
        for candidates, candidate_start in sorted(blocks, key=lambda other: other[0] is not rows):
            counts += search(
                rows, candidates, neighbors, row_start=row_start, candidate_start=candidate_start
            )
        parts.append(neighbors)
    return Neighbors(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True))), counts


def assert_same(a: Neighbors, b: Neighbors) -> None:
    """Compare all bytes."""
    assert a.ids.tobytes() == b.ids.tobytes()
    assert a.similarities.tobytes() == b.similarities.tobytes()


@pytest.mark.parametrize("shared", [1, 4, 16])
@pytest.mark.parametrize("n_bytes", [1, 4_000, 2**24])
def test_dense_products_change_no_byte(always: pytest.MonkeyPatch, n_bytes: int, shared: int) -> None:
    X, breakpoints = twins(120, 200, 6)
    always.setattr(dense, "DENSE_BYTES", n_bytes)
    always.setattr(dense, "SHARED", shared)
    result, _ = found(X, breakpoints, k=5, tile_rows=48)
    always.setattr(topk, "has_long_rows", lambda _candidates, _tile: False)
    expected, _ = found(X, breakpoints, k=5, tile_rows=48)
    assert_same(result, expected)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), k=st.integers(1, 9), tile_rows=st.sampled_from([1, 16, 40, 65_536]))
def test_dense_products_change_no_byte_of_any_rows(data: st.DataObject, k: int, tile_rows: int) -> None:
    weights = st.sampled_from([0.0, 0.0, 1e-30, 1e-6, 0.5, 1.0, 1.0, 3.0])
    n_rows, n_columns = data.draw(st.integers(2, 40)), data.draw(st.integers(1, 12))
    cells = data.draw(st.lists(weights, min_size=n_rows * n_columns, max_size=n_rows * n_columns))
    table = np.array(cells).reshape(n_rows, n_columns)
    lengths = np.linalg.norm(table, axis=1, keepdims=True)
    X = sp.csr_matrix(
        np.divide(table, lengths, out=np.zeros_like(table), where=lengths > 0).astype(np.float32)
    )
    breakpoints = np.array([n_columns], np.int32)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"LONG": 0, "SPEED": 2**40, "STRETCH": 5, "PROBE": 1, "QUERIES": 2}.items():
            patch.setattr(dense, name, value)
        # Tiles of short and of long rows, in the same stretch of rows.
        patch.setattr(inverted, "LONG", data.draw(st.integers(1, n_columns)))
        patch.setattr(dense, "LONG", data.draw(st.integers(0, n_columns)))
        result, _ = found(X, breakpoints, k, tile_rows)
        patch.setattr(topk, "has_long_rows", lambda _candidates, _tile: False)
        assert_same(result, found(X, breakpoints, k, tile_rows)[0])


def test_long_rows_that_are_nearly_equal_are_multiplied_as_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    X, breakpoints = twins(600, 900, 12)
    result, counts = found(X, breakpoints, k=5, tile_rows=16_384)
    monkeypatch.setattr(topk, "has_long_rows", lambda _candidates, _tile: False)
    expected, sparse_counts = found(X, breakpoints, k=5, tile_rows=16_384)
    assert_same(result, expected)
    # Each pair that is finished is multiplied out, column by column.
    assert sparse_counts.finished > 0.2 * X.shape[0] ** 2
    assert counts.finished < 0.1 * X.shape[0] ** 2


@pytest.mark.parametrize("alternate", [False, True])
def test_long_rows_are_multiplied_as_matrices_among_short_ones(
    monkeypatch: pytest.MonkeyPatch, *, alternate: bool
) -> None:
    monkeypatch.setattr(dense, "PROBE", 4)
    X, breakpoints = among_short_rows(twins(500, 900, 12)[0], alternate=alternate)
    result, counts = found(X, breakpoints, k=5, tile_rows=16_384)
    monkeypatch.setattr(topk, "has_long_rows", lambda _candidates, _tile: False)
    expected, sparse_counts = found(X, breakpoints, k=5, tile_rows=16_384)
    assert_same(result, expected)
    assert counts.finished < 0.4 * sparse_counts.finished


def test_long_rows_with_bounds_that_say_enough_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    columns = np.repeat([rng.choice(40_000, 601, replace=False) for _ in range(100)], 2, axis=0)
    rows = np.sort(np.where(np.arange(200)[:, None] % 2, columns[:, 1:], columns[:, :-1]), axis=1)
    X = sp.csr_matrix((np.full(rows.size, 600**-0.5, np.float32), rows.ravel(), np.arange(201) * 600))
    monkeypatch.setattr(dense, "_multiply", None)
    neighbors, _ = found(X, np.array([1_000, 20_000, X.shape[1]], np.int32), k=1, tile_rows=16_384)
    assert neighbors.ids.ravel().tolist() == [row ^ 1 for row in range(200)]
