"""Columns of tables and fields of records, as a user names them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from novelty_dask.errors import capital

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN_COLUMNS = 20
"""Most columns that a message names."""
_ADDRESS = re.compile(r"^(?:[A-Za-z][A-Za-z0-9+.-]*://|/|[^\s/]+\.[^\s/])", re.ASCII)


def number_of(column: str) -> int | None:
    """Return the number that a column is named by, None if it is a name.

    >>> number_of("3"), number_of("url")
    (3, None)
    """
    # What is longer is a name: Python refuses to convert thousands of digits.
    return int(column) if column.isascii() and column.isdigit() and len(column) < 10 else None


def looks_like_address(text: str) -> bool:
    """Return whether a field holds what could be scored, and is not the name of a column.

    >>> [looks_like_address(text) for text in ("https://a.example/x", "a.example", "/x", "url", "first seen")]
    [True, True, True, False, False]
    """
    return _ADDRESS.match(text.strip()) is not None


def name_column(source: str, columns: Sequence[str]) -> str:
    """Return the sentence that a column must be named.

    >>> name_column("'a.csv'", ["id", "url"])
    "'a.csv' has several columns; name the one to score, as in --column url (it has: id, url)."
    """
    # One that can be pasted, where the names allow it.
    example = next((name for name in columns if "url" in name.lower()), "url")
    remedy = f"name the one to score, as in --column {example} ({_list(columns)})"
    return f"{capital(source)} has several columns; {remedy}."


def describe_absence(source: str, column: str, columns: Sequence[str]) -> str:
    """Return the sentence that there is no such column.

    >>> describe_absence("'a.csv'", "URL", ["id", "url"])
    "'a.csv' has no column 'URL'; name another as --column (it has: id, url)."
    """
    return f"{capital(source)} has no column {column!r}; name another as --column ({_list(columns)})."


def _list(columns: Sequence[str]) -> str:
    """Return the names of columns, the first of many."""
    shown = ", ".join(columns[:SHOWN_COLUMNS])
    more = len(columns) - SHOWN_COLUMNS
    return f"it has: {shown}" + (f" and {more:,} more" if more > 0 else "") if columns else "it is empty"
