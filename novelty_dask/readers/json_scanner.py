"""Scanner of documents of JSON, for texts of the objects in certain lists.

Only the texts that are wanted are held.  It is not checked whether all of a document is JSON.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from pydantic_core import from_json

from novelty_dask.readers.readers import BrokenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DEEPEST = 200
"""Most lists and objects within one another."""
TEXT_BYTES = 2**16
"""Bytes of a text that are held, enough to show that it is too long however it is escaped."""
Way = tuple[bytes | None, ...]
"""Names on the way to a value, None in a list."""
Fields = dict[Way, bytes]
"""Texts of a record, by the names on the way to them."""
# Repetitions are possessive: no match goes back over what it has passed, whatever the document.

# What stands between marks: white space, commas, numbers, and words such as `null`.
_GAP = re.compile(rb"[\s\w.+,-]*+")
_CHARS = rb'[^"\\]*+(?:\\.[^"\\]*+)*+'
_TEXT = re.compile(_CHARS, re.DOTALL)
# A text is a name if a colon follows, and a value if the end of it or of what holds it does.
_VALUE = rb'"(' + _CHARS + rb')"\s*+(?=[,}\]])'
_PARTS = {b"gap": _GAP.pattern, b"chars": _CHARS, b"value": _VALUE}
# A name with the value behind it, if that is whole or begins a list or an object; or one of these alone.
_TOKEN = re.compile(
    rb'%(gap)b(?:"(%(chars)b)"\s*+:(?:%(gap)b(?:([{\[])|%(value)b))?+|([{}\[\]])|%(value)b)' % _PARTS,
    re.DOTALL,
)
_CLOSED = re.compile(rb'"' + _CHARS + rb'"\s*\S', re.DOTALL)
# The pattern of a record has 4 KB, and each further level doubles it.
LEVELS = 5
"""Lists and objects within one another in a record that is passed at once."""


def _whole(levels: int) -> bytes:
    """Return a pattern of a list or an object of some levels, with the same marks and texts as tokens."""
    if not levels:
        return rb"(?!)"
    parts = _PARTS | {b"inner": _whole(levels - 1), b"object": _object((), levels)[0]}
    texts = rb'"%(chars)b"\s*+(?=[,}\]])'
    return rb"(?:%(object)b|\[(?:%(gap)b(?:" % parts + texts % parts + rb"|%(inner)b))*+%(gap)b\])" % parts


def _object(wanted: tuple[Way, ...], levels: int) -> tuple[bytes, list[Way]]:
    """Return a pattern of an object of some levels, and the ways to the texts that its groups are."""
    places: list[bytes] = []
    ways: list[Way] = []
    for name in dict.fromkeys(way[0] for way in wanted):
        parts = _PARTS | {b"name": re.escape(name or b"")}
        below = tuple(way[1:] for way in wanted if way[0] == name and len(way) > 1)
        if (name,) in wanted:
            places.append(rb'"%(name)b"\s*+:%(gap)b%(value)b|' % parts)
            ways.append((name,))
        if below:
            inner, ends = _object(below, levels - 1)
            places.append(rb'"%(name)b"\s*+:%(gap)b' % parts + inner + b"|")
            ways += [(name, *end) for end in ends]
    parts = _PARTS | {b"places": b"".join(places), b"inner": _whole(levels - 1)}
    texts = rb'"%(chars)b"\s*+(?::|(?=[,}\]]))' % parts
    return rb"\{(?:%(gap)b(?:%(places)b" % parts + texts + rb"|%(inner)b))*+%(gap)b\}" % parts, ways


@lru_cache
def _record(wanted: tuple[Way, ...]) -> tuple[re.Pattern[bytes], list[Way]]:
    """Return what matches the next whole record, and the ways to the texts that its groups are."""
    # Of a group that occurs more than once the last is found, as by tokens.
    pattern, ways = _object(wanted, LEVELS)
    return re.compile(_GAP.pattern + pattern, re.DOTALL), ways


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
        whole, self._ways = _record(wanted)
        self._match_record = whole.match
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
        # It is matched anew with each part: the time for a long text would grow with the square of its
        # length.
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
        place, way = 0, self._way
        while found := _TOKEN.match(data, place):
            place = found.end()
            name, mark, text, lone_mark, lone_text = found.groups()
            if name is None:
                mark, text = lone_mark, lone_text
            elif way and way[-1] is not None:
                way[-1] = name
            else:
                raise _malformed()
            if text is not None:
                if self._record and way[-1] in self._last_names:
                    self._keep(text)
            elif mark == b"{" and not self._record and self._is_in_list:
                place = self._pass_record(data, place)
            elif mark:
                self._pass_mark(mark)
        return place

    def _pass_record(self, data: bytes, place: int) -> int:
        """Pass the records that are whole, or the first mark of one, which is before a place."""
        # At once, as this is several times as fast as by tokens.
        found = self._match_record(data, place - 1) if len(self._way) < DEEPEST - LEVELS else None
        if found is None:
            self._pass_mark(b"{")
        while found:
            self._give(zip(self._ways, found.groups(), strict=True))
            place = found.end()
            found = self._match_record(data, place)
        return place

    def _give(self, texts: Iterable[tuple[Way, bytes | None]]) -> None:
        """Give the texts of a record on, without their escapes."""
        fields = {}
        for way, text in texts:
            if value := text and _unescaped(text):
                fields[way] = value
        self._take(fields)

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
            self._give(self._found.items())
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
