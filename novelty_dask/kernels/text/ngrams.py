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
from novelty_dask.kernels.text.counting import (
    Counts,
    Texts,
    allocate_counts,
    append_row,
    bits_of,
    encode_texts,
    filled_matrix,
)
from novelty_dask.kernels.text.murmurhash import murmurhash3

_WHITE_SPACES = re.compile(r"\s\s+")


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
    encoded = encode_texts([_WHITE_SPACES.sub(" ", text.lower()) for text in texts])
    shortest, longest = ngram_range
    lengths = longest - shortest + 1
    # Of each length, at most one n-gram begins at each byte.
    counts = allocate_counts(len(texts), encoded.characters.size * lengths)
    scratch = _allocate_scratch(encoded.longest, lengths)
    _count_rows(encoded, (shortest, longest), np.uint32(n_features), counts, scratch)
    return filled_matrix(counts, n_features)


def _allocate_scratch(size: int, lengths: int) -> _Scratch:
    """Return space for the n-grams of a text of up to `size` bytes."""
    columns, ordered = np.empty((2, size * lengths), np.uint32)
    return _Scratch(np.empty(size + 1, np.uint32), columns, ordered, allocate_buckets(columns.size))


@compiled_loop
def _count_rows(
    texts: Texts, ngram_range: tuple[int, int], n_features: np.uint32, counts: Counts, scratch: _Scratch
) -> None:
    """Fill the matrix row by row."""
    bits = bits_of(np.int64(n_features))
    for row in range(texts.ends.size - 1):
        text = texts.characters[texts.ends[row] : texts.ends[row + 1]]
        n_ngrams = _hash_ngrams(text, ngram_range, n_features, scratch)
        ordered = scratch.ordered[:n_ngrams]
        sort_keys(scratch.columns[:n_ngrams], bits, ordered, scratch.buckets)
        append_row(ordered, row, counts)


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
