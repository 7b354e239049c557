"""Maximum spanning forests: they connect what all pairs connect, and have fewer edges than rows.

The forest of all pairs is that of the forests of its parts, as an edge that is the least of a circle in a
part is so in the whole.  So pairs may come in any number: what is held is bounded by the rows.  The least
similarity in the tree of a group is the highest threshold at which the group holds together, whichever of
several forests is found.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import minimum_spanning_tree

from novelty_dask.engines.threshold import Pairs

SMALLEST_BATCH = 2**20
"""Pairs that are collected before the forest of them is found."""


class Reducer:
    """Collector of pairs that keeps a maximum spanning forest, and the degree of each row.

    Parameters
    ----------
    n_rows : int
        Rows of the run.
    """

    def __init__(self, n_rows: int) -> None:
        self.n_rows = n_rows
        self._held: list[Pairs] = []
        self._size = self._kept = 0
        self._degrees = np.zeros(n_rows, np.int64)

    def add(self, pairs: Pairs) -> None:
        """Take pairs, and count the partners of their rows."""
        for ids in (pairs.rows, pairs.others):
            np.add.at(self._degrees, ids, 1)
        self.join(pairs)

    def join(self, pairs: Pairs) -> None:
        """Take pairs."""
        self._held.append(pairs)
        self._size += pairs.rows.size
        # As many again as are kept, at least: the forest is found anew a few times, and not whenever pairs
        # come.
        if self._size >= max(SMALLEST_BATCH, 2 * self._kept):
            self.forest()

    def forest(self) -> Pairs:
        """Return the forest of all pairs so far, in the order of rows."""
        forest = spanning_forest(Pairs.join(self._held))
        self._held = [forest]
        self._size = self._kept = forest.rows.size
        return forest

    def degrees(self) -> Pairs:
        """Return the rows that have partners, and how many each has in place of another row."""
        rows = np.flatnonzero(self._degrees)
        return Pairs(rows, self._degrees[rows], np.zeros(rows.size, np.float32))


def spanning_forest(pairs: Pairs) -> Pairs:
    """Return a maximum spanning forest of pairs, in the order of rows.

    >>> triangle = Pairs(np.array([0, 0, 1]), np.array([1, 2, 2]), np.array([0.9, 0.8, 0.95], np.float32))
    >>> spanning_forest(triangle).similarities
    array([0.9 , 0.95], dtype=float32)
    """
    # Numbered anew, as the rows that occur may be few of many.
    ids, numbers = np.unique(np.concatenate([pairs.rows, pairs.others]), return_inverse=True)
    row, other = numbers[: pairs.rows.size], numbers[pairs.rows.size :]
    # SciPy finds the lightest forest, and takes 0 for no edge; 2 less a similarity is exact.
    weights = 2 - pairs.similarities.astype(np.float64)
    graph = sp.coo_matrix((weights, (row, other)), shape=(ids.size, ids.size)).tocsr()
    tree = minimum_spanning_tree(graph, overwrite=True).tocoo()
    similarities = (2 - tree.data).astype(np.float32)
    first, second = ids[tree.row], ids[tree.col]
    return Pairs(np.minimum(first, second), np.maximum(first, second), similarities).sorted()
