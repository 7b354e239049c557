"""Web archives: WARC, and WAT and WET, which are made of it.

Headers are read here, and payloads passed by their length.  Libraries for WARC read the payloads too, stop
without a word where a file is cut, and keep headers of any length.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from novelty_dask.errors import InputError
from novelty_dask.readers.addresses import is_address
from novelty_dask.readers.readers import BrokenError, StreamReader
from novelty_dask.readers.records import Gathered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from novelty_dask.kernels.text.lines import LineBatch

HEADER_BYTES = 2**20
"""Longest header of a record."""
LENGTH_DIGITS = 18
"""Most digits of the length of a payload."""
MARK = b"WARC/"
TYPE, TARGET, LENGTH = b"\nwarc-type:", b"\nwarc-target-uri:", b"\ncontent-length:"
"""What is before the fields of a header that are read."""
CAPTURES = {"warc": (b"response", b"resource", b"revisit", b"conversion"), "wat": (b"metadata",)}
"""Types of the records that stand for a capture, by format."""
_START = re.compile(rb"[^\r\n]")


class WarcReader(StreamReader):
    """Reader of the URLs of captures.

    Every record has a number, which is its position.  Others than captures are skipped, and so are captures
    of what is no address of the web, such as ``dns:``.

    Parameters
    ----------
    form : {"warc", "wat"}
        Format, which says what records are captures.
    """

    def __init__(self, form: str) -> None:
        self._form = form
        self._types = CAPTURES[form]

    def check(self, name: str, beginning: bytes) -> None:
        """Refuse a source that does not begin like one of the format; payloads may be binary."""
        if beginning and not beginning.startswith(MARK):
            message = f"{name} is not in the format {self._form!r}; name its own as --input-format."
            raise InputError(message)

    def scan(self, name: str, chunks: Iterator[bytes], *, is_start: bool) -> Iterator[LineBatch]:
        """Yield the records of a source."""
        stream, gathered, number, n_chunks = _Stream(chunks), Gathered(), 0, 1
        try:
            while header := stream.take_header():
                stream.skip(header.content_length)
                self._take(number, header, gathered)
                number += 1
                # Whenever more was read, so that what is known of a part is known before its end.
                if stream.n_chunks > n_chunks:
                    n_chunks = stream.n_chunks
                    yield gathered.pop(number)
        except BrokenError as error:
            yield gathered.pop(number)
            raise error.of(
                name, f"it is the record {number:,} from 0: get the file again, or cut it there"
            ) from None
        yield gathered.pop(number)

    def _take(self, number: int, header: _Header, gathered: Gathered) -> None:
        """Add the URL of a capture."""
        if header.field(TYPE).lower() in self._types:
            # Some programs wrote it in angle brackets, as the grammar of the first version has it.
            url = header.field(TARGET).strip(b"<>")
            if is_address(url):
                gathered.add(number, url)


class _Header:
    """Header of a record.

    Parameters
    ----------
    lines : bytes
        The version, and a field a line.
    """

    def __init__(self, lines: bytes) -> None:
        self._lines = lines
        self._lowered = lines.lower()

    def field(self, mark: bytes) -> bytes:
        """Return the value of a field by what is before it in small letters, nothing if it is not there."""
        # Without patterns, which take longer than all else.
        start = self._lowered.find(mark)
        if start < 0:
            return b""
        stop = self._lines.find(b"\n", start + 1)
        return self._lines[start + len(mark) : stop if stop > 0 else None].strip()

    @property
    def content_length(self) -> int:
        """Bytes of the payload."""
        digits = self.field(LENGTH)
        if digits.isdigit() and len(digits) <= LENGTH_DIGITS:
            return int(digits)
        message = "has a record without its length"
        raise BrokenError(message)


class _Stream:
    """Bytes of chunks, from which headers are taken, and payloads passed.

    Parameters
    ----------
    chunks : iterator of bytes

    Attributes
    ----------
    n_chunks : int
        Chunks that were read so far.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = b""
        self._place = 0
        self.n_chunks = 0

    def take_header(self) -> _Header | None:
        """Return the header of the next record, None at the end."""
        # Two newlines follow each record; some programs write more, or fewer.
        while not (start := _START.search(self._held, self._place)):
            self._place = len(self._held)
            if not self._read_on():
                return None
        self._place = start.start()
        n_searched = 0
        while not (ends := self._find_end(self._place + n_searched)):
            self._check_header(len(self._held))
            # The end itself may be cut.
            n_searched = max(len(self._held) - self._place - 3, 0)
            if not self._read_on():
                raise _cut()
        stop, behind = ends
        header = _Header(self._held[self._place : stop])
        self._check_header(stop)
        self._place = behind
        return header

    def skip(self, n_bytes: int) -> None:
        """Pass some bytes."""
        self._place += n_bytes
        while self._place > len(self._held):
            if not self._read_on():
                raise _cut()

    def _find_end(self, start: int) -> tuple[int, int] | None:
        """Return where a header ends, and what is behind it, None if its end is not held."""
        # Some programs write LF alone.
        found = self._held.find(b"\n\r\n", start)
        other = self._held.find(b"\n\n", start, found if found > 0 else None)
        if other > 0:
            return other, other + 2
        return (found, found + 3) if found > 0 else None

    def _read_on(self) -> bool:
        """Hold the next chunk behind what is not yet passed; return whether there is one."""
        chunk = next(self._chunks, b"")
        self._place, self._held = max(self._place - len(self._held), 0), self._held[self._place :] + chunk
        self.n_chunks += bool(chunk)
        return bool(chunk)

    def _check_header(self, stop: int) -> None:
        """Refuse what does not begin like a record, and a header that is too long."""
        if not MARK.startswith(self._held[self._place : self._place + len(MARK)]):
            message = "holds something else than a record of a web archive"
            raise BrokenError(message)
        if stop - self._place > HEADER_BYTES:
            message = "has a record with a header of more than 1 MiB"
            raise BrokenError(message)


def _cut() -> BrokenError:
    """Return the error of a source that ends too early."""
    return BrokenError("ends in the middle of a record")
