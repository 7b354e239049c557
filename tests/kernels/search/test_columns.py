import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from novelty_dask.kernels.search.columns import order_columns

FREQUENCIES = arrays(np.int64, st.integers(0, 60), elements=st.integers(0, 1000))


@settings(deadline=None, max_examples=100)
@given(frequency=FREQUENCIES, levels=st.integers(1, 40))
def test_columns_are_renumbered_rare_first_and_ties_by_old_number(frequency: np.ndarray, levels: int) -> None:
    columns = order_columns(frequency, levels)
    used = [c for c in np.lexsort((np.arange(frequency.size), frequency)) if frequency[c] > 0]
    assert np.array_equal(columns.rank[used], np.arange(len(used)))
    assert np.array_equal(columns.rank == -1, frequency == 0)
    assert np.array_equal(columns.document_frequency, frequency[used])


@settings(deadline=None, max_examples=100)
@given(frequency=FREQUENCIES, levels=st.integers(1, 40))
def test_break_points_ascend_to_the_number_of_columns(frequency: np.ndarray, levels: int) -> None:
    breakpoints = order_columns(frequency, levels).breakpoints
    assert 1 <= breakpoints.size <= levels
    assert np.all(np.diff(breakpoints) > 0)
    assert breakpoints[-1] == np.count_nonzero(frequency)


def test_break_points_stand_where_the_work_is() -> None:
    frequency = np.r_[np.ones(10_000), np.full(100, 1000)].astype(np.int64)
    breakpoints = order_columns(frequency).breakpoints
    assert np.count_nonzero(breakpoints > 10_000) > 10
