from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.kernels.neighbors import Neighbors, insert, merge, sort_neighbors

SIMILARITIES = st.sampled_from([0.125, 0.25, 0.5, 1.0])
CANDIDATES = st.dictionaries(st.integers(0, 30), SIMILARITIES, max_size=20)


def best(candidates: dict[int, float], k: int) -> tuple[list[int], list[float]]:
    order = sorted(candidates, key=lambda row: (-candidates[row], row))[:k]
    missing = k - len(order)
    return order + [-1] * missing, [candidates[row] for row in order] + [0.0] * missing


def strip(candidates: dict[int, float], k: int, order: list[int] | None = None) -> Neighbors:
    neighbors = Neighbors.empty(1, k)
    for row in order if order is not None else candidates:
        insert(neighbors.ids[0], neighbors.similarities[0], row, np.float32(candidates[row]))
    return neighbors


@settings(deadline=None)
@given(candidates=CANDIDATES, k=st.integers(1, 12), data=st.data())
def test_the_best_are_kept_in_whatever_order_they_come(
    candidates: dict[int, float], k: int, data: st.DataObject
) -> None:
    order = data.draw(st.permutations(list(candidates) * 2))
    ids, similarities = strip(candidates, k, order)
    assert (ids[0].tolist(), similarities[0].tolist()) == best(candidates, k)


@settings(deadline=None)
@given(
    candidates=CANDIDATES,
    k=st.integers(1, 12),
    parts=st.lists(st.sets(st.integers(0, 30)), min_size=1, max_size=4),
)
def test_merged_strips_hold_the_best_of_all(
    candidates: dict[int, float], k: int, parts: list[set[int]]
) -> None:
    dealt = [{row: candidates[row] for row in part if row in candidates} for part in parts]
    union = {row: candidates[row] for part in dealt for row in part}
    ids, similarities = merge([strip(part, k) for part in dealt])
    assert (ids[0].tolist(), similarities[0].tolist()) == best(union, k)


def test_merge_is_associative_and_commutative() -> None:
    strips = [strip({3: 0.5, 8: 0.5, 1: 0.25}, 3), strip({8: 0.5, 2: 0.5}, 3), strip({9: 1.0}, 3)]
    expected = merge(strips)
    for a, b, c in permutations(strips):
        for merged in (merge([a, b, c]), merge([merge([a, b]), c]), merge([a, merge([b, c])])):
            assert np.array_equal(merged.ids, expected.ids)
            assert np.array_equal(merged.similarities, expected.similarities)


def test_merge_leaves_the_strips_as_they_are() -> None:
    first, second = strip({3: 0.5}, 2), strip({1: 1.0}, 2)
    merge([first, second])
    assert first.ids.tolist() == [[3, -1]]
    assert second.ids.tolist() == [[1, -1]]


@pytest.mark.parametrize("shapes", [[], [(2, 3), (2, 4)], [(2, 3), (1, 3)]])
def test_merge_refuses_strips_of_different_rows(shapes: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="same shape"):
        merge([Neighbors.empty(*shape) for shape in shapes])


@settings(deadline=None)
@given(candidates=CANDIDATES, data=st.data())
def test_sorting_restores_the_final_order(candidates: dict[int, float], data: st.DataObject) -> None:
    expected = strip(candidates, 20)
    order = np.array([data.draw(st.permutations(range(20)))])
    shuffled = Neighbors(
        np.take_along_axis(expected.ids, order, axis=1),
        np.take_along_axis(expected.similarities, order, axis=1),
    )
    assert np.array_equal(sort_neighbors(shuffled).ids, expected.ids)
    assert np.array_equal(sort_neighbors(shuffled).similarities, expected.similarities)
