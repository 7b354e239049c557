"""Sitemaps, and indexes of sitemaps."""

from __future__ import annotations

from typing import Any, NoReturn
from xml.parsers import expat

from novelty_dask.readers.documents import DocumentReader, Numbered
from novelty_dask.readers.readers import BrokenError

ROOTS = ("urlset", "sitemapindex")
RECORDS = ("url", "sitemap")
LOCATION_CHARS = 2**14
"""Characters of a location that are held: enough to show that it is too long."""
DEEPEST = 100
"""Most elements within one another; the parser holds the names of all."""


class SitemapReader(DocumentReader):
    """Reader of the locations in sitemaps; nothing else is opened, and no entity expanded."""

    def start(self, records: Numbered) -> SitemapParser:
        """Return the parser of a sitemap."""
        return SitemapParser(records)


class SitemapParser:
    """Parser of a sitemap.

    Parameters
    ----------
    records : Numbered
        Where the locations are added.
    """

    def __init__(self, records: Numbered) -> None:
        self._records = records
        self._names: list[str] = []
        self._location: str | None = None
        self._n_fed = 0
        # Names keep their prefixes: some sitemaps don't say what these stand for.
        self._parser = expat.ParserCreate()
        # Otherwise the parser calls once for each line and each entity of a text.
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._add_text
        self._parser.EntityDeclHandler = _refuse_entity

    def feed(self, part: bytes) -> int:
        """Parse the next part."""
        self._n_fed += len(part)
        try:
            self._parser.Parse(part, False)  # noqa: FBT003 - takes no keywords
        except (expat.ExpatError, LookupError, ValueError) as error:
            # Encodings that are not known, or no encodings of text, are errors of other kinds.
            said = expat.ErrorString(error.code) if isinstance(error, expat.ExpatError) else str(error)
            message = f"is no well-formed XML (line {self._parser.CurrentLineNumber}: {said})"
            raise BrokenError(message) from None
        return self._n_fed - self._parser.CurrentByteIndex

    def close(self) -> None:
        """End the document."""
        try:
            self._parser.Parse(b"", True)  # noqa: FBT003 - takes no keywords
        except expat.ExpatError:
            message = "ends in the middle of its XML"
            raise BrokenError(message) from None

    def _start(self, name: str, _attributes: Any) -> None:
        """Begin an element."""
        local = name.rpartition(":")[2]
        if not self._names and local not in ROOTS:
            message = f"is XML, but no sitemap: its root is {name[:80]!r}"
            raise BrokenError(message)
        if len(self._names) >= DEEPEST:
            message = f"has more than {DEEPEST} elements of XML within one another"
            raise BrokenError(message)
        self._names.append(local)
        if self._is_at_record:
            self._location = None
        elif self._is_at_location:
            self._location = ""

    def _add_text(self, text: str) -> None:
        """Add to the text of a location."""
        if self._is_at_location and self._location is not None:
            self._location = (self._location + text)[:LOCATION_CHARS]

    def _end(self, _name: str) -> None:
        """End an element."""
        if self._is_at_record:
            self._records.add(None if self._location is None else self._location.encode())
        self._names.pop()

    @property
    def _is_at_record(self) -> bool:
        """True in an element that is a record."""
        return len(self._names) == 2 and self._names[1] in RECORDS

    @property
    def _is_at_location(self) -> bool:
        """True in the location of a record; those of its images are deeper."""
        return len(self._names) == 3 and self._names[2] == "loc" and self._names[1] in RECORDS


def _refuse_entity(*_declaration: Any) -> NoReturn:
    """Refuse a document that declares an entity: its expansion may fill the memory, or be another file."""
    message = "declares entities of XML, which are not expanded"
    raise BrokenError(message)
