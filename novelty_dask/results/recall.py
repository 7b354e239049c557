"""Recall of neighbors, and the interval in which it lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from scipy.special import betaincinv

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OUTSIDE = 0.05
"""Share of the samples whose interval may miss the truth."""


class Recall(NamedTuple):
    """Share of the true neighbors that were found, as a sample of rows tells.

    Parameters
    ----------
    share : float
        Of the sample, 0 to 1.
    low, high : float
        Interval that holds the share of all rows at a confidence of at least 95 %.
    n_rows : int
        Rows of the sample.
    """

    share: float
    low: float
    high: float
    n_rows: int

    def __str__(self) -> str:
        """Return it in words."""
        return f"recall of {self.share:.4f} ({self.low:.4f} to {self.high:.4f}, by {self.n_rows:,} rows)"


def recall_interval(shares: NDArray[np.float64]) -> Recall:
    """Return the recall of all rows, by the recall of each row of a sample.

    Notes
    -----
    The interval is that of Clopper and Pearson (1934) for as many trials as there are rows.  The recall of a
    row lies between 0 and 1, so that its variance is at most p (1 - p), that of a trial (Bhatia and Davis,
    2000): the interval is as wide as needed or wider, however the neighbors that are missed are spread.

    Examples
    --------
    >>> import numpy as np
    >>> print(recall_interval(np.array([1.0] * 95 + [0.0] * 5)))
    recall of 0.9500 (0.8872 to 0.9836, by 100 rows)
    """
    n = len(shares)
    if not n:
        return Recall(1.0, 0.0, 1.0, 0)
    share, n_found = float(shares.mean()), float(shares.sum())
    low = betaincinv(n_found, n - n_found + 1, OUTSIDE / 2) if n_found > 0 else 0.0
    high = betaincinv(n_found + 1, n - n_found, 1 - OUTSIDE / 2) if n_found < n else 1.0
    return Recall(share, float(low), float(high), n)
