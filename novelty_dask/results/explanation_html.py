"""Explanations as HTML, for notebooks."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from markupsafe import Markup

from novelty_dask.cards import card, table, visible

if TYPE_CHECKING:
    from novelty_dask.features.marks import Marks
    from novelty_dask.results.explanations import Explanation

MOST_FEATURES = 10


def to_html(explanation: Explanation) -> str:
    """Return an explanation as HTML, in which nothing of a URL is markup."""
    by = explanation.by
    against = f", compared with {explanation.reference}" if explanation.reference else ""
    facts = {
        "row": "not in the run" if explanation.is_new else f"{explanation.row:,}{against}",
        **{name: "undefined" if view != view else f"{view:.6f}" for name, view in explanation.views.items()},
    }
    neighbors = [
        (each.similarity, mark(explanation.url, each.own_parts), mark(each.url, each.parts))
        for each in explanation.neighbors
    ]
    features = [
        (f"{each.contributions.get(by, 0):+.6f}", _code(each.text), each.document_frequency)
        for each in islice(explanation.features, MOST_FEATURES)
    ]
    return card(
        "Explanation",
        mark(explanation.url, explanation.parts),
        facts,
        table(["similarity", "url", "neighbor"], neighbors),
        table([by, "feature", "rows"], features),
    )


def mark(text: str, parts: Marks) -> Markup:
    """Return a text with marked parts.

    >>> mark("a<b", [(0, 1)])
    Markup('<mark>a</mark>&lt;b')
    """
    pieces, end = [], 0
    for start, stop in parts:
        pieces += [visible(text[end:start]), Markup("<mark>{}</mark>").format(visible(text[start:stop]))]
        end = stop
    return Markup("").join([*pieces, visible(text[end:])])


def _code(text: str) -> Markup:
    """Return a feature, which may be a start or an end."""
    return Markup("<code>{}</code>").format(visible(text)) if text else Markup("a start or an end")
