"""What scikit-learn says, by brute force, of what novelty_dask computes out of core."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.neighbors import NearestNeighbors

TOLERANCE = 1e-6


def count_features(
    texts: Sequence[str], ngram_range: tuple[int, int], n_features: int = 2**20
) -> sp.csr_matrix:
    """Return scikit-learn's counts of the features of some texts."""
    vectorizer = HashingVectorizer(
        analyzer="char",
        ngram_range=ngram_range,
        n_features=n_features,
        norm=None,
        alternate_sign=False,
        dtype=np.float32,
    )
    return sp.csr_matrix(vectorizer.transform(texts))


def tfidf(urls: Sequence[str], ngram_range: tuple[int, int] = (3, 3)) -> sp.csr_matrix:
    """scikit-learn's weights of some rows."""
    counts = count_features(urls, ngram_range)
    return sp.csr_matrix(TfidfTransformer(sublinear_tf=True).fit_transform(counts))


def brute_force(X: sp.csr_matrix, k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Ids and similarities of the k nearest other rows of each row, or of as many as there are."""
    k = min(k, X.shape[0] - 1)
    search = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(X.astype(np.float64))
    distances, ids = search.kneighbors()  # Without an argument a row is not its own neighbor.
    return ids, 1 - distances


def assert_exact(ids: NDArray[np.int64], similarities: NDArray[np.float32], X: sp.csr_matrix) -> None:
    """The neighbors are those of brute force: ids may differ only where similarities are equal."""
    k = min(ids.shape[1], X.shape[0] - 1)
    expected_ids, expected = brute_force(X, k)
    found = similarities[:, :k].astype(np.float64)
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    assert (ids[:, k:] == -1).all()
    assert (similarities[:, k:] == 0).all()
    assert ((ids[:, :k] >= 0) == (found > 0)).all(), (
        "a neighbor is missing where and only where it shares nothing"
    )
    X64 = X.astype(np.float64)
    for row, rank in zip(*np.nonzero((ids[:, :k] != expected_ids) & (ids[:, :k] >= 0)), strict=True):
        stated = (X64[row] @ X64[ids[row, rank]].T).toarray().item()
        assert abs(stated - expected[row, rank]) <= TOLERANCE, (row, rank)
    assert all(len(set(row[row >= 0])) == (row >= 0).sum() for row in ids), "a neighbor appears twice"
    assert not (ids == np.arange(len(ids))[:, None]).any(), "a row is its own neighbor"
