"""Periods: rows in the order of their times, cut where weights are taken anew from all rows before."""

from itertools import pairwise

from novelty_dask.errors import BudgetError

FIRST_PERIOD_ROWS = 4_096
"""Rows of the first period where the user sets none."""
MAXIMUM_PERIODS = 256
"""Periods of a run: each weighs all rows before it once more."""


def begin_periods(n_rows: int, period_rows: int | None) -> tuple[int, ...]:
    """Return the numbers of rows before each period, in the order of time.

    Parameters
    ----------
    n_rows : int
    period_rows : int or None
        Rows of a period; if None, each has as many as all before it, but for the first.

    Raises
    ------
    BudgetError
        There would be too many.

    Examples
    --------
    >>> begin_periods(20_000, None), begin_periods(20_000, 8_000)
    ((0, 4096, 8192, 16384), (0, 8000, 16000))
    """
    if period_rows:
        if -(-n_rows // period_rows) > MAXIMUM_PERIODS:
            message = (
                f"{n_rows:,} rows in periods of {period_rows:,} make more than {MAXIMUM_PERIODS} periods, "
                "and each weighs all rows before it anew; use --period-rows "
                f"{-(-n_rows // MAXIMUM_PERIODS)} or more, or leave it out."
            )
            raise BudgetError(message)
        return tuple(range(0, n_rows, period_rows))
    starts = [0]
    # Twice as many rows change a weight by less than ln 2, and all periods together weigh each row twice.
    while (start := max(2 * starts[-1], FIRST_PERIOD_ROWS)) < n_rows:
        starts.append(start)
    return tuple(starts)


def are_possible(periods: tuple[int, ...], n_rows: int) -> bool:
    """Return whether numbers may be those of rows before each period of some rows.

    >>> are_possible((0, 8_000, 16_000), 20_000), are_possible((0, 8_000), 8_000)
    (True, False)
    """
    is_ascending = all(a < b for a, b in pairwise((*periods, n_rows)))
    return is_ascending and len(periods) <= MAXIMUM_PERIODS and periods[:1] in ((), (0,))


def weighed_rows(n_rows: int, periods: tuple[int, ...]) -> int:
    """Return how many rows all periods weigh together: each its own and those before it.

    >>> weighed_rows(20_000, (0, 8_000, 16_000))
    44000
    """
    return sum((*periods[1:], n_rows)) if periods else 0
