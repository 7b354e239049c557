"""Rows in small integers, with proven bounds of what is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.vectors.instructions import GROUP
from novelty_dask.kernels.vectors.products import ROWS, STEP, aligned

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST = 63
"""Largest integer of a row: two products of it with 127 fit in 16 bits, and two of these sums as well."""
TINY = 2.0**-1000
"""More than is lost where numbers are so small that they have fewer digits."""
OFFSET = 64
"""What is added to a row, so that its bytes are positive."""


class IntegerRows(NamedTuple):
    """Rows as multiples of a number of each, once as rows and once as panels of candidates.

    Row x is about its scale times its integers q, and |x - scale q| <= errors.

    Parameters
    ----------
    rows : ndarray of uint8
        Integers plus `OFFSET`, row by row, padded by `ROWS` rows.
    panels : ndarray of int8
        Integers, by panels: in each, of every group of four columns, those of all its rows.
    sums : ndarray of shape (rows,), int64
        Sums of the integers of each row.
    errors, lengths : ndarray of shape (rows,), float64
        Upper bounds of |x - scale q|, and of |x| and |scale q|.
    squares : ndarray of shape (rows,), float64
        |x|^2, as summed up.
    scales : ndarray of shape (rows,), float64
    n_groups : int
        Groups of four columns of a row.
    panel_rows : int
        Candidates of a panel.
    """

    rows: NDArray[np.uint8]
    panels: NDArray[np.int8]
    sums: NDArray[np.int64]
    errors: NDArray[np.float64]
    lengths: NDArray[np.float64]
    squares: NDArray[np.float64]
    scales: NDArray[np.float64]
    n_groups: int
    panel_rows: int


def make_integers(X: NDArray[np.float64], panel_rows: int) -> IntegerRows:
    """Return rows in integers.

    Parameters
    ----------
    X : ndarray of shape (rows, columns), float64
        Each value may be off by 2**-50 of itself.
    panel_rows : int
        Candidates of a panel.
    """
    n_rows, n_columns = X.shape
    n_groups = -(-n_columns // STEP) * STEP // GROUP
    width = n_groups * GROUP
    made = IntegerRows(
        rows=aligned((n_rows + ROWS) * width, np.uint8),
        panels=aligned(-(-n_rows // panel_rows) * panel_rows * width, np.int8),
        sums=np.empty(n_rows, np.int64),
        errors=np.empty(n_rows),
        lengths=np.empty(n_rows),
        squares=np.empty(n_rows),
        scales=np.empty(n_rows),
        n_groups=n_groups,
        panel_rows=panel_rows,
    )
    made.rows.fill(OFFSET)
    _fill(X, made)
    return made


@compiled_loop
def _fill(X: NDArray[np.float64], made: IntegerRows) -> None:
    """Fill in the integers of rows, and their bounds."""
    n_columns, width, panel_rows = X.shape[1], made.n_groups * GROUP, made.panel_rows
    for i in range(X.shape[0]):
        panel, lane = i // panel_rows, i % panel_rows
        largest = 0.0
        for p in range(n_columns):
            largest = max(largest, abs(X[i, p]))
        scale = largest / LARGEST
        if scale == 0:
            scale = 1.0
        # In units of the scale, in which no square vanishes or overflows.
        error, length, square, total = 0.0, 0.0, 0.0, 0
        for p in range(n_columns):
            value = X[i, p] / scale
            integer = min(max(np.rint(value), -LARGEST), LARGEST)
            error += (value - integer) * (value - integer)
            length += integer * integer
            square += value * value
            total += int(integer)
            made.rows[i * width + p] = int(integer) + OFFSET
            place = (panel * made.n_groups + p // GROUP) * panel_rows * GROUP
            made.panels[place + lane * GROUP + p % GROUP] = int(integer)
        longest = np.sqrt(max(length, square))
        # Quotients are off by 2**-53 of themselves, and sums of n squares by n 2**-53: far less than this.
        made.lengths[i] = scale * longest * (1 + 2.0**-30) + TINY
        made.errors[i] = scale * (np.sqrt(error) * (1 + 2.0**-30) + longest * 2.0**-48) + TINY
        made.squares[i] = scale * scale * square
        # 0 for a row of zeros.
        made.scales[i] = largest / LARGEST
        made.sums[i] = total
