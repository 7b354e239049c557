"""Bounds on the similarity of two rows, which let the search skip most multiplications.

The columns of a corpus are renumbered once, rare ones first.  For each row the norms of its suffixes are
kept at a few break-points.  By Cauchy-Schwarz ``x[b:] @ y[b:] <= |x[b:]| * |y[b:]|``, so the products over
the common columns, which are most of the work of a sparse product and say least, are needed only where
this bound is not small enough [1]_ [2]_.

References
----------
.. [1] R. Bayardo, Y. Ma, R. Srikant, "Scaling up all pairs similarity search", WWW 2007.
.. [2] D. Anastasiu, G. Karypis, "L2Knng: fast exact k-nearest neighbor graph construction with L2-norm
       pruning", CIKM 2015.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled, compiled_loop

ROUND_UP = 1 + 2.0**-22
"""Factor on a norm before it becomes float32: the product of two such norms is a bound, however rounded."""
# Each of three roundings (of two norms and of their product) takes at most 2**-24 away, and the two factors
# add twice 2**-22: more than the roundings can take.

SMALLEST = np.float32(2.0**-80)
"""A similarity below this counts as 0, so that no product that matters underflows in float32."""
# One of at most `MOST_NONZEROS` products is then at least 2**-102, far above the smallest float, 2**-126.

MOST_NONZEROS = 1 << 22
"""Non-zeros of a row up to which `minimum_estimate` covers the rounding of float32 sums."""


class Rows(NamedTuple):
    """CSR arrays of consecutive rows, with the norms and starts of their suffixes.

    Parameters
    ----------
    indptr : ndarray of shape (rows + 1,), int64
    indices : ndarray of shape (nnz,), int32
        Columns, ascending in each row.
    data : ndarray of shape (nnz,), float32
        Weights.
    norms : ndarray of shape (rows, levels), float32
        L2 norm of each row from each break-point on, rounded up.
    starts : ndarray of shape (rows, levels), uint16 or uint32
        Non-zeros of each row before each break-point.
    times : ndarray of shape (rows,), int64, or of shape (0,)
        Times of the rows, whose neighbors have earlier ones; none where times are no matter.
    """

    indptr: NDArray[np.int64]
    indices: NDArray[np.int32]
    data: NDArray[np.float32]
    norms: NDArray[np.float32]
    starts: NDArray[np.uint16] | NDArray[np.uint32]
    times: NDArray[np.int64]


@compiled
def suffix_norms(
    indptr: NDArray[np.int64],
    indices: NDArray[np.int32],
    data: NDArray[np.float32],
    breakpoints: NDArray[np.int32],
) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """Return the norms of the suffixes of each row, rounded up, and the starts of the suffixes.

    Parameters
    ----------
    indptr, indices, data : ndarray
        CSR arrays with ascending columns in each row.
    breakpoints : ndarray of shape (levels,), int32
        Ascending break-points.

    Returns
    -------
    norms : ndarray of shape (rows, levels), float32
        ``norms[i, l]`` is at least the L2 norm of row i from column ``breakpoints[l]`` on.
    starts : ndarray of shape (rows, levels), uint32
        Number of non-zeros of row i before column ``breakpoints[l]``.
    """
    rows, levels = indptr.size - 1, breakpoints.size
    norms = np.empty((rows, levels), np.float32)
    starts = np.empty((rows, levels), np.uint32)
    for i in range(rows):
        # From the last column to the first: each suffix adds its squares to those of the one behind it.
        p = indptr[i + 1]
        squares = 0.0
        for level in range(levels - 1, -1, -1):
            while p > indptr[i] and indices[p - 1] >= breakpoints[level]:
                p -= 1
                squares += np.float64(data[p]) * np.float64(data[p])
            norms[i, level] = np.float32(np.sqrt(squares) * ROUND_UP)
            starts[i, level] = p - indptr[i]
    return norms, starts


@compiled_loop
def minimum_estimate(similarity: np.float32, nonzeros: int) -> np.float32:
    """Return the least float32 estimate that a pair of at least the given similarity can have.

    Parameters
    ----------
    similarity : float32
        Similarity that a candidate must reach.
    nonzeros : int
        Non-zeros of the row, at most `MOST_NONZEROS`.

    Returns
    -------
    float32
        Never below half of `SMALLEST`: a pair that shares no column is never a candidate.
    """
    # A float32 sum of m products that add up to at most 1 is off by at most m u / (1 - m u), u = 2**-24, in
    # any order of summation, fused or not (N. Higham, "Accuracy and stability of numerical algorithms", 2002,
    # section 4.2).  Adding a bound, subtracting here, and rounding the similarity itself cost a few u more.
    # The slack is about twice all that, which also covers rows whose norm is not quite 1.
    slack = np.float32((nonzeros + 8) * 2.0**-23)
    return max(np.float32(similarity - slack), np.float32(0.5) * SMALLEST)
