"""Indexes of web archives: CDX, whose lines are fields, and CDXJ, whose lines end in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pydantic_core import from_json

from novelty_dask.kernels.text.lines import Reason
from novelty_dask.readers.readers import BrokenError
from novelty_dask.readers.record_lines import RecordLines

if TYPE_CHECKING:
    from novelty_dask.readers.record_lines import Take

URL_FIELD = b"a"
"""Letter by which a header names the field of the URL as it was requested."""


class Layout(NamedTuple):
    """Layout of a file: what stands between the fields of a line, and the place of the URL among them."""

    delimiter: bytes
    place: int


USUAL = Layout(b" ", 2)
"""Layout of lines without a header, whether they have 7, 9 or 11 fields: the URL is behind key and date."""


class CdxReader(RecordLines):
    """Reader of the URLs of CDX indexes.

    The first line may be a header, such as `` CDX N b a m s k r M S V g``: a delimiter, and letters that name
    the fields.  It may be repeated, as in files that were joined, and is no record.
    """

    def learn(self, beginning: bytes) -> Take:
        """Return how a line is read, by the header."""
        first = beginning.split(b"\n", 1)[0].rstrip(b"\r")
        layout = _read_header(first) if _is_header(first) else USUAL

        def take(raw: bytes) -> bytes | Reason | None:
            # Again where files were joined: the same is no record, and another would need another layout.
            if _is_header(raw):
                if _read_header(raw) == layout:
                    return None
                message = "was joined from CDX indexes with other fields; score them as two sources"
                raise BrokenError(message)
            fields = raw.split(layout.delimiter, layout.place + 1)
            # The date before the URL is what tells a line from others.
            if len(fields) <= layout.place or (layout == USUAL and not fields[1].isdigit()):
                return Reason.MALFORMED
            url = fields[layout.place]
            return Reason.MISSING if url == b"-" else url

        return take


class CdxjReader(RecordLines):
    """Reader of the URLs of CDXJ indexes: key, date, and an object of JSON; lines with ``!`` are headers."""

    def learn(self, beginning: bytes) -> Take:
        """Return how a line is read."""
        return _take_json


def _is_header(line: bytes) -> bool:
    """Return whether a line is the header of a CDX index."""
    # The delimiter is what comes first, mostly a space.
    return line[1:4] == b"CDX" and line[4:5] == line[:1] and not line[:1].isalnum()


def _read_header(header: bytes) -> Layout:
    """Return the layout that a header tells; BrokenError if there is no URL in it."""
    delimiter = header[:1]
    letters = header.split(delimiter)[2:]
    if URL_FIELD not in letters:
        message = "holds no URLs: a CDX index names their field 'a' in its header"
        raise BrokenError(message)
    return Layout(delimiter, letters.index(URL_FIELD))


def _take_json(raw: bytes) -> bytes | Reason | None:
    """Return the URL of a line of CDXJ."""
    # Headers, which say the version of the format.
    if raw.startswith(b"!"):
        return None
    fields = raw.split(b" ", 2)
    try:
        value = from_json(fields[-1]) if len(fields) > 2 else None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        return Reason.MALFORMED
    # A lone surrogate, which JSON can name, is no text: its bytes are rejected as such.
    url = value.get("url")
    return url.encode("utf-8", "surrogatepass") if isinstance(url, str) else Reason.MISSING
