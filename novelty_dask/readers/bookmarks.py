"""Bookmarks of browsers, exported as HTML."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from html import unescape
from html.parser import HTMLParser

from novelty_dask.readers.addresses import is_address
from novelty_dask.readers.documents import DocumentReader, Numbered
from novelty_dask.readers.readers import BrokenError

_DOUBLE = r"[^\"&]*+(?:&(?:amp|lt|gt|quot|#39);[^\"&]*+)*+"
_SINGLE = "[^'&]*+"
_ATTRIBUTES = rf"""(?:\s++(?!href\b)[a-z_-]++=(?:"{_DOUBLE}"|'{_SINGLE}'))*+"""
_HREF = rf"""\s++href=(?:"(?P<double>{_DOUBLE})"|'(?P<single>{_SINGLE})')"""
# Tags as browsers write them, with the text behind each; all others are left to the parser, which is slow.
_TAG = re.compile(
    rf"<(?:/?(?:dt|dl|dd|p|h[1-6]|hr)(?=[\s>]){_ATTRIBUTES}"
    rf"|/a|a(?=\s){_ATTRIBUTES}(?:{_HREF}{_ATTRIBUTES})?+)\s*+>[^<]*+",
    re.IGNORECASE | re.ASCII,
)


class BookmarksReader(DocumentReader):
    """Reader of the links of bookmarks; those without a host, such as ``javascript:``, are skipped."""

    longest_bytes = 2**18

    def start(self, records: Numbered) -> BookmarksParser:
        """Return the parser of bookmarks."""
        return BookmarksParser(records)


class BookmarksParser:
    """Parser of bookmarks.

    Parameters
    ----------
    records : Numbered
        Where the links are added.
    """

    def __init__(self, records: Numbered) -> None:
        self._links = _Links(records)
        # What is no UTF-8 comes back as it was, and is rejected as such.
        self._decoder = getincrementaldecoder("utf-8")("surrogateescape")
        self._held = ""
        self._n_newlines = 0

    def feed(self, part: bytes) -> int:
        """Parse the next part."""
        text = self._held + self._decoder.decode(part)
        rest = self._pass_tags(text)
        if self._links.is_idle:
            # Nothing, or a tag whose end is not there yet.
            self._held = rest
        else:
            self._parse(rest)
            self._held = ""
        return len(self._held) + len(self._links.rawdata)

    def close(self) -> None:
        """End the document."""
        self._parse(self._held + self._decoder.decode(b"", final=True))
        # Not by the parser, which takes a time that grows with the square of what is held.
        if "<" in self._links.rawdata:
            message = "ends in the middle of its HTML"
            raise BrokenError(message)

    def _pass_tags(self, text: str) -> str:
        """Pass whole tags; return what is behind."""
        place = 0
        while True:
            if self._links.is_idle:
                start, place = place, self._pass_usual(text, place)
                self._n_newlines += text.count("\n", start, place)
            # Tag by tag, so that the next usual one is found; all at once where the parser waits for an end.
            stop = (text.find if self._links.is_idle else text.rfind)(">", place) + 1
            if not stop:
                return text[place:]
            was_idle = self._links.is_idle
            self._parse(text[place:stop])
            place = stop
            if not (was_idle or self._links.is_idle):
                return text[place:]

    def _pass_usual(self, text: str, place: int) -> int:
        """Pass text and tags as browsers write them, add their links, and return where another tag is."""
        place = text.find("<", place)
        if place < 0:
            return len(text)
        while found := _TAG.match(text, place):
            place = found.end()
            if found["double"] is not None:
                self._links.add(unescape(found["double"]))
            elif found["single"] is not None:
                self._links.add(found["single"])
        return place

    def _parse(self, text: str) -> None:
        """Parse some text."""
        try:
            self._links.feed(text)
        except AssertionError:
            # The parser raises it about sections that HTML does not have.
            message = f"holds what is no HTML (line {self._n_newlines + self._links.getpos()[0]})"
            raise BrokenError(message) from None


class _Links(HTMLParser):
    """Parser of links."""

    def __init__(self, records: Numbered) -> None:
        super().__init__()
        self._records = records

    @property
    def is_idle(self) -> bool:
        """True if it waits for no end of anything."""
        return not self.rawdata and self.cdata_elem is None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Add the address of a link."""
        address = next((value for name, value in attrs if name == "href"), None) if tag == "a" else None
        if address is not None:
            self.add(address)

    def add(self, address: str) -> None:
        """Add an address."""
        # Bookmarks of folders, searches and scripts are addresses of the browser itself.
        raw = address.encode("utf-8", "surrogateescape")
        if is_address(raw.lstrip()):
            self._records.add(raw)
        else:
            self._records.skip()
