"""The exact engine, against brute force."""

import numpy as np
import pytest
import scipy.sparse as sp

from novelty_dask.engines.sparse import SparseEngine
from novelty_dask.kernels.cosine import cosine_similarity
from novelty_dask.kernels.neighbors import Neighbors, sort_neighbors


def unit_rows(n_rows: int, n_columns: int, seed: int) -> sp.csr_matrix:
    """Random sparse rows of unit length."""
    rng = np.random.default_rng(seed)
    dense = rng.random((n_rows, n_columns)) * (rng.random((n_rows, n_columns)) < 0.3)
    dense[:, 0] += 0.1
    return sp.csr_matrix((dense / np.linalg.norm(dense, axis=1, keepdims=True)).astype(np.float32))


@pytest.mark.parametrize("split", [1, 17, 40])
def test_neighbors_of_two_blocks_are_those_of_brute_force(split: int) -> None:
    X, k = unit_rows(50, 12, seed=3), 4
    engine = SparseEngine(np.array([3, 8, 12], np.int32))
    assert engine.n_columns == 12
    starts = (0, split)
    blocks = [engine.prepare(X[:split]), engine.prepare(X[split:])]
    found = [Neighbors.empty(block.n_rows, k) for block in blocks]
    counts = [
        engine.search(
            blocks[row],
            blocks[candidate],
            found[row],
            row_start=starts[row],
            candidate_start=starts[candidate],
        )
        for row in (0, 1)
        for candidate in (0, 1)
    ]
    assert sum(each["finished"] + each["adjacent"] for each in counts) > 0
    similarities = cosine_similarity(X.toarray())
    np.fill_diagonal(similarities, -1)
    ids = np.concatenate([sort_neighbors(each).ids for each in found])
    expected = np.sort(similarities, axis=1)[:, ::-1][:, :k]
    np.testing.assert_allclose(np.take_along_axis(similarities, ids, axis=1), expected, rtol=1e-6)
