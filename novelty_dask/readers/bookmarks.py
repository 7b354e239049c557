"""Bookmarks of browsers, exported as HTML."""

from __future__ import annotations

from codecs import getincrementaldecoder
from html.parser import HTMLParser

from novelty_dask.readers.addresses import is_address
from novelty_dask.readers.documents import DocumentReader, Numbered
from novelty_dask.readers.readers import BrokenError


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

    def feed(self, part: bytes) -> int:
        """Parse the next part."""
        self._parse(self._decoder.decode(part))
        return len(self._links.rawdata)

    def close(self) -> None:
        """End the document."""
        self._parse(self._decoder.decode(b"", final=True))
        # Not by the parser, which takes a time that grows with the square of what is held.
        if "<" in self._links.rawdata:
            message = "ends in the middle of its HTML"
            raise BrokenError(message)

    def _parse(self, text: str) -> None:
        """Parse some text."""
        try:
            self._links.feed(text)
        except AssertionError:
            # The parser raises it about sections that HTML does not have.
            message = f"holds what is no HTML (line {self._links.getpos()[0]})"
            raise BrokenError(message) from None


class _Links(HTMLParser):
    """Parser of links."""

    def __init__(self, records: Numbered) -> None:
        super().__init__()
        self._records = records

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Add the address of a link."""
        address = next((value for name, value in attrs if name == "href"), None) if tag == "a" else None
        if address is None:
            return
        # Bookmarks of folders, searches and scripts are addresses of the browser itself.
        raw = address.encode("utf-8", "surrogateescape")
        if is_address(raw.lstrip()):
            self._records.add(raw)
        else:
            self._records.skip()
