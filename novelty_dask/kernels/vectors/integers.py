"""Rows in small integers, with proven bounds of what is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.vectors.instructions import GROUP
from novelty_dask.kernels.vectors.products import ROWS, STEP, aligned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.kernels.vectors.instructions import Instructions

TINY = 2.0**-1000
"""More than is lost where numbers are so small that they have fewer digits."""


class IntegerRows(NamedTuple):
    """Rows as multiples of a number of each, once as rows and once as panels of candidates.

    Row x is about its scale times its integers q, and |x - scale q| <= errors.

    Parameters
    ----------
    rows : ndarray of uint8
        Integers plus an offset that makes them positive, row by row, padded by `ROWS` rows.
    panels : ndarray of int8
        Integers, by panels: in each, of every group of four columns, those of all its rows.
    singles : ndarray of shape (rows, columns), float32
        Values in units of the scale.
    sums : ndarray of shape (rows,), int64
        Sums of the integers of each row, times the offset, negative: what takes it away from a product.
    errors, lengths : ndarray of shape (rows,), float64
        Upper bounds of |x - scale q|, and of |x| and |scale q|.
    squares : ndarray of shape (rows,), float64
        |x|^2, as summed up.
    scales : ndarray of shape (rows,), float64
    n_groups : int
        Groups of four columns of a row.
    instructions : Instructions
        What multiplies them.
    """

    rows: NDArray[np.uint8]
    panels: NDArray[np.int8]
    singles: NDArray[np.float32]
    sums: NDArray[np.int64]
    errors: NDArray[np.float64]
    lengths: NDArray[np.float64]
    squares: NDArray[np.float64]
    scales: NDArray[np.float64]
    n_groups: int
    instructions: Instructions


def make_integers(X: NDArray[np.float64], instructions: Instructions) -> IntegerRows:
    """Return rows in integers.

    Parameters
    ----------
    X : ndarray of shape (rows, columns), float64
        Each value may be off by 2**-50 of itself.
    instructions : Instructions
        What multiplies them.
    """
    n_rows, n_columns = X.shape
    n_groups = -(-n_columns // STEP) * STEP // GROUP
    width = n_groups * GROUP
    n_padded = -(-n_rows // instructions.columns) * instructions.columns
    made = IntegerRows(
        rows=aligned((n_rows + ROWS) * width, np.uint8),
        panels=aligned(n_padded * width, np.int8),
        singles=np.empty(X.shape, np.float32),
        sums=np.empty(n_rows, np.int64),
        errors=np.empty(n_rows),
        lengths=np.empty(n_rows),
        squares=np.empty(n_rows),
        scales=np.empty(n_rows),
        n_groups=n_groups,
        instructions=instructions,
    )
    made.rows.fill(instructions.largest + 1)
    _fill(X, made[:-1], instructions.columns, instructions.largest)
    return made


@compiled_loop
def _fill(X: NDArray[np.float64], made: tuple[Any, ...], panel_rows: int, most: int) -> None:
    """Fill in the integers of rows, and their bounds."""
    rows, panels, singles, sums, errors, lengths, squares, scales, n_groups = made
    n_columns, width = X.shape[1], n_groups * GROUP
    for i in range(X.shape[0]):
        panel, lane = i // panel_rows, i % panel_rows
        largest = 0.0
        for p in range(n_columns):
            largest = max(largest, abs(X[i, p]))
        scale = largest / most
        if scale == 0:
            scale = 1.0
        # In units of the scale, in which no square vanishes or overflows.
        error, length, square, total = 0.0, 0.0, 0.0, 0
        for p in range(n_columns):
            value = X[i, p] / scale
            integer = min(max(np.rint(value), -most), most)
            singles[i, p] = value
            error += (value - integer) * (value - integer)
            length += integer * integer
            square += value * value
            total += int(integer)
            rows[i * width + p] = int(integer) + most + 1
            place = (panel * n_groups + p // GROUP) * panel_rows * GROUP
            panels[place + lane * GROUP + p % GROUP] = int(integer)
        longest = np.sqrt(max(length, square))
        # Quotients are off by 2**-53 of themselves, and sums of n squares by n 2**-53: far less than this.
        lengths[i] = scale * longest * (1 + 2.0**-30) + TINY
        errors[i] = scale * (np.sqrt(error) * (1 + 2.0**-30) + longest * 2.0**-48) + TINY
        squares[i] = scale * scale * square
        # 0 for a row of zeros.
        scales[i] = largest / most
        sums[i] = -(most + 1) * total
