import numpy as np
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.kernels.search.block import prepare
from novelty_dask.kernels.search.directory import list_columns, number_column


@settings(deadline=None, max_examples=60)
@given(
    n_columns=st.sampled_from([1, 63, 64, 65, 128, 200]),
    density=st.sampled_from([0.0, 0.05, 1.0]),
    seed=st.integers(0, 9),
)
def test_columns_are_numbered_by_how_many_before_them_occur(
    n_columns: int, density: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    dense = (rng.random((4, n_columns)) < density).astype(np.float32)
    dense /= np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), 1)
    rows = prepare(sp.csr_matrix(dense), np.array([n_columns], np.int32)).rows
    chosen = np.array([0, 2], np.int32)
    occurring, before = list_columns(rows, chosen, n_columns)
    occurs = np.count_nonzero(dense[chosen], axis=0) > 0
    found = [number_column(occurring, before, np.uint64(column)) for column in range(n_columns)]
    assert [bool(is_there) for _, is_there in found] == occurs.tolist()
    assert [int(number) for number, _ in found] == [occurs[:column].sum() for column in range(n_columns)]
    assert before[-1] == occurs.sum()
