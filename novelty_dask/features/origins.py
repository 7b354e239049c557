"""Characters of a URL that each character of its normal form comes from.

Marks are found in the form, by which lines are compared, and shown in the URL, as it was written.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from novelty_dask.kernels.text.tracking import LOWER
from novelty_dask.kernels.text.urls import normalize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from novelty_dask.kernels.choices import NormalForm

LONGEST_ALIGNED = 500
"""Characters of the longest text that is aligned as a whole: the time grows with the square of them."""


def find_origins(url: str, form: NormalForm) -> tuple[str, list[range]]:
    """Return the normal form of a URL, and for each character of it those of the URL that it comes from.

    A character that was put in, such as a scheme, comes from the nearest one.

    Parameters
    ----------
    url : str
        Any text that has the form.
    form : {"raw", "web", "page", "template"}

    Returns
    -------
    normal : str
    origins : list of range
        Indices in the URL, none of them empty; one for each character of the form.

    Examples
    --------
    >>> url = "https://www.a.example/?c=%64&utm_source=x&b=1"
    >>> normal, origins = find_origins(url, "page")
    >>> normal
    'a.example?b=1&c=d'
    >>> "".join(url[places.start : places.stop] for places in origins)
    'a.example?b=1?c=%64'
    """
    normal = normalize(url, form)
    assert normal is not None
    # Queries part by part, as they are sorted in the form; all else is in the order in which it was written.
    head, query, pairs, rest = _cut_query(normal)
    of_head, of_query, of_pairs, of_rest = _cut_query(url)
    if form in ("raw", "web") or not (query and of_query):
        return normal, [*_align(normal, url, 0)]
    origins = [*_align(head, of_head, 0), range(len(of_head), len(of_head) + 1)]
    origins += _align_pairs(pairs, of_pairs, len(of_head) + 1, form)
    origins += _align(rest, of_rest, len(url) - len(of_rest)) if rest else ()
    return normal, origins


def _cut_query(url: str) -> tuple[str, str, str, str]:
    """Return what stands before the query, the question mark, the query, and the fragment with its hash.

    >>> _cut_query("a.example/x?b=1#/route?")
    ('a.example/x', '?', 'b=1', '#/route?')
    """
    start, hash_, fragment = url.partition("#")
    return *start.partition("?"), hash_ + fragment


def _align_pairs(pairs: str, of_pairs: str, start: int, form: NormalForm) -> Iterator[range]:
    """Yield the origins of the parts of a query, which has been sorted since, and of what joins them."""
    known: dict[str, list[tuple[int, str]]] = {}
    where = start
    for part in of_pairs.split("&"):
        known.setdefault(normalize(f"a.example?{part}", form) or "", []).append((where, part))
        where += len(part) + 1
    for number, pair in enumerate(pairs.split("&")):
        found = known.get(f"a.example?{pair}", ())
        # Of equal ones each has a place of its own; what was not found may come from anywhere in the query.
        place, part = (found.pop(0) if len(found) > 1 else found[0]) if found else (start, of_pairs)
        if number:
            # What stood before the pair where it was written: an ampersand, or the question mark.
            yield range(place - 1, place)
        yield from _align(pair, part, place)


def _align(text: str, source: str, start: int) -> Iterator[range]:
    """Yield the origins of the characters of a text in a source, which starts at a place of its own."""
    # Letters whose case was changed are the same; those of ASCII alone are, so that lengths stay.
    one, other = text.translate(LOWER), source.translate(LOWER)
    # Most of a form stands in its URL as it is, so that little is left to be matched.
    n_end = _count_equal(one[::-1], other[::-1])
    n_head = _count_equal(one[: len(one) - n_end], other[: len(other) - n_end])
    stop, of_stop = len(one) - n_end, len(other) - n_end
    for begin, end, of_begin, of_end in (
        (0, n_head, 0, n_head),
        *_match(one[n_head:stop], other[n_head:of_stop], n_head),
        (stop, len(one), of_stop, len(other)),
    ):
        for index in range(end - begin):
            # What became another text comes from all that it was; what was put in, from what is beside it.
            is_same = end - begin == of_end - of_begin
            first = of_begin + index if is_same else min(of_begin, len(source) - 1)
            last = first + 1 if is_same else max(of_end, first + 1)
            yield range(start + first, start + last)


def _match(one: str, other: str, n_before: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield parts of a text, and the parts of another that they are or were, as starts and ends."""
    if max(len(one), len(other)) > LONGEST_ALIGNED:
        yield n_before, n_before + len(one), n_before, n_before + len(other)
    else:
        # With autojunk, characters that come often in a text of 200 or more would match nothing.
        for _, *places in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
            begin, end, of_begin, of_end = (place + n_before for place in places)
            yield begin, end, of_begin, of_end


def _count_equal(one: str, other: str) -> int:
    """Return how many characters two texts have in common at their start.

    >>> _count_equal("a.example", "a.test")
    2
    """
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))
