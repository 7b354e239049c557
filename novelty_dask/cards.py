"""Cards: the HTML forms of objects in notebooks, in which nothing from outside is markup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from novelty_dask.errors import escape as escape_invisible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LONGEST_TEXT = 200
"""Characters of a text in a cell; what is longer is cut."""

# Colors are those of the text around a card, so that it is at home in light and dark notebooks.  Names of
# classes keep it apart from styles of the page, and JupyterLab's own of tables are taken back.
STYLE = Markup("""<style>
.novelty-card{border:1px solid;border-color:color-mix(in srgb,currentColor 25%,transparent);border-radius:4px;
padding:.5em .75em;max-width:64em;overflow-x:auto;line-height:1.45}
.novelty-card .novelty-head{margin-bottom:.35em;overflow-wrap:anywhere}
.novelty-card .novelty-kind,.novelty-card dt,.novelty-card summary,.novelty-card th{opacity:.7}
.novelty-card dl{display:grid;grid-template-columns:max-content 1fr;gap:0 1.25em;margin:.25em 0}
.novelty-card dt,.novelty-card dd{margin:0;padding:0;font-weight:normal;overflow-wrap:anywhere}
.novelty-card table{border-collapse:collapse;margin:.5em 0 .25em;table-layout:auto;font-size:.92em}
.novelty-card tr,.novelty-card tr:nth-child(odd),.novelty-card tr:hover{background:none}
.novelty-card th,.novelty-card td{padding:.15em .8em .15em 0;border:0;text-align:left;vertical-align:top;
font-weight:normal;white-space:normal;overflow-wrap:anywhere}
.novelty-card thead th{border-bottom:1px solid;border-color:color-mix(in srgb,currentColor 25%,transparent)}
.novelty-card th{white-space:nowrap}
.novelty-card .novelty-number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.novelty-card mark{background:color-mix(in srgb,orange 40%,transparent);color:inherit;padding:0}
.novelty-card summary{cursor:pointer}
.novelty-card pre{margin:.5em 0 0;white-space:pre-wrap;overflow-wrap:anywhere;background:none}
</style>""")


def card(kind: str, title: object, facts: Mapping[str, object], *parts: Markup) -> str:
    """Return an object as HTML: its kind and title, facts on it, and what follows them.

    Parameters
    ----------
    kind : str
        What it is.
    title : str or Markup
        What tells it from others, such as its path.
    facts : mapping of str to object
        Names and texts.
    *parts : Markup
        Tables, and what is folded away.

    Examples
    --------
    >>> "<b>&lt;b&gt;run</b>" in card("Run", "<b>run", {"rows": "2"})
    True
    """
    head = Markup(
        '<div class="novelty-head"><span class="novelty-kind">novelty_dask.{}</span> <b>{}</b></div>'
    )
    body = Markup("").join([head.format(kind, visible(title)), _listed(facts), *parts])
    return str(Markup('<div class="novelty-card">{}{}</div>').format(STYLE, body))


def table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Markup:
    """Return rows as a table; numbers are to the right, with three places, and missing ones are empty."""
    head = Markup("").join(Markup("<th>{}</th>").format(visible(name)) for name in names)
    body = Markup("").join(Markup("<tr>{}</tr>").format(Markup("").join(map(_cell, row))) for row in rows)
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, body)


def folded(title: str, facts: Mapping[str, object]) -> Markup:
    """Return facts that are shown when one asks for them."""
    return Markup("<details><summary>{}</summary>{}</details>").format(visible(title), _listed(facts))


def lines(texts: Iterable[str]) -> Markup:
    """Return lines as they stand, each of its own."""
    return Markup("<pre>{}</pre>").format(Markup("\n").join(map(visible, texts)))


def visible(text: object) -> Markup:
    r"""Return a text in which nothing is markup or invisible; markup stays as it is.

    >>> visible("<b>\u202e")
    Markup('&lt;b&gt;\\u202e')
    """
    return text if isinstance(text, Markup) else escape(escape_invisible(str(text)))


def _listed(facts: Mapping[str, object]) -> Markup:
    """Return names and texts, one pair a line."""
    pair = Markup("<dt>{}</dt><dd>{}</dd>")
    return Markup("<dl>{}</dl>").format(
        Markup("").join(pair.format(visible(name), visible(text)) for name, text in facts.items())
    )


def _cell(value: object) -> Markup:
    """Return a cell of a table."""
    if isinstance(value, (int, float)):
        shown = "" if value != value else f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
        return Markup('<td class="novelty-number">{}</td>').format(shown)
    if isinstance(value, str) and not isinstance(value, Markup) and len(value) > LONGEST_TEXT:
        value = f"{value[:LONGEST_TEXT]}…"
    return Markup("<td>{}</td>").format(visible("" if value is None else value))
