"""The exact engine for single rows: all rows of a corpus by column, in files that are mapped into memory."""

from __future__ import annotations

import mmap
import os
import tempfile
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from novelty_dask.errors import DISK_FULL, DiskFullError
from novelty_dask.kernels.neighbors import Neighbors
from novelty_dask.kernels.search.postings import Postings, fill_postings, search_postings

if TYPE_CHECKING:
    import scipy.sparse as sp
    from numpy.typing import NDArray

ZERO_BYTES = 2**20
"""Zeros that are written at once, where room on the disk can't be taken otherwise."""


class PostingsEngine:
    """Finder of the k most similar rows of a corpus for one row at a time.

    It holds 8 bytes a row and 16 a column; the rest is mapped from temporary files, 8 bytes a non-zero, which
    have no name: they are gone with the process, however it ends.

    Parameters
    ----------
    frequency : ndarray of shape (n_columns,), int64
        Rows that have each column.
    n_rows : int
        Rows of the corpus.
    """

    def __init__(self, frequency: NDArray[np.int64], n_rows: int) -> None:
        starts = np.zeros(frequency.size + 1, np.int64)
        np.cumsum(frequency, out=starts[1:])
        n_entries = int(starts[-1])
        rows, weights = map_temporary(n_entries, np.int32), map_temporary(n_entries, np.float32)
        self._postings = Postings(starts, rows, weights)
        self._ends = starts[:-1].copy()
        self._sums = np.zeros(n_rows)

    def add(self, X: sp.csr_matrix, row_start: int) -> None:
        """Add the next rows of the corpus, with columns in their final order.

        Raises
        ------
        ValueError
            A column has more rows than its frequency.
        """
        if not fill_postings(X.indptr, X.indices, X.data, row_start, self._ends, self._postings):
            message = "A column has more rows than its document frequency."
            raise ValueError(message)

    def search(self, columns: NDArray[np.int64], values: NDArray[np.float32], k: int) -> Neighbors:
        """Return the k best neighbors of one row, as `Neighbors` of one row.

        Parameters
        ----------
        columns : ndarray of shape (nnz,), int64
            Columns of the row that the corpus has, ascending.
        values : ndarray of shape (nnz,), float32
            Its weights there.
        k : int
        """
        neighbors = Neighbors.empty(1, k)
        search_postings(
            columns, values, self._postings, self._sums, neighbors.ids[0], neighbors.similarities[0]
        )
        return neighbors


def map_temporary(size: int, dtype: Any) -> NDArray[Any]:
    """Return an array in a temporary file without a name, whose room on the disk is taken beforehand.

    Raises
    ------
    DiskFullError
        There is none.
    """
    n_bytes = max(size, 1) * np.dtype(dtype).itemsize
    with tempfile.TemporaryFile() as file:
        try:
            # A page of a mapped file that finds the disk full would end the process by a signal.
            _take_room(file, n_bytes)
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            message = (
                f"The index takes {n_bytes:,} bytes of temporary files, for which there is no space in "
                f"{tempfile.gettempdir()!r}; free some, or point TMPDIR to another disk."
            )
            raise DiskFullError(message) from None
        # The mapping keeps the file, which has neither a name nor a descriptor, until the array is gone.
        return np.frombuffer(mmap.mmap(file.fileno(), n_bytes), dtype)[:size]


def _take_room(file: IO[bytes], n_bytes: int) -> None:
    """Make a new file so large, with room on the disk for all of it."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, n_bytes)
        return
    # macOS has no such call.
    for start in range(0, n_bytes, ZERO_BYTES):
        file.write(bytes(min(ZERO_BYTES, n_bytes - start)))
    file.flush()
