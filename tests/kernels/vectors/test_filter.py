"""Search by integers: the same bytes as without them, for any vectors."""

from itertools import accumulate, pairwise, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from novelty_dask.engines import dense
from novelty_dask.engines.dense import DenseEngine, Metric, Vectors
from novelty_dask.kernels.neighbors import Neighbors
from novelty_dask.kernels.vectors import searches
from novelty_dask.kernels.vectors.closeness import Measure
from novelty_dask.kernels.vectors.filter import search_integers
from novelty_dask.kernels.vectors.instructions import find_instructions
from novelty_dask.kernels.vectors.searches import Block

pytestmark = pytest.mark.skipif(
    find_instructions() is None, reason="this processor has no instructions for it"
)
METRICS: tuple[Metric, ...] = ("cosine", "euclidean", "inner_product")


def empty(n_rows: int, k: int) -> Neighbors:
    """Return neighbors of rows that have none."""
    return Neighbors(np.full((n_rows, k), -1), np.full((n_rows, k), -np.inf))


def search(engine: DenseEngine, blocks: list[Vectors], k: int, *, is_both: bool = False) -> bytes:
    """Return the bytes of the neighbors of all rows of some blocks, each pair of them met once or twice."""
    starts = [0, *accumulate(len(block.rows) for block in blocks)]
    neighbors = empty(starts[-1], k)
    parts = [Neighbors(neighbors.ids[a:b], neighbors.similarities[a:b]) for a, b in pairwise(starts)]
    for i, j in product(range(len(blocks)), repeat=2):
        pair = (blocks[i], blocks[j])
        if i == j or not is_both:
            engine.search(*pair, parts[i], row_start=starts[i], candidate_start=starts[j])
        elif i < j:
            engine.search_both(pair, (parts[i], parts[j]), (starts[i], starts[j]))
    return neighbors.ids.tobytes() + neighbors.similarities.tobytes()


@pytest.fixture(scope="module")
def without() -> Any:
    """Return a function that searches without integers."""

    def search_without(X: NDArray[np.float64], metric: Metric, k: int) -> bytes:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dense, "find_instructions", lambda: None)
            engine = DenseEngine(metric)
            return search(engine, [engine.prepare(X)], k)

    return search_without


def check(X: NDArray[np.float64], metric: Metric, k: int, without: Any, step: int) -> None:
    """Check that integers change no byte, in blocks of some rows."""
    engine = DenseEngine(metric)
    blocks = [engine.prepare(X[start : start + step]) for start in range(0, len(X), step)]
    assert all(block.integers for block in blocks)
    expected = without(X, metric, k)
    assert search(engine, blocks, k) == expected
    assert search(engine, blocks, k, is_both=True) == expected


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=150)
@given(data=st.data())
def test_integers_change_no_byte(data: st.DataObject, metric: Metric, without: Any) -> None:
    values = data.draw(
        st.sampled_from(
            [
                st.integers(-2, 2).map(float),
                st.floats(-1, 1),
                st.floats(-1e30, 1e30),
                st.floats(-1e-160, 1e-160),
            ]
        )
    )
    shape = (data.draw(st.integers(2, 40)), data.draw(st.integers(1, 10)))
    X = data.draw(arrays(np.float64, shape, elements=values))
    check(X, metric, data.draw(st.integers(1, 4)), without, data.draw(st.integers(1, 40)))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["normal", "far", "twins", "scaled", "clusters", "one column"])
def test_rows_of_all_kinds_have_the_same_bytes(kind: str, metric: Metric, without: Any) -> None:
    chance = np.random.default_rng(3)
    X = chance.normal(size=(900, 1 if kind == "one column" else 33))
    if kind == "far":
        X += 1_000
    elif kind == "twins":
        X = X[chance.integers(0, 5, 900)] + 1e-14 * X
    elif kind == "scaled":
        X *= 10.0 ** chance.integers(-8, 8, (900, 1))
    elif kind == "clusters":
        X = X[chance.integers(0, 30, 900)] + 0.1 * X
    check(X, metric, 10, without, 400)


@pytest.mark.parametrize("metric", METRICS)
def test_more_equal_rows_than_there_is_room_for_have_the_same_bytes(metric: Metric, without: Any) -> None:
    check(np.ones((700, 5)), metric, 3, without, 700)


@pytest.mark.parametrize("metric", METRICS)
def test_rows_of_many_stretches_have_the_same_bytes(
    metric: Metric, without: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searches, "MOST_ROWS", 100)
    check(np.random.default_rng(4).normal(size=(900, 20)), metric, 7, without, 500)


def test_a_bound_that_is_too_small_loses_neighbors(without: Any) -> None:
    """So a mistake in it would be seen."""
    X = np.random.default_rng(5).normal(size=(2_000, 40))
    engine = DenseEngine("cosine")
    block = engine.prepare(X)
    assert block.integers
    block.integers.errors[:] = -block.integers.errors
    assert search(engine, [block], 10) != without(X, "cosine", 10)


def test_lengths_that_differ_by_far_are_left_to_floats() -> None:
    """Distances among tiny rows vanish beside the lengths of huge candidates in float32."""
    engine = DenseEngine("euclidean")
    small, large = (engine.prepare(np.full((3, 2), value)) for value in (1e-20, 1e20))
    neighbors = empty(3, 1)
    assert small.integers
    assert large.integers
    rows = Block(small.rows, small.integers, 0, *neighbors)
    candidates = Block(large.rows, large.integers, 3, *empty(3, 0))
    assert not search_integers(rows, candidates, Measure(True, False))
    assert (neighbors.ids == -1).all()
    engine.search(small, large, neighbors, row_start=0, candidate_start=3)
    assert neighbors.ids.tolist() == [[3]] * 3
