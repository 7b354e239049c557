"""Calibrated values: how large a share of known rows is at least as novel as a row.

The p-value of a row is (1 + the number of others at least as novel) / (their number + 1).  The others are the
rows of the reference, with their own values of the same column; without one, the other rows of the run.
"""

from __future__ import annotations

import tempfile
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from novelty_dask.results.results import Results

CHUNK_ROWS = 2**20
"""Values that are looked at at once."""


def p_values(
    others: NDArray[np.float64], values: NDArray[np.float64], n_itself: int = 0
) -> NDArray[np.float64]:
    """Return the p-value of each value, NaN where it is undefined.

    Parameters
    ----------
    others : ndarray of shape (n,), float64
        Ascending.
    values : ndarray of float64
    n_itself : {0, 1}
        1 if each value is one of the others, and not to be counted among them.

    Examples
    --------
    >>> p_values(np.array([0.1, 0.2, 0.9]), np.array([0.2, 0.95]))
    array([0.75, 0.25])
    """
    n_others = len(others) - n_itself
    n_least = len(others) - np.searchsorted(others, values, side="left") - n_itself
    return np.where(np.isnan(values), np.nan, (1 + n_least) / (n_others + 1))


class Calibration:
    """The p-values of the rows of a run by one of their columns.

    Parameters
    ----------
    results : Results
        A complete run.
    by : str
        The column.

    Attributes
    ----------
    folder : Path or None
        Folder for temporary files of 8 bytes for each row, which the first reading makes; the system's by
        default.
    """

    def __init__(self, results: Results, by: str) -> None:
        self._results, self._by = results, by
        self.folder: Path | None = None

    @cached_property
    def _others(self) -> NDArray[np.float64] | None:
        """The values of the others, ascending; None if the run itself holds what was counted."""
        return None if self._results.is_against else self._sort(self._each(self._by))

    def read(self, block: int) -> NDArray[np.float64]:
        """Return the p-values of the rows of a block, NaN where they are undefined."""
        if self._others is not None:
            # A row is one of those that are at least as novel as itself.
            return p_values(self._others, self._results.read(self._by, block), n_itself=1)
        view = self._results.views.index(self._by)
        n_others = self._results.arrays.read("calibration/others", block, view)
        n_least = self._results.read("calibration/at_least", block)[:, view]
        return np.where(n_least < 0, np.nan, (1 + n_least) / (n_others + 1))

    def limit(self, rate: float) -> float:
        """Return the largest p-value of a row that is chosen at a false discovery rate; -1 if none is.

        By the procedure of Benjamini and Hochberg, *Controlling the false discovery rate* (1995): the largest
        p-value p, at most rate times the share of the rows whose p-value is at most p.
        """
        ascending = self._sort(self.read(block) for block in range(self._results.n_blocks))
        largest = -1.0
        for start in range(0, len(ascending), CHUNK_ROWS):
            p = np.asarray(ascending[start : start + CHUNK_ROWS])
            # Ties have one p-value, and the last of them has the highest rank: that is the one that counts.
            ranks = np.arange(start + 1, start + len(p) + 1)
            chosen = p[p <= rate * ranks / len(ascending)]
            largest = max(largest, float(chosen.max(initial=-1)))
        return largest

    def _each(self, name: str) -> Iterator[NDArray[np.float64]]:
        """Yield a column of the rows of the run, a block at a time."""
        return (self._results.read(name, block) for block in range(self._results.n_blocks))

    def _sort(self, parts: Iterator[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return all defined values, ascending, in a file that goes with this process."""
        with tempfile.TemporaryFile(prefix="novelty-", dir=self.folder) as file:
            for part in parts:
                file.write(part[~np.isnan(part)].tobytes())
            file.flush()
            # An empty file can't be mapped.
            if not file.tell():
                return np.empty(0)
            # Mapped, so that the system may write it out where memory is scarce.
            values = np.memmap(file, np.float64, "r+")
        values.sort()
        return values
