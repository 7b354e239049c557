"""The protocol of engines, which prepare blocks of rows, and search one block for neighbors of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from novelty_dask.kernels.neighbors import Neighbors

Prepared = TypeVar("Prepared")
"""A block in the form in which an engine compares it."""


class Engine(Protocol[Prepared]):
    """Finder of neighbors, exact or not, among blocks that fit in memory."""

    def prepare(self, X: Any) -> Prepared:
        """Return a block of rows in the form in which it is compared.

        Parameters
        ----------
        X : matrix of shape (rows, columns)
            Consecutive rows of the corpus.
        """
        ...

    def search(
        self,
        rows: Prepared,
        candidates: Prepared,
        neighbors: Neighbors,
        *,
        row_start: int,
        candidate_start: int,
    ) -> dict[str, int]:
        """Update the neighbors of rows with candidates, in place.

        Parameters
        ----------
        rows, candidates : prepared blocks
            May be the same one.
        neighbors : Neighbors
            The best so far of each row, best first.
        row_start, candidate_start : int
            Numbers of the first row and of the first candidate in the corpus.  A row is never its own
            neighbor.

        Returns
        -------
        dict of str to int
            Counts of what it did, which do not depend on the machine.
        """
        ...

    def search_near(
        self,
        rows: Prepared,
        candidates: Any,
        neighbors: Neighbors,
        places: NDArray[np.int64],
        *,
        candidate_start: int,
    ) -> dict[str, int]:
        """Update the neighbors of rows that are no candidates, before they are searched, in place.

        It may do nothing: what it finds makes the search faster, and changes no result.

        Parameters
        ----------
        rows, neighbors, candidate_start
            As for `search`.
        candidates : matrix of shape (candidates, columns)
            As for `prepare`: most of them are looked at by no row, and need not be prepared.
        places : ndarray of shape (rows,), int64
            Number of the candidate before which each row belongs in the order of the corpus.
        """
        ...
