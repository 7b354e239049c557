"""The exact engine for all pairs at least so similar: the search of neighbors, with a threshold that stays.

A search for the k nearest withholds candidates below the k-th best similarity so far.  Here all k places are
taken from the start by nothing, at the threshold itself: prefixes, bounds and filters then rule out all pairs
below it, as in All-Pairs [1]_ and L2AP [2]_, and whatever reaches it displaces nothing.  A row whose
places are all taken may have more partners.  It is searched again with more places, at last with one for each
candidate.

References
----------
.. [1] R. Bayardo, Y. Ma, R. Srikant, "Scaling up all pairs similarity search", WWW 2007.
.. [2] D. Anastasiu, G. Karypis, "L2AP: fast cosine similarity search with prefix L-2 norm bounds", ICDE 2014.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from novelty_dask.engines.sparse import SparseEngine
from novelty_dask.kernels.neighbors import Neighbors
from novelty_dask.kernels.search.bounds import SMALLEST
from novelty_dask.planning.sizes import DENSE_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import scipy.sparse as sp
    from numpy.typing import NDArray

    from novelty_dask.kernels.search.block import Block

NOTHING = np.iinfo(np.int64).max
"""Id of what takes a place at the threshold: of equal similarities any row comes before it."""
OUTSIDE = 2**62
"""Id of the first row of a search, behind those of all candidates: a row is found, too, and dropped later."""
# Fewer rows have more places: each level takes about as much memory as the others.
LEVELS = ((65_536, 32), (2_048, 512))
"""Rows that are searched at once, and places of each; rows that fill them go on to the next."""
PIECE_ROWS = 2_048
"""Candidates of a piece."""
PART_PAIRS = 2**18
"""Pairs that are given at once, or those of one row, if they are more."""


class Pairs(NamedTuple):
    """Pairs of rows, by row, then by the other row.

    Parameters
    ----------
    rows, others : ndarray of shape (pairs,), int64
        Global ids.
    similarities : ndarray of shape (pairs,), float32
    """

    rows: NDArray[np.int64]
    others: NDArray[np.int64]
    similarities: NDArray[np.float32]

    @classmethod
    def join(cls, some: Iterable[Self]) -> Self:
        """Return pairs one after the other."""
        rows, others, similarities = zip(cls.none(), *some, strict=True)
        return cls(np.concatenate(rows), np.concatenate(others), np.concatenate(similarities))

    @classmethod
    def none(cls) -> Self:
        """Return no pairs."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))

    def take(self, which: slice | NDArray[np.bool_] | NDArray[np.int64]) -> Self:
        """Return some of the pairs."""
        return type(self)(self.rows[which], self.others[which], self.similarities[which])

    def sorted(self) -> Self:
        """Return the pairs by row, then by the other row."""
        return self.take(np.lexsort((self.others, self.rows)))


class Candidates:
    """Consecutive rows, prepared to be compared with others: as a whole, and in pieces.

    Parameters
    ----------
    X : csr_matrix
    engine : SparseEngine
        Prepares them.
    """

    def __init__(self, X: sp.csr_matrix, engine: SparseEngine) -> None:
        self._X, self._engine = X, engine
        self.whole = engine.prepare(X)

    @cached_property
    def pieces(self) -> list[tuple[int, Block]]:
        """The first row of each piece, and the piece; made once, if any row needs them."""
        starts = range(0, self._X.shape[0], PIECE_ROWS)
        return [(start, self._engine.prepare(self._X[start : start + PIECE_ROWS])) for start in starts]


class ThresholdEngine(SparseEngine):
    """Finder of all pairs of rows that are at least so similar.

    Parameters
    ----------
    breakpoints : ndarray of shape (levels,), int32
        As for `SparseEngine`.
    at_least : float
        Least similarity of a pair, more than 0 and at most 1.

    Attributes
    ----------
    counts : Counter
        What all searches did.
    """

    def __init__(self, breakpoints: NDArray[np.int32], at_least: float) -> None:
        super().__init__(breakpoints)
        self.least = least_single(at_least)
        self.counts: Counter[str] = Counter()

    def find(self, X: sp.csr_matrix, candidates: Candidates, starts: tuple[int, int]) -> Iterator[Pairs]:
        """Yield the pairs of rows with candidates behind them, in order, some at a time.

        Parameters
        ----------
        X : csr_matrix
            Consecutive rows.
        candidates : Candidates
            Consecutive rows.
        starts : (int, int)
            Global ids of the first row and of the first candidate.
        """
        held: list[Pairs] = []
        leaders = self._find_leaders(X)
        for found in self._search((X, leaders), np.arange(X.shape[0]), candidates, 0):
            pairs = Pairs(found.rows + starts[0], found.others + starts[1], found.similarities)
            held.append(pairs.take(pairs.others > pairs.rows))
            if sum(each.rows.size for each in held) >= PART_PAIRS:
                yield from _cut(Pairs.join(held))
                held = []
        yield from _cut(Pairs.join(held))

    def _find_leaders(self, X: sp.csr_matrix) -> NDArray[np.int64]:
        """Return for each row the first one nearby that equals it, which is searched for all of these."""
        earlier = np.arange(X.shape[0])
        for stretch in self.prepare(X).distinct:
            rows = np.flatnonzero(stretch.next_equal >= 0) + stretch.first
            earlier[stretch.next_equal[rows - stretch.first]] = rows
        # Each step doubles the length of the links.
        while (first := earlier[earlier]).tolist() != earlier.tolist():
            earlier = first
        return earlier

    def _search(
        self,
        rows: tuple[sp.csr_matrix, NDArray[np.int64]],
        numbers: NDArray[np.int64],
        candidates: Candidates,
        level: int,
    ) -> Iterator[Pairs]:
        """Yield the pairs of some rows in order, numbered from 0, each with itself included."""
        if level == len(LEVELS):
            for start in range(0, numbers.size, DENSE_ROWS):
                yield self._search_pieces(rows, numbers[start : start + DENSE_ROWS], candidates)
            return
        n_rows, places = LEVELS[level]
        for start in range(0, numbers.size, n_rows):
            some = numbers[start : start + n_rows]
            found, is_full = self._search_once(rows, some, candidates.whole, places)
            deeper = self._search(rows, some[is_full], candidates, level + 1)
            yield from _interleave(found.take(~np.isin(found.rows, some[is_full])), deeper)

    def _search_pieces(
        self,
        rows: tuple[sp.csr_matrix, NDArray[np.int64]],
        numbers: NDArray[np.int64],
        candidates: Candidates,
    ) -> Pairs:
        """Return all pairs of some rows, piece by piece of the candidates."""
        parts = []
        for start, piece in candidates.pieces:
            found, _ = self._search_once(rows, numbers, piece, piece.n_rows)
            parts.append(found._replace(others=found.others + start))
        return Pairs.join(parts).sorted()

    def _search_once(
        self,
        rows: tuple[sp.csr_matrix, NDArray[np.int64]],
        numbers: NDArray[np.int64],
        candidates: Block,
        places: int,
    ) -> tuple[Pairs, NDArray[np.bool_]]:
        """Return the pairs of some rows, no more of each than places, and for which rows none is left."""
        leaders, which = np.unique(rows[1][numbers], return_inverse=True)
        neighbors = self._search_leaders(rows[0][leaders], candidates, places)
        is_there = (neighbors.ids != NOTHING)[which]
        # With a place for each candidate none can be missing, though all are taken.
        is_full = is_there[:, -1] & (places < candidates.n_rows)
        row, place = np.nonzero(is_there)
        at = which[row], place
        return Pairs(numbers[row], neighbors.ids[at], neighbors.similarities[at]), is_full

    def _search_leaders(self, X: sp.csr_matrix, candidates: Block, places: int) -> Neighbors:
        """Return the candidates of some rows, by their numbers, and nothing in the places that are left."""
        shape = (X.shape[0], places)
        neighbors = Neighbors(np.full(shape, NOTHING), np.full(shape, self.least))
        prepared = self.prepare(X)
        self.counts.update(self.search(prepared, candidates, neighbors, row_start=OUTSIDE, candidate_start=0))
        # By number once, and not for each row that equals them.
        order = np.argsort(neighbors.ids, axis=1, kind="stable")
        return Neighbors(
            np.take_along_axis(neighbors.ids, order, axis=1),
            np.take_along_axis(neighbors.similarities, order, axis=1),
        )


def least_single(at_least: float) -> np.float32:
    """Return the least similarity in single precision that is not below a number.

    >>> float(least_single(0.8)) >= 0.8, float(np.nextafter(least_single(0.8), np.float32(0))) < 0.8
    (True, True)
    """
    least = np.float32(at_least)
    if float(least) < at_least:
        least = np.nextafter(least, np.float32(2))
    return max(least, SMALLEST)


def _interleave(found: Pairs, deeper: Iterator[Pairs]) -> Iterator[Pairs]:
    """Yield pairs in the order of rows, those of the rows searched once more among the others."""
    start = 0
    for pairs in deeper:
        if not pairs.rows.size:
            continue
        stop = int(np.searchsorted(found.rows, pairs.rows[-1]))
        yield Pairs.join([found.take(slice(start, stop)), pairs]).sorted()
        start = stop
    yield found.take(slice(start, None))


def _cut(pairs: Pairs) -> Iterator[Pairs]:
    """Yield pairs in parts that end where a row does."""
    start, size = 0, pairs.rows.size
    while start < size:
        last = pairs.rows[min(start + PART_PAIRS, size) - 1]
        stop = int(np.searchsorted(pairs.rows, last))
        # The row at the end goes into the next part, unless there is no other.
        if stop <= start or start + PART_PAIRS >= size:
            stop = int(np.searchsorted(pairs.rows, last, side="right"))
        yield pairs.take(slice(start, stop))
        start = stop
