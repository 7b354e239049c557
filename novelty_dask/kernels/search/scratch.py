"""Memory that comparisons of rows with tiles use again and again."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.search.bounds import Rows
from novelty_dask.kernels.search.simd import LANES


class Scratch(NamedTuple):
    """Memory that every comparison uses anew; x and all sums are 0 in between.

    Parameters
    ----------
    x : ndarray of shape (n_columns,), float32
        A row, dense.
    first, last : ndarray of shape (longest row + 1,), int32
        First entry of each list of a row's prefix, and the one after its last.
    weights : ndarray of shape (longest row + 1,), uint16
        Units of a step of each list, times 256.
    vectors : ndarray of shape (groups // LANES,), uint64
        First group of each vector of groups that is looked at.
    group_sums, dense_sums : ndarray of shape (groups,), uint32 and uint16
        Of the lists that aren't dense, and of those that are.
    sums : ndarray of shape (groups * LANES,), uint16
        Of single rows.
    survivors : ndarray of shape (groups,), int32
        Groups that may hold a neighbor.
    marked : ndarray of shape (words,), uint64
        A bit for each of these.
    """

    x: NDArray[np.float32]
    first: NDArray[np.int32]
    last: NDArray[np.int32]
    weights: NDArray[np.uint16]
    vectors: NDArray[np.uint64]
    group_sums: NDArray[np.uint32]
    dense_sums: NDArray[np.uint16]
    sums: NDArray[np.uint16]
    survivors: NDArray[np.int32]
    marked: NDArray[np.uint64]


def allocate_scratch(rows: Rows, n_columns: int, n_groups: int) -> Scratch:
    """Return the memory in which rows are compared with tiles of at most `n_groups` groups, all zero."""
    longest = int(np.diff(rows.indptr).max(initial=0))
    return Scratch(
        x=np.zeros(n_columns, np.float32),
        first=np.zeros(longest + 1, np.int32),
        last=np.zeros(longest + 1, np.int32),
        weights=np.zeros(longest + 1, np.uint16),
        vectors=np.zeros(n_groups // LANES, np.uint64),
        group_sums=np.zeros(n_groups, np.uint32),
        dense_sums=np.zeros(n_groups, np.uint16),
        sums=np.zeros(n_groups * LANES, np.uint16),
        survivors=np.zeros(n_groups, np.int32),
        marked=np.zeros(-(-n_groups // 64), np.uint64),
    )


def fit_scratch(scratch: Scratch, n_groups: int) -> Scratch:
    """Return the part of the memory that a tile of `n_groups` groups needs."""
    return scratch._replace(
        vectors=scratch.vectors[: n_groups // LANES],
        group_sums=scratch.group_sums[:n_groups],
        dense_sums=scratch.dense_sums[:n_groups],
        sums=scratch.sums[: n_groups * LANES],
        survivors=scratch.survivors[:n_groups],
        marked=scratch.marked[: -(-n_groups // 64)],
    )
