"""Features of URLs: the host, the rest, and the structure, with random tokens masked and blocks balanced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from novelty_dask.kernels.text.url_features import OTHER_FEATURES, count_url_features
from novelty_dask.kernels.text.url_weights import balanced_idf, weigh_balanced

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import scipy.sparse as sp
    from numpy.typing import NDArray


@dataclass(frozen=True)
class UrlFeatures:
    """Features of URLs, as `novelty_dask.features.definition` defines them.

    Parameters
    ----------
    n_features : int
        Number of columns.
    """

    n_features: int
    # A 3-gram begins at each byte, and a label of a host at every other byte at most.
    entries_a_byte = 1.5
    entries_a_row = OTHER_FEATURES

    @property
    def possible_columns(self) -> int:
        """All columns: large corpora have as many hosts and directories as there is room for."""
        return self.n_features

    def count(self, lines: Sequence[str]) -> sp.csr_matrix:
        """Return the counts of `count_url_features`."""
        return count_url_features(lines, self.n_features)

    def inverse_document_frequency(self, frequency: NDArray[np.int64], n_rows: int) -> NDArray[np.float32]:
        """Return the weights of `balanced_idf`."""
        return balanced_idf(frequency, n_rows)

    def weigh(self, counts: sp.csr_matrix, idf: NDArray[np.float32]) -> sp.csr_matrix:
        """Return the weights of `weigh_balanced`."""
        return weigh_balanced(counts, idf)
