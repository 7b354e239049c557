"""Weights of the features of URLs: TF-IDF, with the blocks of a row balanced.

Without balance a long query would outweigh the host, or the other way round.  So each block of a row gets a
share of the row's energy, its sum of squares: a fixed share, times a power of the energy that it had.
"""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.text.logarithm import fill_logs, natural_log
from novelty_dask.kernels.text.url_features import block_starts

SHARES = (0.35, 0.25, 0.4)
"""Shares of HOST, REST and TOKENS, chosen on eleven labelled sets of URLs."""


def balanced_idf(frequency: NDArray[np.int64], n_rows: int) -> NDArray[np.float32]:
    r"""Return the weight of each column, :math:`\ln((1 + n) / (1 + df)) + 1`, shape (n_features,).

    The formula is that of `novelty_dask.kernels.text.tfidf`, computed in double precision by
    `natural_log`, so that the weights are the same bits on every machine.

    >>> balanced_idf(np.array([0, 9]), n_rows=9).round(4)
    array([3.3026, 1.    ], dtype=float32)
    """
    idf = np.empty(frequency.size, np.float32)
    _fill_idf(frequency, n_rows, idf)
    return idf


@compiled_loop
def _fill_idf(frequency: NDArray[np.int64], n_rows: int, idf: NDArray[np.float32]) -> None:
    """Write the weight of each column."""
    log_rows = natural_log(float(1 + n_rows))
    never = np.float32(log_rows + 1.0)
    for i in range(frequency.size):
        # Most columns never occur.
        idf[i] = np.float32(log_rows - natural_log(float(1 + frequency[i])) + 1.0) if frequency[i] else never


def weigh_balanced(counts: sp.csr_matrix, idf: NDArray[np.float32]) -> sp.csr_matrix:
    r"""Return the weights of the features of URLs, in rows of unit length; zero rows stay zero.

    With :math:`w = (1 + \ln tf) \cdot idf`, the energy :math:`E_b = \sum w^2` of a block of a row, and
    :math:`T = \sum_b s_b \sqrt{E_b}` over the blocks that the row has, each weight is

    .. math:: w \sqrt{\frac{s_b \sqrt{E_b}}{E_b \, T}}

    for the share :math:`s_b` of its block in `SHARES`.

    Parameters
    ----------
    counts : csr_matrix of float32, shape (n_rows, n_features)
        Counts of `count_url_features`; overwritten.
    idf : ndarray of float32, shape (n_features,)

    Returns
    -------
    csr_matrix of float32, shape (n_rows, n_features)
        The same bytes on every machine, however the rows are cut: sums run in double precision and in the
        order of columns.

    Examples
    --------
    >>> counts = sp.csr_matrix(np.array([[1, 0, 1, 0, 1, 0, 0, 0]], np.float32))
    >>> (weigh_balanced(counts, np.ones(8, np.float32)).data ** 2).round(3)
    array([0.35, 0.25, 0.4 ], dtype=float32)
    """
    # Counts are small: a table has each logarithm once.
    logs = np.zeros(int(counts.data.max(initial=0)) + 1)
    fill_logs(1, logs[1:])
    _, rest, tokens, _ = block_starts(counts.shape[1])
    _weigh_rows(counts.indptr.astype(np.int64), counts.indices, counts.data, idf, logs, (rest, tokens))
    return counts


@compiled_loop
def _weigh_rows(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float32],
    idf: NDArray[np.float32],
    logs: NDArray[np.float64],
    starts: tuple[int, int],
) -> None:
    """Overwrite the counts of each row with weights."""
    for row in range(indptr.size - 1):
        columns, values = indices[indptr[row] : indptr[row + 1]], data[indptr[row] : indptr[row + 1]]
        rest, tokens = np.searchsorted(columns, starts[0]), np.searchsorted(columns, starts[1])
        blocks = (slice(0, rest), slice(rest, tokens), slice(tokens, columns.size))
        energies = (
            _weigh_block(columns[blocks[0]], values[blocks[0]], idf, logs),
            _weigh_block(columns[blocks[1]], values[blocks[1]], idf, logs),
            _weigh_block(columns[blocks[2]], values[blocks[2]], idf, logs),
        )
        total = 0.0
        for block in range(3):
            total += SHARES[block] * np.sqrt(energies[block])
        for block in range(3):
            if energies[block] > 0:
                _scale(values[blocks[block]], np.sqrt(SHARES[block] / (np.sqrt(energies[block]) * total)))


@compiled_loop
def _weigh_block(
    columns: NDArray[np.int32],
    values: NDArray[np.float32],
    idf: NDArray[np.float32],
    logs: NDArray[np.float64],
) -> float:
    """Overwrite the counts of a block of a row with weights not yet balanced; return their energy."""
    energy = 0.0
    for i in range(columns.size):
        values[i] = np.float32((1.0 + logs[int(values[i])]) * idf[columns[i]])
        energy += np.float64(values[i]) * np.float64(values[i])
    return energy


@compiled_loop
def _scale(values: NDArray[np.float32], factor: float) -> None:
    """Multiply weights by a factor, in place."""
    for i in range(values.size):
        values[i] = np.float32(values[i] * factor)
