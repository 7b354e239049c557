"""Bucket sort of short lists of numbers that are spread evenly over a known range."""

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop


def allocate_buckets(size: int) -> NDArray[np.uint32]:
    """Return space in which `sort_keys` sorts up to `size` keys."""
    return np.empty((1 << size.bit_length()) + 1, np.uint32)


@compiled_loop
def sort_keys(
    keys: NDArray[np.uint32], bits: int, ordered: NDArray[np.uint32], buckets: NDArray[np.uint32]
) -> None:
    """Write keys in ascending order.

    Parameters
    ----------
    keys : ndarray of uint32, shape (n,)
    bits : int
        Bits of the largest key there may be.
    ordered : ndarray of uint32, shape (n,)
        Overwritten with the keys in order.
    buckets : ndarray of uint32
        Made by `allocate_buckets` for a size of at least n; overwritten.
    """
    # About as many buckets as keys are filled by the keys' highest bits, which leaves few keys out of place
    # for an insertion sort.  Three times as fast as a comparison sort for hashes; quadratic for keys that all
    # begin with the same bits, but are different.
    width = 0
    while (1 << width) < keys.size and width < bits:
        width += 1
    shift = np.uint32(bits - width)
    # Counts become the start of each bucket, and then, as keys are put in, the end of what it holds.
    ends = buckets[: (1 << width) + 1]
    ends[:] = 0
    for i in range(keys.size):
        ends[np.uintp(keys[i] >> shift) + np.uintp(1)] += np.uint32(1)
    for i in range(1, ends.size):
        ends[i] += ends[i - 1]
    for i in range(keys.size):
        bucket = np.uintp(keys[i] >> shift)
        ordered[np.uintp(ends[bucket])] = keys[i]
        ends[bucket] += np.uint32(1)
    # Buckets are in order; within each, keys are as they came, mostly one or two.
    for i in range(1, keys.size):
        key = ordered[i]
        j = np.uintp(i)
        while j > 0 and ordered[j - np.uintp(1)] > key:
            ordered[j] = ordered[j - np.uintp(1)]
            j -= np.uintp(1)
        ordered[j] = key
