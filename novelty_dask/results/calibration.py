"""Calibrated values: how large a share of known rows is at least as novel as a row.

The p-value of a row is (1 + the number of others at least as novel) / (their number + 1).  The others are the
rows of the reference, with their own values of the same column; without one, the other rows of the run.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    """Sorted values of a column of others, by which the values of rows are judged.

    Parameters
    ----------
    results : Results
        A complete run.
    by : str
        The column.
    open_reference : callable or None
        Opens the arrays of the reference; None for a run without one.
    folder : Path, optional
        Folder for a temporary file of 8 bytes for each value; the system's by default.
    """

    def __init__(
        self,
        results: Results,
        by: str,
        open_reference: Callable[[], Any] | None,
        folder: Path | None = None,
    ) -> None:
        self._results, self._by = results, by
        self._folder = folder
        if open_reference:
            arrays = open_reference()
            n_rows, n_there = arrays[by].shape[0], arrays[by].chunks[0]
            starts = range(0, n_rows, n_there)
            self._sorted = self._sort(arrays.read(by, slice(i, i + n_there)) for i in starts)
            self._n_itself = 0
        else:
            self._sorted = self._sort(self._read_own())
            # A row is one of those that are at least as novel as itself.
            self._n_itself = 1

    def p_values(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the p-value of each value, NaN where it is undefined."""
        return p_values(self._sorted, values, self._n_itself)

    def add_column(self, by: str, table: pa.Table) -> pa.Table:
        """Return a table with the p-values of a column of it, null where it is undefined."""
        values = table[by].to_numpy().astype(np.float64)
        p = self.p_values(values)
        return table.append_column("p_value", pa.array(p, mask=np.isnan(values)))

    def limit(self, rate: float) -> float:
        """Return the largest p-value of a row that is chosen at a false discovery rate; -1 if none is.

        By the procedure of Benjamini and Hochberg, *Controlling the false discovery rate* (1995): the largest
        p-value p, at most rate times the share of the rows whose p-value is at most p.
        """
        # Ascending values are descending p-values.
        own = self._sorted if self._n_itself else self._sort(self._read_own())
        largest = -1.0
        for stop in range(len(own), 0, -CHUNK_ROWS):
            start = max(stop - CHUNK_ROWS, 0)
            p = self.p_values(np.asarray(own[start:stop]))
            # Ties have one p-value, and the last of them has the highest rank: that is the one that counts.
            ranks = len(own) - np.arange(start, stop)
            chosen = p[p <= rate * ranks / len(own)]
            largest = max(largest, float(chosen.max(initial=-1)))
        return largest

    def _read_own(self) -> Iterator[NDArray[np.float64]]:
        """Yield the values of the rows of the run, a block at a time."""
        return (self._results.read(self._by, block) for block in range(self._results.n_blocks))

    def _sort(self, parts: Iterator[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return all defined values, ascending, in a file that goes with this process."""
        with tempfile.TemporaryFile(prefix="novelty-", dir=self._folder) as file:
            for part in parts:
                file.write(part[~np.isnan(part)].tobytes())
            file.flush()
            if not file.tell():
                return np.empty(0)
            # Mapped, so that the system may write it out where memory is scarce.
            values = np.memmap(file, np.float64, "r+")
        values.sort()
        return values
