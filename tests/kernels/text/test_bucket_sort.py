import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.kernels.text.bucket_sort import allocate_buckets, sort_keys


@settings(deadline=None, max_examples=300)
@given(
    st.integers(0, 32).flatmap(lambda bits: st.tuples(st.just(bits), st.lists(st.integers(0, 2**bits - 1))))
)
def test_any_keys_are_sorted(case: tuple[int, list[int]]) -> None:
    bits, keys = case
    ordered = np.empty(len(keys), np.uint32)
    sort_keys(np.array(keys, np.uint32), bits, ordered, allocate_buckets(len(keys)))
    assert ordered.tolist() == sorted(keys)


@pytest.mark.parametrize("size", [0, 1, 2, 63, 64, 65, 10_000])
def test_allocate_buckets_more_keys_serve_fewer(size: int) -> None:
    keys = np.random.default_rng(size).integers(0, 2**20, size).astype(np.uint32)
    buckets = allocate_buckets(10_000)
    buckets[:] = 77
    ordered = np.empty(size, np.uint32)
    sort_keys(keys, 20, ordered, buckets)
    np.testing.assert_array_equal(ordered, np.sort(keys))
