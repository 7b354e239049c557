"""Character n-grams of whole lines, with TF-IDF weights, as scikit-learn computes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from novelty_dask.kernels.text.ngrams import count_ngrams
from novelty_dask.kernels.text.tfidf import inverse_document_frequency, weigh

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import scipy.sparse as sp
    from numpy.typing import NDArray

ALPHABET = 42
"""Characters that URLs are made of in lower case, by and large: 42 ** n different n-grams occur.

Among 200,000 real URLs there are 73,395 of length 3; 42 ** 3 is 74,088.
"""


@dataclass(frozen=True)
class NgramFeatures:
    """Features of any text: the hashed n-grams of its characters.

    Parameters
    ----------
    ngram_range : (int, int)
        Shortest and longest n-grams.
    n_features : int
        Number of columns.
    """

    ngram_range: tuple[int, int]
    n_features: int
    entries_a_row = 0

    @property
    def entries_a_byte(self) -> float:
        """One for each length of n-grams, as one begins at each byte."""
        shortest, longest = self.ngram_range
        return longest - shortest + 1

    @property
    def possible_columns(self) -> int:
        """Different n-grams of characters that are usual in URLs."""
        shortest, longest = self.ngram_range
        n_ngrams: int = sum(ALPHABET**length for length in range(shortest, longest + 1))
        return min(n_ngrams, self.n_features)

    def count(self, lines: Sequence[str]) -> sp.csr_matrix:
        """Return the counts of `count_ngrams`."""
        return count_ngrams(lines, self.ngram_range, self.n_features)

    def inverse_document_frequency(self, frequency: NDArray[np.int64], n_rows: int) -> NDArray[np.float32]:
        """Return the weights of columns, as scikit-learn computes them."""
        return inverse_document_frequency(frequency, n_rows)

    def weigh(self, counts: sp.csr_matrix, idf: NDArray[np.float32]) -> sp.csr_matrix:
        """Return the weights of `novelty_dask.kernels.text.tfidf.weigh`."""
        return weigh(counts, idf)
