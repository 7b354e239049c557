from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.kernels.search import equal_rows as module
from novelty_dask.kernels.search.block import prepare
from novelty_dask.kernels.search.bounds import Rows
from novelty_dask.kernels.search.equal_rows import find_equal_rows

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
    distinct, next_equal = find_equal_rows(rows_of(contents), first, last)
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
    distinct, next_equal = uncompiled(find_equal_rows)(rows_of([1, 2, 1, 3, 4, 2, 5, 1]), 0, 8)
    assert distinct.tolist() == [0, 1, 3, 4, 6]
    assert next_equal.tolist() == [2, 5, 7, -1, -1, -1, -1, -1]


@pytest.mark.parametrize("change", [0, 69])
def test_a_difference_of_one_bit_in_one_weight_is_a_difference(change: int) -> None:
    weights = np.full((2, 70), 70**-0.5, np.float32)
    weights[1, change] = np.nextafter(weights[1, change], np.float32(1))
    distinct, _ = find_equal_rows(prepare(sp.csr_matrix(weights), np.array([70], np.int32)).rows, 0, 2)
    assert distinct.tolist() == [0, 1]
