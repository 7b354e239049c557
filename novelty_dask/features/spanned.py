"""Texts that know where in a line they come from."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterator


class Spanned(NamedTuple):
    """A text whose characters know the bytes of the line that they come from.

    Parameters
    ----------
    text : str
        A byte is the character of its number; placeholders of random tokens are characters above them.
    spans : tuple of (int, int)
        For each character, the first byte and the one behind the last.
    """

    text: str
    spans: tuple[tuple[int, int], ...]

    def __add__(self, other: Spanned) -> Spanned:  # type: ignore[override]
        """Return two texts, one after the other."""
        return Spanned(self.text + other.text, self.spans + other.spans)

    def part(self, start: int, stop: int | None = None) -> Spanned:
        """Return a part of the text."""
        return Spanned(self.text[start:stop], self.spans[start:stop])

    def replace(self, pattern: re.Pattern[str], make: Callable[[str], str]) -> Spanned:
        """Return the text with each match replaced by the character made of it, unless that is the match."""
        result, end = Spanned("", ()), 0
        for match in pattern.finditer(self.text):
            made = make(match[0])
            if made != match[0]:
                start, stop = match.span()
                span = (self.spans[start][0], self.spans[stop - 1][1])
                result += self.part(end, start) + Spanned(made, (span,))
                end = stop
        return result + self.part(end)

    def translate(self, table: dict[int, int]) -> Spanned:
        """Return the text with characters replaced one by one."""
        return Spanned(self.text.translate(table), self.spans)

    def split(self, mark: str) -> Iterator[Spanned]:
        """Yield the parts between marks."""
        places = [-1, *(place for place, char in enumerate(self.text) if char == mark), len(self.text)]
        for before, after in pairwise(places):
            yield self.part(before + 1, after)

    def partition(self, mark: str) -> tuple[Spanned, Spanned, Spanned]:
        """Return the part before the first mark, the mark, and the part behind it; both empty without one."""
        place = self.text.find(mark)
        place = len(self.text) if place < 0 else place
        return self.part(0, place), self.part(place, place + 1), self.part(place + 1)
