"""Cost of a run in core-seconds, from what runs of real URLs took."""

from __future__ import annotations

from math import pow as power
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from novelty_dask.planning.budget import Budget, Extent
    from novelty_dask.planning.matrix import Matrix

MILLION = 1_000_000
START_SECONDS = 6.0
"""Core-seconds until workers have started, and after they have ended."""
BYTE_SECONDS = 0.31
"""Core-seconds of the stages around the search, for a million bytes of text."""
JOINING = 0.5
"""Share of that in which rows of references are joined: they are read, sorted and weighed alone."""
GROWTH = 1.6
"""Power of the rows by which the part of a search grows that does not grow with their number alone."""
GROWTH_OF_NEIGHBORS = 0.2
"""Power of the number of neighbors by which a search grows: from 1 to 10 neighbors, and from 10 to 100."""


PRODUCT_SECONDS = 4.5e-12
"""Core-seconds of a product of two values, of rows of vectors, where the processor has AVX-512 VNNI."""
SURCHARGE = 40
"""Products that take as long as what is done for each pair of rows besides."""


class SearchCost(NamedTuple):
    """Core-seconds of a search among a million rows of URLs, with 10 neighbors.

    Parameters
    ----------
    linear : float
        That grow with the number of rows.
    growing : float
        That grow with its power `GROWTH`.
    """

    linear: float
    growing: float

    def seconds(self, n_rows: int) -> float:
        """Return the core-seconds of a search of a number of rows among themselves."""
        millions = n_rows / MILLION
        return self.linear * millions + self.growing * power(millions, GROWTH)


URL_COST = SearchCost(14.6, 50.0)
NGRAMS_COST = SearchCost(4.9, 147.5)


def vector_seconds(matrix: Matrix) -> float:
    """Estimate the core-seconds of a run of vectors on the same machine, by the products that it takes."""
    return START_SECONDS + PRODUCT_SECONDS * float(matrix.n_rows) ** 2 * (matrix.n_columns + SURCHARGE)


def joining_seconds(extent: Extent) -> float:
    """Estimate the core-seconds in which the rows of several references are joined, on the same machine."""
    return JOINING * BYTE_SECONDS * extent.n_bytes / MILLION


def core_seconds(features: str, budget: Budget, extent: Extent) -> float:
    """Estimate the core-seconds of a run on the machine on which the costs of this module were measured.

    They hold for lists of URLs of many sites within a factor of 1.5: a search is faster where rows differ, as
    bounds exclude most of them, and slower where all are similar.

    Parameters
    ----------
    features : str
        Their name in the settings; those of a vectorizer are taken for n-grams.
    budget : Budget
    extent : Extent
        The new rows.
    """
    cost = URL_COST if features == "url" else NGRAMS_COST
    if budget.known:
        # A row is searched among the known rows as one of them would be.
        n_known = max(budget.known.n_left or budget.known.n_rows, 1)
        search = cost.seconds(n_known) * extent.n_rows / n_known
    else:
        search = cost.seconds(extent.n_rows)
    search *= power(budget.n_neighbors / 10, GROWTH_OF_NEIGHBORS)
    return START_SECONDS + BYTE_SECONDS * extent.n_bytes / MILLION + search
