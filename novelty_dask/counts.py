"""Counts and times in words, as the command line, notebooks and messages show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from novelty_dask.kernels.choices import HARMLESS

if TYPE_CHECKING:
    from novelty_dask.kernels.choices import NormalForm
    from novelty_dask.storage.totals import Totals

ROW_NAMES: dict[NormalForm, str] = {"raw": "row", "web": "row", "page": "page", "template": "template"}
"""Name of a row in summaries."""


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, which takes an s.

    >>> counted(1, "row"), counted(1_200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"


def duration(seconds: float) -> str:
    """Return a time as people say it.

    >>> duration(0.25), duration(75), duration(7325)
    ('0.2 s', '1 min 15 s', '2 h 2 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def count_line(totals: Totals, form: NormalForm = "raw") -> str:
    """Return a summary of the lines that were read.

    >>> from novelty_dask.storage.totals import Totals
    >>> totals = Totals(lines=1200, rows=1100, duplicates=98, rejected={"blank": 2})
    >>> count_line(totals)
    '1,200 lines: 1,100 rows, 98 duplicates, 2 rejected (2 blank)'
    >>> count_line(totals, "page")
    '1,200 lines, 1,100 pages: 98 duplicates, 2 rejected (2 blank)'
    """
    if not totals.lines:
        # Rows that were no lines, such as vectors.
        return counted(totals.rows, "row")
    reasons = reason_counts(totals.rejected)
    lines, rows = counted(totals.lines, "line"), counted(totals.rows, ROW_NAMES[form])
    shown = f"{lines}: {rows}, " if ROW_NAMES[form] == "row" else f"{lines}, {rows}: "
    rejected = f"{totals.n_rejected:,} rejected" + (f" ({reasons})" if reasons else "")
    return f"{shown}{counted(totals.duplicates, 'duplicate')}, {rejected}"


def refused(rejected: dict[str, int]) -> dict[str, int]:
    """Return the counts of lines by reason without those that nobody took for URLs.

    >>> refused({"blank": 2, "nul": 1})
    {'nul': 1}
    """
    return {reason: count for reason, count in rejected.items() if reason not in HARMLESS}


def reason_counts(rejected: dict[str, int]) -> str:
    """Return counts by reason in words.

    >>> reason_counts({"invalid-utf8": 1_000, "nul": 1})
    '1,000 invalid-utf8, 1 nul'
    """
    return ", ".join(f"{count:,} {reason}" for reason, count in rejected.items())


def refusal_line(totals: Totals) -> str:
    """Return a summary of the lines that were rejected though they are more than blanks and comments.

    >>> from novelty_dask.storage.totals import Totals
    >>> refusal_line(Totals(lines=150, rows=90, duplicates=8, rejected={"blank": 2, "invalid-utf8": 50}))
    '50 of 150 lines rejected (50 invalid-utf8)'
    """
    lost = refused(totals.rejected)
    return (
        f"{sum(lost.values()):,} of {totals.lines:,} lines rejected ({reason_counts(lost)})" if lost else ""
    )


def wrapped_line(totals: Totals) -> str:
    """Return a sentence on lines that hold a URL inside other text.

    >>> from novelty_dask.storage.totals import Totals
    >>> wrapped_line(Totals(lines=5, rows=5, duplicates=0, rejected={}, wrapped=1))
    '1 line holds a URL inside other text; --unwrap takes it out.'
    """
    holds = "holds" if totals.wrapped == 1 else "hold"
    return f"{counted(totals.wrapped, 'line')} {holds} a URL inside other text; --unwrap takes it out."
