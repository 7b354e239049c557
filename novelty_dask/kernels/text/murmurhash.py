"""MurmurHash3 of a part of an array of bytes, for compiled loops."""

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop


@compiled_loop
def murmurhash3(characters: NDArray[np.uint8], begin: np.uint32, end: np.uint32) -> np.uint32:
    """Return MurmurHash3_x86_32 [1]_ with seed 0, the same on machines of either byte order.

    Parameters
    ----------
    characters : ndarray of uint8
    begin, end : uint32
        Those from begin to end - 1 are hashed.

    References
    ----------
    .. [1] A. Appleby, https://github.com/aappleby/smhasher (public domain).

    Examples
    --------
    >>> int(murmurhash3(np.frombuffer(b"https", np.uint8), np.uint32(0), np.uint32(5)))
    3800896210
    """
    # Numba does arithmetic in 64 bits, hence a cast to 32 after each operation.
    h = np.uint32(0)
    i = np.uintp(begin)
    stop = np.uintp(end)
    while i + np.uintp(4) <= stop:
        h = _rotated(h ^ _mixed(_word(characters, i, np.uintp(4))), 13)
        h = np.uint32(h * np.uint32(5) + np.uint32(0xE6546B64))
        i += np.uintp(4)
    h ^= _mixed(_word(characters, i, stop - i))
    h ^= np.uint32(end - begin)
    h = np.uint32((h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(h ^ (h >> np.uint32(16)))


@compiled_loop
def _word(characters: NDArray[np.uint8], i: np.uintp, size: np.uintp) -> np.uint32:
    """Return the next bytes, up to four, as a little-endian number."""
    word = np.uint32(0)
    for j in range(size):
        word |= np.uint32(np.uint32(characters[i + np.uintp(j)]) << np.uint32(8 * j))
    return word


@compiled_loop
def _mixed(word: np.uint32) -> np.uint32:
    """Return a word mixed with the constants of the hash, ready to be combined with the words before it."""
    return np.uint32(_rotated(np.uint32(word * np.uint32(0xCC9E2D51)), 15) * np.uint32(0x1B873593))


@compiled_loop
def _rotated(word: np.uint32, bits: int) -> np.uint32:
    """Return a word with its bits rotated to the left."""
    return np.uint32((word << np.uint32(bits)) | (word >> np.uint32(32 - bits)))
