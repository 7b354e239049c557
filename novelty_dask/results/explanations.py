"""Explanations of the numbers of a URL, as objects with a text and an HTML form."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from novelty_dask.results.explanation_html import to_html
from novelty_dask.results.explanation_secrets import redact_explanation
from novelty_dask.results.explanation_text import passages_of, to_text

if TYPE_CHECKING:
    from novelty_dask.features.marks import Marks
    from novelty_dask.results.explanation_text import Passage

MOST_LINES = 14
"""Lines that are shown unless one prints it."""


@dataclass(frozen=True)
class ExplainedFeature:
    """A feature of a URL, and what it adds to each column.

    Parameters
    ----------
    text : str
        Characters that it comes from, at its first place; empty for what only marks a start or an end.
    parts : tuple of (int, int)
        Start and end of each part of the URL that it comes from, in characters.
    column : int
        Column that it is hashed to.
    is_gram : bool
        True for an n-gram; False for a part of the structure of a URL.
    document_frequency : int
        Rows that have it, of those that the run takes its weights from.
    is_only_here : bool
        True if no other row has it.
    contributions : dict of str to float
        What it adds to each column that rows can be ordered by.
    """

    text: str
    parts: Marks
    column: int
    is_gram: bool
    document_frequency: int
    is_only_here: bool
    contributions: dict[str, float]


@dataclass(frozen=True)
class SharedFeature:
    """A feature that a URL shares with a neighbor, and what it adds to their similarity.

    Parameters
    ----------
    text : str
    column : int
    contribution : float
    """

    text: str
    column: int
    contribution: float


@dataclass(frozen=True)
class ExplainedNeighbor:
    """A neighbor of a URL, and what carries their similarity.

    Parameters
    ----------
    url : str
    similarity : float
    shared : tuple of SharedFeature
        Those that carry most come first; their contributions add up to the similarity.
    parts, own_parts : tuple of (int, int)
        What the n-grams of both come from, in the URL of the neighbor and in the one that is explained.
    """

    url: str
    similarity: float
    shared: tuple[SharedFeature, ...]
    parts: Marks
    own_parts: Marks


@dataclass(frozen=True)
class Explanation:
    """What makes a URL as novel as it is.

    Parameters
    ----------
    run : str
        Path or URL of the run.
    url : str
        As the run has it, if it has it.
    row : int or None
        Number of its row; None for a URL that the run does not hold, which is compared with all its rows.
    reference : str or None
        Path or URL of the reference of the run.
    by : str
        Column that is explained first.
    views : dict of str to float
        All columns that rows can be ordered by; NaN where undefined.
    features : tuple of ExplainedFeature
        All features of the URL; those that add most to the column `by` come first.
    rests : dict of str to float
        What is not due to features: 0, but for lof.
    parts : tuple of (int, int)
        Parts of the URL that come from features which no other row has, in characters.
    neighbors : tuple of ExplainedNeighbor
        Most similar first.
    """

    run: str
    url: str
    row: int | None
    reference: str | None
    by: str
    views: dict[str, float]
    features: tuple[ExplainedFeature, ...]
    rests: dict[str, float]
    parts: Marks
    neighbors: tuple[ExplainedNeighbor, ...]

    @property
    def value(self) -> float:
        """The number that is explained: contributions and rest add up to it."""
        return self.views[self.by]

    @property
    def is_new(self) -> bool:
        """True if the run does not hold the URL."""
        return self.row is None

    def passages(self, n_features: int = 10) -> list[Passage]:
        """Return its text in passages, whose parts may be marked."""
        return passages_of(self, n_features)

    def redacted(self) -> Explanation:
        """Return the same with ``…`` for the secrets in URLs."""
        return redact_explanation(self)

    def to_dict(self) -> dict[str, Any]:
        """Return it in plain lists and dictionaries, for JSON; None where a number is undefined."""
        document = asdict(self)
        document["views"] = {name: None if view != view else view for name, view in self.views.items()}
        return {"is_new": self.is_new, **document}

    def __str__(self) -> str:
        """Return it as text, with a line of carets below what is marked."""
        return to_text(self.passages())

    def __repr__(self) -> str:
        """Return the beginning of the text."""
        first, others = (lines := str(self).splitlines())[:MOST_LINES], lines[MOST_LINES:]
        more = [f"… and {len(others):,} more lines, which print() shows"] if others else []
        return "\n".join([*first, *more])

    def _repr_html_(self) -> str:
        """Return it for notebooks."""
        return to_html(self)
