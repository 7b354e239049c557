from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.kernels.neighbors import Neighbors
from novelty_dask.kernels.search import equal_rows as module
from novelty_dask.kernels.search.block import prepare
from novelty_dask.kernels.search.bounds import Rows
from novelty_dask.kernels.search.equal_rows import Distinct, find_equal_rows, follow, share

CONTENTS = np.array(
    [[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0.6, 0.8, 0, 0], [0.8, 0.6, 0, 0], [0.6, 0, 0.8, 0]]
)


def rows_of(contents: list[int]) -> Rows:
    return prepare(sp.csr_matrix(CONTENTS[contents].astype(np.float32)), np.array([2, 4], np.int32)).rows


@settings(deadline=None, max_examples=60)
@given(contents=st.lists(st.integers(0, len(CONTENTS) - 1), max_size=40), data=st.data())
def test_the_first_of_equal_rows_leads_to_all_others_in_order(
    contents: list[int], data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(contents)))
    last = data.draw(st.integers(first, len(contents)))
    found_first, distinct, next_equal = find_equal_rows(rows_of(contents), first, last)
    assert found_first == first
    assert distinct.tolist() == [i for i in range(first, last) if contents[i] not in contents[first:i]]
    for leader in distinct:
        found = [int(leader)]
        while next_equal[found[-1] - first] >= 0:
            found.append(int(next_equal[found[-1] - first]))
        assert found == [i for i in range(first, last) if contents[i] == contents[leader]]


def uncompiled(function: Any) -> Callable[..., Any]:
    """Return the Python of a compiled function."""
    python: Callable[..., Any] = function.py_func
    return python


def test_rows_of_the_same_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_hash_row", lambda _rows, _i: np.uint64(3))
    monkeypatch.setattr(module, "_are_equal", uncompiled(module._are_equal))
    _, distinct, next_equal = uncompiled(find_equal_rows)(rows_of([1, 2, 1, 3, 4, 2, 5, 1]), 0, 8)
    assert distinct.tolist() == [0, 1, 3, 4, 6]
    assert next_equal.tolist() == [2, 5, 7, -1, -1, -1, -1, -1]


@pytest.mark.parametrize("change", [0, 69])
def test_a_difference_of_one_bit_in_one_weight_is_a_difference(change: int) -> None:
    weights = np.full((2, 70), 70**-0.5, np.float32)
    weights[1, change] = np.nextafter(weights[1, change], np.float32(1))
    found = find_equal_rows(prepare(sp.csr_matrix(weights), np.array([70], np.int32)).rows, 0, 2)
    assert found.rows.tolist() == [0, 1]


STRETCH = Distinct(1, np.array([1, 3], np.int32), np.array([2, -1, 4, -1], np.int32))
"""Rows 1 to 4 of a block, of which 2 equals 1, and 4 equals 3; their ids are 101 to 104."""


def neighbors_of(*rows: list[tuple[int, float]]) -> Neighbors:
    ids, similarities = (np.array([[pair[at] for pair in row] for row in rows]) for at in (0, 1))
    return Neighbors(ids.astype(np.int64), similarities.astype(np.float32))


@pytest.mark.parametrize(
    ("second", "leader"),
    [
        # Both in the stretch; the same neighbors; other ids or similarities; missing for one of them only.
        ([(101, 1.0), (7, 0.5)], 1),
        ([(102, 1.0), (7, 0.5)], 1),
        ([(101, 1.0), (8, 0.5)], 2),
        ([(100, 1.0), (7, 0.5)], 2),
        ([(105, 1.0), (7, 0.5)], 2),
        ([(101, 1.0), (7, 0.25)], 2),
        ([(101, 1.0), (-1, 0.0)], 2),
    ],
)
def test_a_row_follows_one_that_it_equals_if_their_neighbors_differ_within_the_stretch_only(
    second: list[tuple[int, float]], leader: int
) -> None:
    others = [(-1, 0.0), (-1, 0.0)]
    neighbors = neighbors_of(others, [(102, 1.0), (7, 0.5)], second, others, others)
    leaders = np.zeros(4, np.int32)
    follow(neighbors, STRETCH, 100, leaders)
    assert leaders.tolist() == [1, leader, 3, 3]


def test_followers_get_what_their_leaders_found_beyond_the_stretch() -> None:
    before = [(102, 1.0), (7, 0.5)], [(101, 1.0), (7, 0.5)]
    neighbors = neighbors_of([(9, 0.5)] * 2, [(102, 1.0), (8, 0.75)], before[1], *before)
    share(neighbors, np.array([1, 1, 3, 4], np.int32), 1, 100)
    expected = neighbors_of([(9, 0.5)] * 2, [(102, 1.0), (8, 0.75)], [(101, 1.0), (8, 0.75)], *before)
    assert np.array_equal(neighbors.ids, expected.ids)
    assert np.array_equal(neighbors.similarities, expected.similarities)
