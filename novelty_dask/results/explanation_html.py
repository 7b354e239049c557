"""Explanations as HTML, for notebooks."""

from __future__ import annotations

from html import escape as escape_markup
from itertools import islice
from typing import TYPE_CHECKING

from novelty_dask.errors import escape as escape_invisible

if TYPE_CHECKING:
    from novelty_dask.features.marks import Marks
    from novelty_dask.results.explanations import Explanation

MOST_FEATURES = 10


def to_html(explanation: Explanation) -> str:
    """Return an explanation as HTML, in which nothing of a URL is markup."""
    by, views = explanation.by, explanation.views
    place = "not in the run" if explanation.is_new else f"row {explanation.row}"
    numbers = ", ".join(f"{name} {view:.6f}" for name, view in views.items())
    features = "".join(
        f"<tr><td>{each.contributions.get(by, 0):+.6f}</td><td><code>{_escape(each.text)}</code></td>"
        f"<td>{each.document_frequency:,}</td></tr>"
        for each in islice(explanation.features, MOST_FEATURES)
    )
    neighbors = "".join(
        f"<tr><td>{each.similarity:.6f}</td><td>{mark(explanation.url, each.own_parts)}</td>"
        f"<td>{mark(each.url, each.parts)}</td></tr>"
        for each in explanation.neighbors
    )
    return (
        f"<div><b>{mark(explanation.url, explanation.parts)}</b><br>{place}; {numbers}"
        f"<table><tr><th>similarity</th><th>url</th><th>neighbor</th></tr>{neighbors}</table>"
        f"<table><tr><th>{_escape(by)}</th><th>feature</th><th>rows</th></tr>{features}</table></div>"
    )


def mark(text: str, parts: Marks) -> str:
    """Return a text with marked parts.

    >>> mark("a<b", [(0, 1)])
    '<mark>a</mark>&lt;b'
    """
    pieces, end = [], 0
    for start, stop in parts:
        pieces += [_escape(text[end:start]), "<mark>", _escape(text[start:stop]), "</mark>"]
        end = stop
    return "".join([*pieces, _escape(text[end:])])


def _escape(text: str) -> str:
    """Return a text that is shown as it is, with nothing invisible."""
    return escape_markup(escape_invisible(text))
