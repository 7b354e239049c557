"""Scanner of documents of JSON, for texts of the objects in certain lists.

Only the texts that are wanted are held.  It is not checked whether all of a document is JSON.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic_core import from_json

from novelty_dask.readers.readers import BrokenError

if TYPE_CHECKING:
    from collections.abc import Callable

DEEPEST = 200
"""Most lists and objects within one another."""
TEXT_BYTES = 2**16
"""Bytes of a text that are held, enough to show that it is too long however it is escaped."""
Way = tuple[bytes | None, ...]
"""Names on the way to a value, None in a list."""
Fields = dict[Way, bytes]
"""Texts of a record, by the names on the way to them."""
# What stands between marks: white space, commas, numbers, and words such as `null`.
_GAP = re.compile(rb"[\s\w.+,-]*")
_CHARS = rb'[^"\\]*(?:\\.[^"\\]*)*'
_TEXT = re.compile(_CHARS, re.DOTALL)
# A text is a name if a colon follows, and a value if the end of it or of what holds it does.
_TOKEN = re.compile(_GAP.pattern + rb'(?:([{}\[\]])|"(' + _CHARS + rb')"\s*(:|(?=[,}\]])))', re.DOTALL)
_CLOSED = re.compile(rb'"' + _CHARS + rb'"\s*\S', re.DOTALL)


class JsonParser:
    """Parser of the objects in certain lists.

    Parameters
    ----------
    names : tuple
        The last names on the way to a list.
    wanted : tuple of tuple
        Names on the way from an object to each text that is wanted.
    take : callable
        Takes the texts of an object.
    """

    def __init__(
        self, names: tuple[bytes, ...], wanted: tuple[Way, ...], take: Callable[[Fields], None]
    ) -> None:
        self._list = [*names, None]
        self._wanted = wanted
        self._last_names = [way[-1] for way in wanted]
        self._take = take
        self._way: list[bytes | None] = []
        self._record = 0
        self._found: Fields = {}
        self._held = b""
        self._long: bytes | None = None
        self._escape = b""
        self._has_list = self._is_done = False

    def feed(self, part: bytes) -> int:
        """Parse the next part."""
        data = self._held + part if self._long is None else self._pass_long(part)
        place = self._pass_tokens(data)
        gap = _GAP.match(data, place)
        rest = data[gap.end() if gap else place :]
        if rest and (not rest.startswith(b'"') or _CLOSED.match(rest)):
            raise _malformed()
        if len(rest) > 2 * TEXT_BYTES:
            self._long = b""
            rest = self._pass_long(rest[1:])
        self._held = rest
        return len(rest)

    def close(self) -> None:
        """End the document."""
        if not self._is_done:
            message = "ends in the middle of its JSON"
            raise BrokenError(message)
        if not self._has_list:
            message = f"has no list {b'.'.join(filter(None, self._list)).decode()!r}"
            raise BrokenError(message)

    def _pass_long(self, data: bytes) -> bytes:
        """Pass a long text, or what there is of it; return its beginning in quotes, and what is behind."""
        data = self._escape + data
        # It matches whatever is there.
        found = _TEXT.match(data)
        stop = found.end() if found else 0
        self._long = ((self._long or b"") + data[:stop])[:TEXT_BYTES]
        if data[stop : stop + 1] != b'"':
            # A backslash at the end escapes what is not there yet.
            self._escape = data[stop:]
            return b""
        # It is too long for anything, and must not end within an escape.
        text, self._long, self._escape = self._long.replace(b"\\", b"/"), None, b""
        return b'"%b"%b' % (text, data[stop + 1 :])

    def _pass_tokens(self, data: bytes) -> int:
        """Pass the marks and texts that are whole; return what is behind."""
        place = 0
        while found := _TOKEN.match(data, place):
            mark, text, colon = found.groups()
            if mark:
                self._pass_mark(mark)
            elif colon:
                if not self._way or self._way[-1] is None:
                    raise _malformed()
                self._way[-1] = text
            elif self._record and self._way[-1] in self._last_names:
                self._keep(text)
            place = found.end()
        return place

    def _keep(self, text: bytes) -> None:
        """Keep a text of a record if it is wanted."""
        names = tuple(self._way[self._record :])
        if names in self._wanted:
            self._found[names] = text

    def _pass_mark(self, mark: bytes) -> None:
        """Begin or end a list or an object."""
        if self._is_done:
            raise _malformed()
        if mark in b"{[":
            self._begin(is_object=mark == b"{")
        else:
            self._end(is_object=mark == b"}")

    def _begin(self, *, is_object: bool) -> None:
        """Begin a list, or an object that may be a record."""
        if len(self._way) >= DEEPEST:
            message = f"has more than {DEEPEST} lists and objects within one another"
            raise BrokenError(message)
        # Lists within a record are none of records.
        if is_object and not self._record and self._is_in_list:
            self._record, self._found = len(self._way), {}
        self._way.append(b"" if is_object else None)
        # Once is enough, as it takes a while.
        self._has_list = self._has_list or (not is_object and self._is_in_list)

    def _end(self, *, is_object: bool) -> None:
        """End a list or an object."""
        if not self._way or (self._way.pop() is not None) != is_object:
            raise _malformed()
        self._is_done = not self._way
        if self._record == len(self._way) and self._record:
            self._take({names: value for names, text in self._found.items() if (value := _unescaped(text))})
            self._record = 0

    @property
    def _is_in_list(self) -> bool:
        """True directly in a list of records."""
        return self._way[-len(self._list) :] == self._list


def _unescaped(text: bytes) -> bytes | None:
    """Return a text without its escapes, None if one of them is none."""
    if b"\\" not in text:
        return text
    try:
        value: str = from_json(b'"%b"' % text)
    except ValueError:
        return None
    return value.encode()


def _malformed() -> BrokenError:
    """Return the error of what is no JSON."""
    return BrokenError("is no well-formed JSON")
