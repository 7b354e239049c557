"""Explanations as text: passages, some of them a URL with marked parts."""

from __future__ import annotations

from math import fsum, isnan
from typing import TYPE_CHECKING, NamedTuple

from novelty_dask.errors import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from novelty_dask.features.marks import Marks
    from novelty_dask.results.explanations import ExplainedFeature, ExplainedNeighbor, Explanation

MOST_SHARED = 5
"""Features that are named of those that carry a similarity."""
MOST_ONLY_HERE = 10
"""Features that are named of those that no other row has."""


class Passage(NamedTuple):
    """A line of an explanation: what stands before a text, and the text.

    Parameters
    ----------
    label : str
    text : str
        Not escaped.
    parts : sequence of (int, int)
        Parts of the text that are marked, in characters.
    is_url : bool
    """

    label: str
    text: str = ""
    parts: Marks = ()
    is_url: bool = False


def to_text(passages: Iterable[Passage]) -> str:
    """Return passages as lines, each with carets below what is marked."""
    return "\n".join(line for passage in passages for line in _lines(passage))


def _lines(passage: Passage) -> Iterator[str]:
    """Yield the line of a passage, escaped, and one of carets if anything is marked."""
    marked = {index for start, stop in passage.parts for index in range(start, stop)}
    # One by one, as carets have to be as wide as the escape of what is above them.
    pieces = [escape(char) for char in passage.text]
    yield f"{passage.label}{''.join(pieces)}".rstrip()
    if marked:
        marks = "".join(("^" if index in marked else " ") * len(each) for index, each in enumerate(pieces))
        yield f"{' ' * len(passage.label)}{marks}".rstrip()


def passages_of(explanation: Explanation, n_features: int) -> list[Passage]:
    """Return the passages of an explanation, with some features of those that add most."""
    passages = [
        Passage("url         ", explanation.url, explanation.parts, is_url=True),
        Passage("row         ", _place(explanation)),
        *(Passage(f"{name:<16}", _number(view)) for name, view in explanation.views.items()),
        Passage("only here   ", _only_here(explanation)),
        Passage(""),
        *(passage for each in explanation.neighbors for passage in _neighbor(explanation.url, each)),
    ]
    if isnan(explanation.value):
        return [*passages, Passage(f"{explanation.by} is undefined here.")]
    return [*passages, *_features(explanation, n_features)]


def _place(explanation: Explanation) -> str:
    """Return where a URL is."""
    if explanation.is_new:
        return "none: the run does not hold it, and it is compared with all rows of the run, as a new one"
    compared = f", compared with {explanation.reference}" if explanation.reference else ""
    return f"{explanation.row}{compared}"


def _only_here(explanation: Explanation) -> str:
    """Return a list of the n-grams that no other row has."""
    only_here = [each for each in explanation.features if each.is_only_here]
    if not only_here:
        return "nothing: other rows have each of its features"
    return _listed([_name(each.text) for each in only_here], MOST_ONLY_HERE)


def _listed(names: Sequence[str], most: int) -> str:
    """Return the first of some names, and how many there are besides."""
    left = f", and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + left


def _neighbor(url: str, neighbor: ExplainedNeighbor) -> Iterator[Passage]:
    """Yield a neighbor, the URL and the neighbor one below the other, and what carries their similarity."""
    yield Passage(f"similarity {neighbor.similarity:.6f}")
    yield Passage("  url       ", url, neighbor.own_parts, is_url=True)
    yield Passage("  neighbor  ", neighbor.url, neighbor.parts, is_url=True)
    carried = [f"{_name(each.text)} {each.contribution:.4f}" for each in neighbor.shared]
    yield Passage("  carried by ", _listed(carried, MOST_SHARED))
    yield Passage("")


def _features(explanation: Explanation, n_features: int) -> Iterator[Passage]:
    """Yield the features that add most to a column, the sum of the others, the rest, and the total."""
    by = explanation.by
    yield Passage(f"{by} {_number(explanation.value)} is the sum of")
    first, others = explanation.features[:n_features], explanation.features[n_features:]
    for each in first:
        yield Passage(f"  {each.contributions[by]:+.6f}  ", f"{_name(each.text)}, {_frequency(each)}")
    if others:
        rest = fsum(each.contributions[by] for each in others)
        yield Passage(f"  {rest:+.6f}  ", f"{len(others):,} other features")
    if explanation.rests[by]:
        yield Passage(f"  {explanation.rests[by]:+.6f}  ", "how far the neighbors reach themselves")


def _frequency(feature: ExplainedFeature) -> str:
    """Return how many rows have a feature."""
    if feature.is_only_here:
        return "in no other row"
    return f"in {feature.document_frequency:,} row{'s' * (feature.document_frequency != 1)}"


def _name(text: str) -> str:
    """Return a feature as it is named."""
    return f'"{text}"' if text else "a start or an end"


def _number(value: float) -> str:
    """Return a number of a row."""
    return "undefined" if isnan(value) else f"{value:.6f}"
