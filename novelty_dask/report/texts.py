"""URLs as a page shows them: harmless, with marks, and without their middle where they are long."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from novelty_dask.errors import escape
from novelty_dask.kernels.text.secrets import hide
from novelty_dask.kernels.text.wrapped import defang

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from novelty_dask.features.marks import Marks

LONGEST, LONGEST_BESIDE = 2_000, 400
"""Characters of a row that are shown, and of a URL beside it."""
KINDS = {"mark": Markup("<mark>{}</mark>"), "plain": Markup("{}")}
LINK = re.compile(r"https?://[^\s/][^\s]*", re.IGNORECASE)


class Texts(NamedTuple):
    """Way in which a page shows URLs.

    Parameters
    ----------
    links : bool
        True to make links of URLs with http and https.
    redact : bool
        True to show ``…`` for secrets.
    names : dict of str to str
        Short names of the sources by their paths.
    """

    links: bool = False
    redact: bool = False
    names: Mapping[str, str] = {}

    def show(self, text: str, parts: Marks = (), limit: int = LONGEST_BESIDE) -> Markup:
        """Return a URL as HTML, in which nothing of it is markup.

        >>> Texts().show("http://a.example/<b>", [(17, 18)])
        Markup('<bdi>http[://]a[.]example/<mark>&lt;</mark>b&gt;</bdi>')
        """
        shown, parts = hide(text, parts) if self.redact else (text, parts)
        is_link = self.links and shown == text and text.isprintable() and LINK.fullmatch(text)
        chars = [*shown] if is_link else defang(shown)
        pieces = []
        for start, stop, kind in _segments(len(chars), parts, limit):
            if kind == "gap":
                pieces.append(Markup("<i> … {:,} characters … </i>").format(stop - start))
                continue
            piece = "".join(map(escape, chars[start:stop]))
            pieces.append(KINDS[kind].format(piece))
        inside = Markup("").join(pieces)
        if not is_link:
            return Markup("<bdi>{}</bdi>").format(inside)
        attributes = Markup('rel="noopener noreferrer nofollow" referrerpolicy="no-referrer" target="_blank"')
        return Markup('<bdi><a href="{}" {}>{}</a></bdi>').format(text, attributes, inside)

    def shorten(self, path: str) -> str:
        """Return the path of a source, a run or a reference without the folders of this machine.

        >>> [Texts().shorten(path) for path in ("/home/ann/run.zarr", "s3://bucket/run.zarr")]
        ['run.zarr', 's3://bucket/run.zarr']
        """
        short = path.rstrip("/").rpartition("/")[2] if path.startswith("/") else path
        return self.names.get(path, short)

    def path(self, path: str) -> str:
        """Return the same as text that nobody makes a link of."""
        return self.name(self.shorten(path))

    def name(self, text: str) -> str:
        """Return the name of a file or a reason as text that nobody makes a link of."""
        return escape(hide(text, ())[0] if self.redact else text)


def shorten_all(paths: Iterable[str]) -> dict[str, str]:
    """Return the shortest ends of local paths that tell them apart.

    >>> sorted(shorten_all(["/home/ann/may/a.txt", "/home/ann/june/a.txt", "/home/ann/b.txt"]).values())
    ['b.txt', 'june/a.txt', 'may/a.txt']
    """
    found: dict[str, str] = {}
    left, n_parts = {path for path in paths if path.startswith("/")}, 1
    while left:
        ends = {path: "/".join(path.split("/")[-n_parts:]) for path in left}
        counts = Counter(ends.values())
        found |= {path: end for path, end in ends.items() if counts[end] == 1}
        left -= found.keys()
        n_parts += 1
    return found


def _segments(length: int, parts: Marks, limit: int) -> Iterator[tuple[int, int, str]]:
    """Yield start and end of each piece of a text, and whether it is marked, plain, or left out."""
    head, tail = (limit * 3 // 4, length - limit // 4) if length > limit else (length, length)
    starts = [start for start, _ in parts]
    for start, stop in pairwise(sorted({0, length, head, tail, *(end for part in parts for end in part)})):
        if head <= start < tail:
            if start == head:
                yield head, tail, "gap"
            continue
        number = bisect_right(starts, start) - 1
        yield start, stop, "mark" if number >= 0 and start < parts[number][1] else "plain"
