"""Hashes of features, which are runs of units, for compiled loops."""

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop

FNV_SEED, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
MIX_SHIFT, MIX_1, MIX_2 = np.uint64(33), np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
HALF, HALF_BITS = np.uint64(0xFFFFFFFF), np.uint64(32)


@compiled_loop
def add_unit(hashed: np.uint64, unit: int) -> np.uint64:
    """Return a hash with one more unit, by FNV-1a [1]_ over units in place of bytes.

    References
    ----------
    .. [1] G. Fowler, L. C. Noll, K.-P. Vo and D. Eastlake, RFC 9923.
    """
    return np.uint64((hashed ^ np.uint64(unit)) * FNV_PRIME)


@compiled_loop
def hash_units(hashed: np.uint64, units: NDArray[np.uint16]) -> np.uint64:
    """Return a hash with more units."""
    for i in range(units.size):
        hashed = np.uint64((hashed ^ np.uint64(units[i])) * FNV_PRIME)
    return hashed


@compiled_loop
def hash_column(hashed: np.uint64, first: np.uint64, size: np.uint64) -> np.uint32:
    """Return the column of a hash in a range: by MurmurHash3's finalizer, and a product, not a modulo."""
    # FNV-1a alone leaves the low bits of short inputs too even.
    hashed = np.uint64((hashed ^ (hashed >> MIX_SHIFT)) * MIX_1)
    hashed = np.uint64((hashed ^ (hashed >> MIX_SHIFT)) * MIX_2)
    hashed ^= hashed >> MIX_SHIFT
    return np.uint32(first + (((hashed & HALF) * size) >> HALF_BITS))


@compiled_loop
def hash_set(hashes: NDArray[np.uint64], mark: int) -> np.uint64:
    """Return the hash of a set from those of its members, which are sorted in place, by Shell's sort."""
    for gap in (701, 301, 132, 57, 23, 10, 4, 1):
        for i in range(gap, hashes.size):
            item, j = hashes[i], i
            while j >= gap and hashes[j - gap] > item:
                hashes[j] = hashes[j - gap]
                j -= gap
            hashes[j] = item
    hashed = add_unit(FNV_SEED, mark)
    for i in range(hashes.size):
        if i == 0 or hashes[i] != hashes[i - 1]:
            hashed = add_unit(hashed, hashes[i])
    return hashed
