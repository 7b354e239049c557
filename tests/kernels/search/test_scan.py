"""The second pass leaves out entries of groups that the first ruled out, and no others."""

import numpy as np
import pytest
import scipy.sparse as sp

from novelty_dask.kernels.search.block import prepare
from novelty_dask.kernels.search.inverted import invert
from novelty_dask.kernels.search.scan import SKIPPING, _add_rows
from novelty_dask.kernels.search.scratch import allocate_scratch
from novelty_dask.kernels.search.simd import LANES

COLUMNS = 30


@pytest.mark.parametrize("n_left", [1, 5, 20, 69])
def test_groups_that_are_left_have_the_same_sums_in_fewer_steps(n_left: int) -> None:
    rng = np.random.default_rng(2)
    share = np.repeat([0.002, 0.3], COLUMNS // 2)
    dense = rng.random((1_100, COLUMNS)) * (rng.random((1_100, COLUMNS)) < share)
    # All columns occur, so that they are numbered as before, and some row has room for all their lists.
    dense[:500, 29], dense[0] = 0, 0.1
    X = sp.csr_matrix(
        dense / np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), 1e-9), dtype=np.float32
    )
    rows = prepare(X, np.array([COLUMNS], np.int32)).rows
    tile = invert(rows, 0, 1_100, COLUMNS)
    lists, n_groups = tile.lists, tile.lists.n_groups
    scratches = [allocate_scratch(rows, COLUMNS, n_groups) for _ in range(2)]
    for scratch in scratches:
        scratch.first[:COLUMNS], scratch.last[:COLUMNS] = (
            lists.indptr[:COLUMNS],
            lists.indptr[1 : COLUMNS + 1],
        )
        scratch.weights[:COLUMNS] = np.arange(1, COLUMNS + 1) * 500
    left = np.sort(rng.choice(69, n_left, replace=False)).astype(np.int32)
    steps = _add_rows(COLUMNS, left, tile, scratches[0])
    every = _add_rows(COLUMNS, np.arange(n_groups, dtype=np.int32), tile, scratches[1])
    assert every == lists.groups.size
    sums, expected = (scratch.sums.reshape(n_groups, LANES) for scratch in scratches)
    assert expected[left].any()
    assert np.array_equal(sums[left], expected[left])
    assert not any(scratch.marked.any() for scratch in scratches)
    lengths = np.diff(lists.indptr[: COLUMNS + 1])
    skipped = [*np.flatnonzero((lengths >> lists.shift > 0) & (lengths >= SKIPPING * n_left))]
    assert (len(skipped) >= 14) == (n_left <= 20)
    used = [
        np.isin(lists.groups[slice(*lists.indptr[column : column + 2])], left).sum() for column in skipped
    ]
    assert steps == every - lengths[skipped].sum() + sum(used)
