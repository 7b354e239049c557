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
# What stands between marks: white space, numbers, and words such as `null`.
_GAP = re.compile(rb"[\s\w.+-]*")
_MARK = re.compile(_GAP.pattern + rb'(["{}\[\]:,])')
_TEXT = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)


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
        self._take = take
        self._way: list[bytes | None] = []
        self._record = 0
        self._found: Fields = {}
        self._text: bytes | None = None
        self._held = b""
        self._is_name = self._has_list = self._is_done = False

    def feed(self, part: bytes) -> int:
        """Parse the next part."""
        data, place = self._held + part, 0
        self._held = b""
        while place < len(data):
            place = self._pass_mark(data, place) if self._text is None else self._pass_text(data, place)
        return len(self._held)

    def close(self) -> None:
        """End the document."""
        if not self._is_done:
            message = "ends in the middle of its JSON"
            raise BrokenError(message)
        if not self._has_list:
            message = f"has no list {b'.'.join(filter(None, self._list)).decode()!r}"
            raise BrokenError(message)

    def _pass_text(self, data: bytes, place: int) -> int:
        """Pass a text, or what there is of it; return what is behind."""
        # It matches whatever is there.
        found = _TEXT.match(data, place)
        stop = found.end() if found else place
        self._text = ((self._text or b"") + data[place:stop])[:TEXT_BYTES]
        if data[stop : stop + 1] == b'"':
            self._end_text(self._text)
            self._text = None
            return stop + 1
        # A backslash at the end escapes what is not there yet.
        self._held = data[stop:]
        return len(data)

    def _end_text(self, text: bytes) -> None:
        """Take a text as the name of what follows, or as a value."""
        # Names with escapes are not those that are wanted.
        if self._is_name:
            self._way[-1] = text
        elif self._record and (names := tuple(self._way[self._record :])) in self._wanted:
            # One that is cut is too long in any case.
            value = text if len(text) >= TEXT_BYTES else _unescaped(text)
            if value is not None:
                self._found[names] = value

    def _pass_mark(self, data: bytes, place: int) -> int:
        """Pass the next mark; return what is behind."""
        found = _MARK.match(data, place)
        if not found:
            # Numbers may be long, and are not looked at.
            if _GAP.fullmatch(data, place):
                return len(data)
            raise _malformed()
        if self._is_done:
            raise _malformed()
        # A text in an object is a name where it begins and behind commas, and a value behind colons.
        mark = found[1]
        if mark == b'"':
            self._text = b""
        elif mark in b"{[":
            self._begin(is_object=mark == b"{")
        elif mark in b"}]":
            self._end(is_object=mark == b"}")
        else:
            self._is_name = mark == b"," and bool(self._way) and self._way[-1] is not None
        return found.end()

    def _begin(self, *, is_object: bool) -> None:
        """Begin a list, or an object that may be a record."""
        if len(self._way) >= DEEPEST:
            message = f"has more than {DEEPEST} lists and objects within one another"
            raise BrokenError(message)
        # Lists within a record are none of records.
        if is_object and not self._record and self._is_in_list:
            self._record, self._found = len(self._way), {}
        self._way.append(b"" if is_object else None)
        self._is_name = is_object
        self._has_list |= self._is_in_list

    def _end(self, *, is_object: bool) -> None:
        """End a list or an object."""
        if not self._way or (self._way.pop() is not None) != is_object:
            raise _malformed()
        self._is_name, self._is_done = False, not self._way
        if self._record == len(self._way) and self._record:
            self._take(self._found)
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
