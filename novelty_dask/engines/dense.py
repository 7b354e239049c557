"""The exact engine for dense vectors: cosine, distances and products, by integers, or by BLAS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from novelty_dask.kernels import choices
from novelty_dask.kernels.neighbors import Neighbors
from novelty_dask.kernels.vectors.closeness import Measure, keep_closest
from novelty_dask.kernels.vectors.filter import search_integers
from novelty_dask.kernels.vectors.instructions import MOST_COLUMNS, find_instructions
from novelty_dask.kernels.vectors.integers import IntegerRows, make_integers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

Metric = choices.Metric
SCALED_ROWS, SCALED_VALUES = 2**9, 2**17
"""Rows that are scaled at once, at least, and values, at most, where these are more rows."""
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
        return np.ascontiguousarray(unit_vectors(X) if self.measure.is_cosine else X, np.float64)

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
        return make_integers(rows, instructions.columns) if np.isfinite(rows).all() else None

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
        starts, computed = (row_start, candidate_start), None
        if rows.integers and candidates.integers:
            computed = search_integers(
                (rows.rows, candidates.rows),
                (rows.integers, candidates.integers),
                (neighbors.ids, neighbors.similarities),
                starts,
                measure=self.measure,
            )
        if computed is None:
            computed = self._search_products(rows, candidates, neighbors, starts)
        return {"multiply_adds": len(rows.rows) * candidates.rows.size, "finished": computed}

    def _search_products(
        self, rows: Vectors, candidates: Vectors, neighbors: Neighbors, starts: tuple[int, int]
    ) -> int:
        """Update the neighbors by products of BLAS; return how many pairs were computed."""
        # A float64 sum of n products is off by at most n 2**-53 times the product of the lengths, whatever
        # its order, which is at most half the sum of the squares.  Estimate and value, the squares and the
        # last sums are each off by as much; the factor is twice all that.
        unit = (rows.rows.shape[1] + 8) * 2.0**-50
        computed = 0
        # In parts, so that what is estimated stays in the cache, or nearly.
        for part in row_parts(len(rows.rows), len(candidates.rows)):
            estimates = rows.rows[part] @ candidates.rows.T
            if self.measure.is_distance:
                estimates *= 2
                estimates -= rows.squares[part, None]
                estimates -= candidates.squares
            computed += keep_closest(
                estimates,
                (unit * rows.squares[part], unit * candidates.squares),
                (rows.rows[part], candidates.rows),
                (neighbors.ids[part], neighbors.similarities[part]),
                (starts[0] + part.start, starts[1]),
                self.measure,
            )
        return computed


def no_neighbors(n_rows: int, k: int) -> Neighbors:
    """Return the neighbors of rows that have none yet, where any closeness is better than none."""
    # In float64, as values of vectors are.
    values: Any = np.full((n_rows, k), -np.inf)
    return Neighbors(np.full((n_rows, k), -1, np.int64), values)


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
    # In parts, so that what is computed on the way stays in the cache.
    unit = np.empty(X.shape)
    step = max(SCALED_ROWS, SCALED_VALUES // max(1, X.shape[1]))
    for start in range(0, len(X), step):
        unit[start : start + step] = _unit_part(X[start : start + step])
    return unit


def _unit_part(X: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a few rows divided by their lengths."""
    # By the largest value first, so that no square overflows or vanishes.  Sums go by columns, as the order
    # in which NumPy adds the values of a row depends on how many rows there are.
    largest = np.abs(X).max(axis=1, initial=0)
    scaled = X / np.where(largest > 0, largest, 1)[:, None]
    squares = np.zeros(len(X))
    for column in scaled.T:
        squares += column * column
    return scaled / np.sqrt(np.where(squares > 0, squares, 1))[:, None]
