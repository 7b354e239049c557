"""The protocol of features: all that a run needs to know to turn lines into the rows that are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import scipy.sparse as sp
    from numpy.typing import NDArray


class Features(Protocol):
    """Way to turn lines into sparse rows of unit length, whose products are their similarities.

    A line has the same counts in every corpus and on every machine.  All weights are positive, as the bounds
    of the search need it.

    Attributes
    ----------
    n_features : int
        Number of columns.
    entries_a_byte : float
        Most entries of a row for each byte of its line.
    entries_a_row : int
        Most entries of a row besides those.
    possible_columns : int
        Columns that occur in large corpora, by and large.
    """

    @property
    def n_features(self) -> int: ...  # noqa: D102 - as above
    @property
    def entries_a_byte(self) -> float: ...  # noqa: D102
    @property
    def entries_a_row(self) -> int: ...  # noqa: D102
    @property
    def possible_columns(self) -> int: ...  # noqa: D102

    def count(self, lines: Sequence[str]) -> sp.csr_matrix:
        """Return how often each line has each feature.

        Returns
        -------
        csr_matrix of float32, shape (len(lines), n_features)
            Columns ascending in each row.
        """
        ...

    def inverse_document_frequency(self, frequency: NDArray[np.int64], n_rows: int) -> NDArray[np.float32]:
        """Return the weight of each column, from the number of rows in which it occurs."""
        ...

    def weigh(self, counts: sp.csr_matrix, idf: NDArray[np.float32]) -> sp.csr_matrix:
        """Return counts, overwritten, as weights in rows of unit length; rows without features stay empty."""
        ...
