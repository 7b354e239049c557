"""Counts of the hashed character n-grams of texts, as scikit-learn's ``HashingVectorizer`` counts them.

An n-gram is a window of n characters of the text.  Its column is the MurmurHash3 of its UTF-8 bytes, without
the sign, modulo the number of columns.  Windows are hashed where they lie in the text, so that no n-gram
becomes a Python object, and the columns of a row are sorted and counted while they are in the cache.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.text.bucket_sort import allocate_buckets, sort_keys
from novelty_dask.kernels.text.murmurhash import murmurhash3

_WHITE_SPACES = re.compile(r"\s\s+")


class _Texts(NamedTuple):
    """UTF-8 of all texts, one after the other, and the end of each, with a 0 in front."""

    characters: NDArray[np.uint8]
    ends: NDArray[np.int64]


class _Counts(NamedTuple):
    """The arrays of a CSR matrix to fill, with room for each n-gram."""

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    data: NDArray[np.float32]


class _Scratch(NamedTuple):
    """Space for one row: the starts of its characters, its columns, and buckets to sort them."""

    starts: NDArray[np.uint32]
    columns: NDArray[np.uint32]
    ordered: NDArray[np.uint32]
    buckets: NDArray[np.uint32]


def count_ngrams(texts: Sequence[str], ngram_range: Sequence[int], n_features: int) -> sp.csr_matrix:
    """Return the counts of the hashed character n-grams of each text.

    Parameters
    ----------
    texts : sequence of str
        Each is lower-cased, and two or more white spaces in a row are made one space.
    ngram_range : (int, int)
        Shortest and longest n-grams, in characters.
    n_features : int
        Number of columns, 1 to 2**31 - 1.

    Returns
    -------
    csr_matrix of float32, shape (len(texts), n_features)
        The same bytes as those of ``HashingVectorizer(analyzer="char", norm=None, alternate_sign=False,
        dtype=np.float32)`` with this range and number, columns ascending in each row.

    Raises
    ------
    UnicodeEncodeError
        A text has a lone surrogate, which UTF-8 can't encode.

    Examples
    --------
    >>> count_ngrams(["abcABC", "ab"], (3, 3), 2**20).data
    array([1., 2., 1.], dtype=float32)
    """
    encoded = [_WHITE_SPACES.sub(" ", text.lower()).encode() for text in texts]
    sizes = np.fromiter(map(len, encoded), np.int64, len(encoded))
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    shortest, longest = ngram_range
    lengths = longest - shortest + 1
    counts = _allocate_counts(ends, lengths)
    _count_rows(
        _Texts(np.frombuffer(b"".join(encoded), np.uint8), ends),
        (shortest, longest),
        np.uint32(n_features),
        counts,
        _allocate_scratch(int(sizes.max(initial=0)), lengths),
    )
    stored = slice(counts.indptr[-1])
    return sp.csr_matrix(
        (counts.data[stored], counts.indices[stored], counts.indptr), shape=(len(encoded), n_features)
    )


def _allocate_counts(ends: NDArray[np.int64], lengths: int) -> _Counts:
    """Return space for the n-grams of all texts: of each length, at most one for each byte."""
    most = int(ends[-1]) * lengths
    return _Counts(np.zeros_like(ends), np.empty(most, np.int32), np.empty(most, np.float32))


def _allocate_scratch(size: int, lengths: int) -> _Scratch:
    """Return space for the n-grams of a text of up to `size` bytes."""
    columns, ordered = np.empty((2, size * lengths), np.uint32)
    return _Scratch(np.empty(size + 1, np.uint32), columns, ordered, allocate_buckets(columns.size))


@compiled_loop
def _count_rows(
    texts: _Texts, ngram_range: tuple[int, int], n_features: np.uint32, counts: _Counts, scratch: _Scratch
) -> None:
    """Fill the matrix row by row."""
    bits = 0
    while (1 << bits) < n_features:
        bits += 1
    end = 0
    for row in range(texts.ends.size - 1):
        text = texts.characters[texts.ends[row] : texts.ends[row + 1]]
        n_ngrams = _hash_ngrams(text, ngram_range, n_features, scratch)
        ordered = scratch.ordered[:n_ngrams]
        sort_keys(scratch.columns[:n_ngrams], bits, ordered, scratch.buckets)
        # Written behind the row before it; what its repeated n-grams don't use is room for the next row.
        room = slice(end, end + n_ngrams)
        end += _count_equal(ordered, counts.indices[room], counts.data[room])
        counts.indptr[row + 1] = end


@compiled_loop
def _hash_ngrams(
    text: NDArray[np.uint8], ngram_range: tuple[int, int], n_features: np.uint32, scratch: _Scratch
) -> int:
    """Write the columns of all n-grams of a text; return how many there are."""
    starts, count = scratch.starts, 0
    n_characters = _find_characters(text, starts)
    for n in range(ngram_range[0], ngram_range[1] + 1):
        for i in range(n_characters - n + 1):
            # The absolute value in 64 bits: that of -2**31 does not fit in 32.
            signed = np.int32(murmurhash3(text, starts[i], starts[i + n]))
            scratch.columns[count] = np.uint32(abs(np.int64(signed))) % n_features
            count += 1
    return count


@compiled_loop
def _find_characters(text: NDArray[np.uint8], starts: NDArray[np.uint32]) -> int:
    """Write the start of each character and the end of the last one; return how many there are."""
    count = 0
    for i in range(text.size):
        # All bytes of a character but the first are continuation bytes, 10xxxxxx.
        if text[i] & 0xC0 != 0x80:
            starts[count] = i
            count += 1
    starts[count] = text.size
    return count


@compiled_loop
def _count_equal(ordered: NDArray[np.uint32], indices: NDArray[np.int32], data: NDArray[np.float32]) -> int:
    """Write each column once, with the number of times it occurs; return how many there are."""
    last = -1
    for i in range(ordered.size):
        if i == 0 or ordered[i] != ordered[i - 1]:
            last += 1
            indices[last] = ordered[i]
            data[last] = 0
        data[last] += np.float32(1)
    return last + 1
