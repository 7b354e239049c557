import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfTransformer

from novelty_dask.kernels.text.tfidf import (
    document_frequency,
    inverse_document_frequency,
    renumber_columns,
    weigh,
)
from tests.support.arrays import random_rows


def counts(n_rows: int, n_columns: int, density: float, seed: int = 0) -> sp.csr_matrix:
    """Term frequencies as real ones are: many ones, few large numbers."""
    rng = np.random.default_rng(seed)
    X = random_rows(n_rows, n_columns, density=density, seed=rng)
    X.data = rng.zipf(1.8, X.nnz).clip(max=10_000).astype(np.float32)
    return X


def weigh_blocks(X: sp.csr_matrix, block_rows: int) -> sp.csr_matrix:
    """Weights as a run has them: frequencies summed over blocks, then block by block."""
    blocks = [X[start : start + block_rows] for start in range(0, X.shape[0], block_rows)]
    frequency = sum(map(document_frequency, blocks), np.zeros(X.shape[1], np.int64))
    idf = inverse_document_frequency(frequency, X.shape[0])
    return sp.csr_matrix(sp.vstack([weigh(block.copy(), idf) for block in blocks], format="csr"))


@pytest.mark.parametrize("block_rows", [1, 7, 100, 300])
@pytest.mark.parametrize("density", [0.0, 0.001, 0.05, 1.0])
def test_weights_are_those_of_scikit_learn_bit_for_bit(density: float, block_rows: int) -> None:
    X = counts(300, 120, density)
    expected = TfidfTransformer(sublinear_tf=True).fit_transform(X)
    found = weigh_blocks(X, block_rows)
    assert found.dtype == np.float32
    assert found.indptr.tobytes() == expected.indptr.astype(found.indptr.dtype).tobytes()
    assert found.indices.tobytes() == expected.indices.astype(found.indices.dtype).tobytes()
    assert found.data.tobytes() == expected.data.tobytes()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=50), st.integers(0, 10**9))
def test_idf_is_that_of_the_formula_in_single_precision(frequency: list[int], more: int) -> None:
    n_rows = max(frequency) + more
    idf = inverse_document_frequency(np.array(frequency), n_rows)
    exact = np.log((1 + n_rows) / (1 + np.array(frequency, float))) + 1
    assert idf.dtype == np.float32
    np.testing.assert_allclose(idf, exact, rtol=1e-5)
    assert (idf > 0.999).all()


def test_rows_have_unit_length_and_zero_rows_stay_zero() -> None:
    X = sp.csr_matrix(np.array([[1, 0, 2], [0, 0, 0], [0, 300, 0]], np.float32))
    weights = weigh(X, np.array([1, 2, 3], np.float32)).toarray()
    np.testing.assert_allclose(np.linalg.norm(weights, axis=1), [1, 0, 1], rtol=1e-6)
    assert weights[2].tolist() == [0, 1, 0]


@pytest.mark.parametrize("shape", [(0, 5), (3, 5)])
def test_matrices_without_non_zeros_have_no_frequency(shape: tuple[int, int]) -> None:
    assert document_frequency(sp.csr_matrix(np.zeros(shape, np.float32))).tolist() == [0] * 5


def test_document_frequency_counts_rows_not_occurrences() -> None:
    X = sp.csr_matrix(np.array([[9, 0, 1], [1, 0, 0]], np.float32))
    frequency = document_frequency(X)
    assert frequency.tolist() == [2, 0, 1]
    assert frequency.dtype == np.int64


def test_columns_are_renumbered_and_ascend_in_each_row() -> None:
    X = counts(20, 30, 0.3)
    used = np.unique(X.indices)
    rank = np.full(30, -1, np.int32)
    rank[used] = np.random.default_rng(1).permutation(len(used))
    expected = np.zeros((20, len(used)), np.float32)
    expected[:, rank[used]] = X.toarray()[:, used]
    found = renumber_columns(X, rank, len(used))
    assert found.shape == (20, len(used))
    assert all((np.diff(found[row].indices) > 0).all() for row in range(20))
    np.testing.assert_array_equal(found.toarray(), expected)
