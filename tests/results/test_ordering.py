"""The distribution sort, apart from runs."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from novelty_dask.results.ordering import bucket_numbers

PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), unique=True, max_size=20)


@given(PAIRS, PAIRS)
def test_bucket_numbers_count_the_boundaries_up_to_each_row(
    pairs: list[tuple[int, int]], bounds: list[tuple[int, int]]
) -> None:
    keys, rows = np.array(pairs, np.int64).reshape(-1, 2).T
    bound_keys, bound_rows = np.array(sorted(bounds), np.int64).reshape(-1, 2).T
    expected = [sum(bound <= pair for bound in bounds) for pair in pairs]
    assert bucket_numbers(keys, rows, bound_keys, bound_rows).tolist() == expected


def test_bucket_numbers_take_undefined_novelty() -> None:
    keys = np.array([-0.5, np.inf, np.inf, -1.0])
    assert bucket_numbers(keys, np.arange(4), keys[[0, 2]], np.array([0, 2])).tolist() == [1, 1, 2, 0]
