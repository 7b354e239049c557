"""The exact engine for dense vectors: cosine, distances and products, by integers, or by BLAS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from novelty_dask.kernels import choices
from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.neighbors import Neighbors
from novelty_dask.kernels.vectors.closeness import Measure, keep_closest
from novelty_dask.kernels.vectors.filter import search_integers
from novelty_dask.kernels.vectors.instructions import MOST_COLUMNS, find_instructions
from novelty_dask.kernels.vectors.integers import IntegerRows, make_integers
from novelty_dask.kernels.vectors.rescoring import rescore
from novelty_dask.kernels.vectors.searches import Block

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

Metric = choices.Metric
MOST_PAIRS = 2**21
"""Pairs that are estimated at once, 8 bytes each."""


class Vectors(NamedTuple):
    """Consecutive rows of a corpus, ready to be compared.

    Parameters
    ----------
    rows : ndarray of shape (rows, columns), float64
        Of unit length for cosine; rows of zeros stay.
    squares : ndarray of shape (rows,), float64
        Squared lengths, to a few units in the last place.
    integers : IntegerRows or None
        The same rows in integers; None where they are of no use.
    """

    rows: NDArray[np.float64]
    squares: NDArray[np.float64]
    integers: IntegerRows | None


class DenseEngine:
    """Finder of the k closest rows of each row, exactly.

    Closeness is the cosine, the squared Euclidean distance, negative, or the product.  It is a float64 sum in
    the order of columns.  Of equally close rows the one with the lower number is first.

    Parameters
    ----------
    metric : {"cosine", "euclidean", "inner_product"}

    Attributes
    ----------
    measure : Measure
        What closeness is.
    """

    def __init__(self, metric: Metric) -> None:
        self.measure = Measure(is_distance=metric == "euclidean", is_cosine=metric == "cosine")
        self._center: NDArray[np.float64] | None = None

    def prepare(self, X: NDArray[np.float64]) -> Vectors:
        """Return rows of finite values, ready to be compared."""
        rows = self.scale(X)
        return Vectors(rows, np.einsum("ij,ij->i", rows, rows), self._integers(rows))

    def scale(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return rows as they are compared: of unit length for cosine, others as they are."""
        # BLAS and the kernel read rows one after the other.
        return unit_vectors(X) if self.measure.is_cosine else np.ascontiguousarray(X, np.float64)

    def _integers(self, rows: NDArray[np.float64]) -> IntegerRows | None:
        """Return rows in integers, where this processor multiplies them fast."""
        instructions = find_instructions()
        if instructions is None or not rows.size or rows.shape[1] > MOST_COLUMNS:
            return None
        if self.measure.is_distance:
            # Distances are those of rows less the same vector, and bounds are closer the shorter rows are.
            if self._center is None:
                self._center = rows.mean(axis=0)
            rows = rows - self._center
        return make_integers(rows, instructions) if np.isfinite(rows).all() else None

    def search(
        self,
        rows: Vectors,
        candidates: Vectors,
        neighbors: Neighbors,
        *,
        row_start: int,
        candidate_start: int,
    ) -> dict[str, int]:
        """Update the neighbors of rows with candidates, in place; return the counts of the search.

        The similarities of `neighbors` are float64, and minus infinity where there is none.
        """
        is_same = rows is candidates and row_start == candidate_start
        if not self._search_integers(
            (rows, candidates), (neighbors, neighbors if is_same else None), (row_start, candidate_start)
        ):
            self._search_products(rows, candidates, neighbors, (row_start, candidate_start))
        return {"multiply_adds": len(rows.rows) * candidates.rows.size}

    def search_both(
        self, blocks: tuple[Vectors, Vectors], neighbors: tuple[Neighbors, Neighbors], starts: tuple[int, int]
    ) -> None:
        """Update the neighbors of two blocks with the rows of each other, in place.

        Parameters
        ----------
        blocks : (Vectors, Vectors)
        neighbors : (Neighbors, Neighbors)
            The best so far of each row.
        starts : (int, int)
            Numbers of the first rows.
        """
        if not self._search_integers(blocks, neighbors, starts):
            self._search_products(*blocks, neighbors[0], starts)
            self._search_products(*blocks[::-1], neighbors[1], starts[::-1])

    def _search_integers(
        self,
        blocks: tuple[Vectors, Vectors],
        neighbors: tuple[Neighbors, Neighbors | None],
        starts: tuple[int, int],
    ) -> bool:
        """Update neighbors by products of integers; return whether that is possible."""
        sides = []
        for block, found, start in zip(blocks, neighbors, starts, strict=True):
            if block.integers is None:
                return False
            kept = found or no_neighbors(len(block.rows), 0)
            sides.append(Block(block.rows, block.integers, start, kept.ids, kept.similarities))
        is_same = neighbors[0] is neighbors[1]
        return search_integers(sides[0], sides[0] if is_same else sides[1], self.measure)

    def rescore(self, rows: Any, block: Any, proposed: NDArray[np.int64], kept: Any) -> None:
        """Update the neighbors of rows with those of their candidates that lie in a block, in place.

        Parameters
        ----------
        rows, block, proposed, kept
            As for `kernels.vectors.rescoring.rescore`, scaled.
        """
        rescore(rows, block, proposed, kept, self.measure)

    def _search_products(
        self, rows: Vectors, candidates: Vectors, neighbors: Neighbors, starts: tuple[int, int]
    ) -> None:
        """Update the neighbors of rows by products of BLAS."""
        # A float64 sum of n products is off by at most n 2**-53 times the product of the lengths, whatever
        # its order, which is at most half the sum of the squares.  Estimate and value, the squares and the
        # last sums are each off by as much; the factor is twice all that.
        unit = (rows.rows.shape[1] + 8) * 2.0**-50
        # In parts, so that what is estimated stays in the cache, or nearly.
        for part in row_parts(len(rows.rows), len(candidates.rows)):
            estimates = rows.rows[part] @ candidates.rows.T
            if self.measure.is_distance:
                estimates *= 2
                estimates -= rows.squares[part, None]
                estimates -= candidates.squares
            keep_closest(
                estimates,
                (unit * rows.squares[part], unit * candidates.squares),
                (rows.rows[part], candidates.rows),
                (neighbors.ids[part], neighbors.similarities[part]),
                (starts[0] + part.start, starts[1]),
                self.measure,
            )


def no_neighbors(n_rows: int, k: int) -> Neighbors:
    """Return the neighbors of rows that have none yet, where any closeness is better than none."""
    # In float64, as values of vectors are.
    values: Any = np.full((n_rows, k), -np.inf)
    return Neighbors(np.full((n_rows, k), -1, np.int64), values)


def finish_values(found: Neighbors, metric: Metric) -> NDArray[np.float64]:
    """Return how close neighbors are by a metric: products, or distances; what was found is overwritten."""
    # In place: the neighbors may be a good part of what memory holds.
    values: Any = found.similarities
    if metric == "euclidean":
        # Never -0, also where rows are equal; infinite where there is no neighbor.
        np.sqrt(np.negative(values, out=values), out=values)
        values += 0.0
    else:
        values[found.ids < 0] = 0
    return values  # type: ignore[no-any-return]


def row_parts(n_rows: int, n_candidates: int) -> Iterator[slice]:
    """Yield the rows in parts that make at most `MOST_PAIRS` pairs, or are a single row."""
    step = max(1, MOST_PAIRS // max(1, n_candidates))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def unit_vectors(X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows divided by their lengths; rows of zeros stay.

    >>> unit_vectors(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    result = np.array(X, np.float64, order="C")
    _divide(result)
    return result


@compiled_loop
def _divide(X: NDArray[np.float64]) -> None:
    """Divide rows by their lengths, in place."""
    for i in range(X.shape[0]):
        largest, square = 0.0, 0.0
        for p in range(X.shape[1]):
            largest = max(largest, abs(X[i, p]))
        if largest == 0:
            continue
        # By the largest value first, so that no square overflows or vanishes.
        for p in range(X.shape[1]):
            X[i, p] /= largest
            square += X[i, p] * X[i, p]
        length = np.sqrt(square)
        for p in range(X.shape[1]):
            X[i, p] /= length
