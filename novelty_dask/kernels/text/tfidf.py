"""TF-IDF weights from counts, as scikit-learn computes them, with the document frequency given.

scikit-learn fits its transformer on one matrix in memory.  Document frequencies are sums, so here they are
counted block by block, and each block is weighed alone.  The weights are the same bits: each step is done in
the precision and order in which ``TfidfTransformer(sublinear_tf=True)`` does it on single precision.
"""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop


def document_frequency(X: sp.csr_matrix) -> NDArray[np.int64]:
    """Return the number of rows in which each column occurs, shape (n_features,).

    Parameters
    ----------
    X : csr_matrix of shape (n_rows, n_features)
        Without duplicate entries and explicit zeros.
    """
    return np.bincount(X.indices, minlength=X.shape[1]).astype(np.int64, copy=False)


def inverse_document_frequency(frequency: NDArray[np.int64], n_rows: int) -> NDArray[np.float32]:
    r"""Return the weight of each column, :math:`\ln((1 + n) / (1 + df)) + 1`, shape (n_features,).

    >>> inverse_document_frequency(np.array([0, 9]), n_rows=9).round(4)
    array([3.3026, 1.    ], dtype=float32)
    """
    # In single precision throughout, as ``TfidfTransformer(smooth_idf=True)`` fitted on single precision
    # does, so that the results are the same bits.
    smooth = frequency.astype(np.float32) + np.float32(1)
    idf: NDArray[np.float32] = np.log(np.float32(n_rows + 1) / smooth) + np.float32(1)
    return idf


def weigh(counts: sp.csr_matrix, idf: NDArray[np.float32]) -> sp.csr_matrix:
    r"""Return rows of :math:`(1 + \ln tf) \cdot idf`, scaled to unit length; zero rows stay zero.

    Parameters
    ----------
    counts : csr_matrix of float32, shape (n_rows, n_features)
        Term frequencies, at least 1; overwritten.
    idf : ndarray of float32, shape (n_features,)

    Returns
    -------
    csr_matrix of float32, shape (n_rows, n_features)

    >>> weigh(sp.csr_matrix(np.array([[1, 0], [1, 1]], np.float32)), np.ones(2, np.float32)).data.round(4)
    array([1.    , 0.7071, 0.7071], dtype=float32)
    """
    data = counts.data
    np.log(data, out=data)
    data += np.float32(1)
    data *= idf[counts.indices]
    _scale_rows(counts.indptr.astype(np.int64), data)
    return counts


@compiled_loop
def _scale_rows(indptr: NDArray[np.int64], data: NDArray[np.float32]) -> None:
    """Scale rows to unit length."""
    # Squares in single and their sum in double precision: so does scikit-learn, and the bytes are to be
    # equal.
    for i in range(indptr.size - 1):
        row = data[indptr[i] : indptr[i + 1]]
        squares = 0.0
        for j in range(row.size):
            squares += np.float64(np.float32(row[j] * row[j]))
        if squares > 0:
            norm = np.sqrt(squares)
            for j in range(row.size):
                row[j] = np.float32(np.float64(row[j]) / norm)


def renumber_columns(X: sp.csr_matrix, rank: NDArray[np.int32], n_columns: int) -> sp.csr_matrix:
    """Return the matrix, overwritten, with its columns renumbered by rank, ascending in each row."""
    renumbered = sp.csr_matrix((X.data, rank[X.indices], X.indptr), shape=(X.shape[0], n_columns))
    renumbered.sort_indices()
    return renumbered
