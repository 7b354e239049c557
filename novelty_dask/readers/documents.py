"""Formats that are one document, which a parser reads in parts from its beginning to its end."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Protocol

from novelty_dask.readers.readers import BrokenError, StreamReader
from novelty_dask.readers.records import Gathered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from novelty_dask.kernels.text.lines import LineBatch

PART_BYTES = 2**16
"""Bytes parsed at once, however chunks were cut: what a parser makes of damage may depend on it."""
BOM = b"\xef\xbb\xbf"


class Parser(Protocol):
    """What finds records in a document; BrokenError says what is wrong with it."""

    def feed(self, part: bytes) -> int:
        """Parse the next part; return how many bytes are held as their end is not known."""
        ...

    def close(self) -> None:
        """Parse what is held, as nothing follows."""
        ...


class Numbered:
    """Records of a document, which are numbered in their order."""

    def __init__(self) -> None:
        self._gathered = Gathered()
        self._number = 0

    def add(self, raw: bytes | None) -> None:
        """Add the next record by its text, None if it has none."""
        self._gathered.add(self._number, raw)
        self._number += 1

    def skip(self) -> None:
        """Pass over the next record."""
        self._number += 1

    @property
    def is_new(self) -> bool:
        """True if there are records that are in no batch yet."""
        return self._number > self._gathered.end

    def pop(self) -> LineBatch:
        """Return the new records as a batch."""
        return self._gathered.pop(self._number)


class DocumentReader(StreamReader):
    """Reader of the records of one document; positions are their numbers."""

    longest_bytes = 2**20
    """Most bytes of what is parsed as one, such as a tag with its attributes."""

    @abstractmethod
    def start(self, records: Numbered) -> Parser:
        """Return the parser of a document, which adds to some records."""

    def scan(self, name: str, chunks: Iterator[bytes], *, is_start: bool) -> Iterator[LineBatch]:
        """Yield the records of a document."""
        records = Numbered()
        parser = self.start(records)
        try:
            for part in _even(chunks):
                if parser.feed(part) > self.longest_bytes:
                    message = f"holds a text of more than {self.longest_bytes >> 10:,} KiB in one piece"
                    raise BrokenError(message)
                if records.is_new:
                    yield records.pop()
            parser.close()
        except BrokenError as error:
            # What was read before counts where a part of the source is looked at.
            yield records.pop()
            raise error.of(name, "get it again, or write its URLs as text, one a line") from None
        yield records.pop()


def _even(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield bytes in parts of one size, without what may stand before a document."""
    held, is_first = b"", True
    for chunk in chunks:
        held += chunk
        while len(held) >= PART_BYTES:
            part, held = held[:PART_BYTES], held[PART_BYTES:]
            yield part.removeprefix(BOM).lstrip() if is_first else part
            is_first = False
    yield held.removeprefix(BOM).lstrip() if is_first else held
