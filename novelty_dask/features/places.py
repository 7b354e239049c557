"""Places in a line that its features come from, by definitions that need no compiler.

What is read of a few lines, to show it, must not wait for Numba to be imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from novelty_dask.errors import SettingsError
from novelty_dask.features import definition
from novelty_dask.features.origins import find_origins
from novelty_dask.kernels.choices import VECTORIZER

if TYPE_CHECKING:
    from novelty_dask.kernels.choices import NormalForm
    from novelty_dask.settings import ResultSettings

WHITE_SPACES = re.compile(r"\s\s+")
MASK_32 = 2**32 - 1


class Place(NamedTuple):
    """A column of a line, and the characters of the line that it comes from.

    Parameters
    ----------
    column : int
    characters : frozenset of int
        Their indices; empty for what only marks the start or the end of a part.
    is_gram : bool
        True for an n-gram, which has its characters in common with those beside it.
    """

    column: int
    characters: frozenset[int]
    is_gram: bool


FindPlaces = Callable[[str], Iterable[Place]]
"""Yields the columns of a line, each as often as it counts."""


def choose_places(settings: ResultSettings) -> FindPlaces:
    """Return what finds the places of the features of a run, in its URLs as they were written.

    Raises
    ------
    SettingsError
        They are those of a vectorizer.
    """
    find_places: FindPlaces
    if settings.features.startswith(VECTORIZER):
        message = "A vectorizer does not tell where its features are; leave out the marks."
        raise SettingsError(message)
    if settings.ngram_range is None:
        find_places = partial(find_url_places, n_features=settings.n_features)
    else:
        find_places = partial(
            find_ngram_places, ngram_range=settings.ngram_range, n_features=settings.n_features
        )
    return partial(find_original_places, form=settings.normal_form, find_places=find_places)


def find_original_places(line: str, form: NormalForm, find_places: FindPlaces) -> Iterator[Place]:
    """Yield the features of the normal form of a line, and the characters of the line itself."""
    if form == "raw":
        yield from find_places(line)
        return
    normal, origins = find_origins(line, form)
    for place in find_places(normal):
        found = chain.from_iterable(origins[index] for index in place.characters)
        yield place._replace(characters=frozenset(found))


def find_url_places(line: str, n_features: int) -> Iterator[Place]:
    """Yield the features of a URL, and the characters of their bytes."""
    characters = [index for index, char in enumerate(line) for _ in char.encode()]
    for feature in definition.features(line):
        column = definition.column(feature, n_features)
        found = chain.from_iterable(characters[start:stop] for start, stop in feature.spans)
        yield Place(column, frozenset(found), is_gram=feature.block != definition.TOKENS)


def find_ngram_places(line: str, ngram_range: tuple[int, int], n_features: int) -> Iterator[Place]:
    """Yield the n-grams of a line, and the characters that became those of the n-gram."""
    text, origins = _fold(line)
    for n in range(ngram_range[0], ngram_range[1] + 1):
        for start in range(len(text) - n + 1):
            hashed = murmurhash3(text[start : start + n].encode())
            # The absolute value of the hash as a signed number, as scikit-learn takes it.
            column = min(hashed, 2**32 - hashed) % n_features
            yield Place(column, frozenset().union(*origins[start : start + n]), is_gram=True)


def _fold(line: str) -> tuple[str, list[frozenset[int]]]:
    """Return a line as its n-grams are taken of it, and the characters that each of its own comes from.

    >>> _fold("A  b")
    ('a b', [frozenset({0}), frozenset({1, 2}), frozenset({3})])
    """
    lowered = line.lower()
    # Some letters are two in lower case.
    sources = [index for index, char in enumerate(line) for _ in char.lower()]
    ends = [match.span() for match in WHITE_SPACES.finditer(lowered)]
    inside = {index: start for start, stop in ends for index in range(start + 1, stop)}
    origins: dict[int, set[int]] = {}
    for index, source in enumerate(sources):
        origins.setdefault(inside.get(index, index), set()).add(source)
    return WHITE_SPACES.sub(" ", lowered), [frozenset(origin) for origin in origins.values()]


def murmurhash3(text: bytes) -> int:
    """Return MurmurHash3_x86_32 of some bytes, with seed 0.

    >>> murmurhash3(b"https")
    3800896210
    """
    hashed = 0
    whole = len(text) // 4 * 4
    for start in range(0, whole, 4):
        hashed ^= _mix(int.from_bytes(text[start : start + 4], "little"))
        hashed = (_rotate(hashed, 13) * 5 + 0xE6546B64) & MASK_32
    hashed ^= _mix(int.from_bytes(text[whole:], "little")) ^ len(text)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        hashed = (hashed ^ hashed >> shift) * factor & MASK_32
    return hashed ^ hashed >> 16


def _mix(word: int) -> int:
    """Return a word, ready to be combined with the words before it."""
    return _rotate(word * 0xCC9E2D51 & MASK_32, 15) * 0x1B873593 & MASK_32


def _rotate(word: int, bits: int) -> int:
    """Return a word with its bits rotated to the left."""
    return (word << bits | word >> (32 - bits)) & MASK_32
