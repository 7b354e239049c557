"""Counts in words, as the command line, notebooks and messages show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from novelty_dask.kernels.choices import NormalForm
    from novelty_dask.storage.manifest import Totals

ROW_NAMES: dict[NormalForm, str] = {"raw": "row", "web": "row", "page": "page", "template": "template"}
"""Name of a row in summaries."""


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, which takes an s.

    >>> counted(1, "row"), counted(1_200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"


def count_line(totals: Totals, form: NormalForm = "raw") -> str:
    """Return a summary of the lines that were read.

    >>> from novelty_dask.storage.manifest import Totals
    >>> totals = Totals(lines=1200, rows=1100, duplicates=98, rejected={"blank": 2})
    >>> count_line(totals)
    '1,200 lines: 1,100 rows, 98 duplicates, 2 rejected (2 blank)'
    >>> count_line(totals, "page")
    '1,200 lines, 1,100 pages: 98 duplicates, 2 rejected (2 blank)'
    """
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in totals.rejected.items())
    lines, rows = counted(totals.lines, "line"), counted(totals.rows, ROW_NAMES[form])
    shown = f"{lines}: {rows}, " if ROW_NAMES[form] == "row" else f"{lines}, {rows}: "
    rejected = f"{totals.n_rejected:,} rejected" + (f" ({reasons})" if reasons else "")
    return f"{shown}{counted(totals.duplicates, 'duplicate')}, {rejected}"
