"""Counts of hashed features of many texts, as the rows of a sparse matrix, for compiled loops."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop


class Texts(NamedTuple):
    """UTF-8 of all texts, one after the other, and the end of each, with a 0 in front."""

    characters: NDArray[np.uint8]
    ends: NDArray[np.int64]

    @property
    def longest(self) -> int:
        """Bytes of the longest text."""
        return int(np.diff(self.ends).max(initial=0))


class Counts(NamedTuple):
    """The arrays of a CSR matrix to fill, with room for each feature of each text."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    data: NDArray[np.float32]


def encode_texts(texts: Sequence[str]) -> Texts:
    """Return texts as UTF-8.

    Raises
    ------
    UnicodeEncodeError
        A text has a lone surrogate, which UTF-8 can't encode.
    """
    encoded = [text.encode() for text in texts]
    ends = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)), out=ends[1:])
    return Texts(np.frombuffer(b"".join(encoded), np.uint8), ends)


def allocate_counts(n_texts: int, most: int) -> Counts:
    """Return space for the counts of texts that have at most a given number of features together."""
    return Counts(np.zeros(n_texts + 1, np.int64), np.empty(most, np.int32), np.empty(most, np.float32))


def filled_matrix(counts: Counts, n_features: int) -> sp.csr_matrix:
    """Return counts that were filled as a matrix."""
    stored = slice(counts.indptr[-1])
    return sp.csr_matrix(
        (counts.data[stored], counts.indices[stored], counts.indptr),
        shape=(counts.indptr.size - 1, n_features),
    )


@compiled_loop
def bits_of(n_features: int | np.int64) -> int:
    """Return the bits of the largest column of a number of columns."""
    bits = 0
    while (1 << bits) < n_features:
        bits += 1
    return bits


@compiled_loop
def append_row(ordered: NDArray[np.uint32], row: int, counts: Counts) -> None:
    """Write the columns of a row, which are in order, each once with the number of times it occurs."""
    # What repeated columns don't use is room for the next row.
    last = counts.indptr[row] - 1
    for i in range(ordered.size):
        if i == 0 or ordered[i] != ordered[i - 1]:
            last += 1
            counts.indices[last] = ordered[i]
            counts.data[last] = 0
        counts.data[last] += np.float32(1)
    counts.indptr[row + 1] = last + 1
