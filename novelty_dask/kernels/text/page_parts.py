"""Parts of pages in compiled loops, as `pages` defines them: percent-encoding, path and query.

Each function appends what it makes to an array of bytes, and returns the new end.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.text.masks import HEX_VALUES, PERCENT
from novelty_dask.kernels.text.parameters import is_session, is_tracking
from novelty_dask.kernels.text.symbols import DIGITS_BYTE, MASK_DIGITS, is_escape, mask_in_place

Bytes = NDArray[np.uint8]
SLASH, DOT, SEMICOLON, QUESTION, AMPERSAND, EQUALS = b"/.;?&="
_HEX_DIGITS = np.frombuffer(b"0123456789ABCDEF", np.uint8)
_GAPS = (701, 301, 132, 57, 23, 10, 4, 1)
"""Distances of a Shell sort."""


class Texts(NamedTuple):
    """UTF-8 of texts, one after the other, and the end of each, with the start of the first in front."""

    characters: Bytes
    ends: NDArray[np.int32]


class Forms(NamedTuple):
    """Normal forms to fill in: their UTF-8, their ends with a 0 in front, and whether each is left out."""

    characters: Bytes
    ends: NDArray[np.int32]
    is_hard: NDArray[np.bool_]


class Scratch(NamedTuple):
    """Space for one line: places of the parts of its query, a copy of them, units; and whether to mask it."""

    is_masked: bool
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    copy: Bytes
    units: NDArray[np.uint16]


def allocate_scratch(size: int, *, is_masked: bool) -> Scratch:
    """Return space for a line of up to `size` bytes."""
    starts, stops = np.empty((2, size // 2 + 1), np.int64)
    return Scratch(is_masked, starts, stops, np.empty(size + 1, np.uint8), np.empty(size, np.uint16))


def flags(characters: bytes) -> NDArray[np.bool_]:
    """Return for each byte whether it is among some characters."""
    among = np.zeros(256, np.bool_)
    among[list(characters)] = True
    return among


ALPHANUMERIC = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_UNRESERVED = flags(ALPHANUMERIC + b"-._~")


@compiled_loop
def append(text: Bytes, out: Bytes, end: int) -> int:
    """Append a text as it is."""
    for byte in text:
        out[end] = byte
        end += 1
    return end


@compiled_loop
def append_decoded(text: Bytes, out: Bytes, end: int) -> int:
    """Append a text in which unreserved characters are not percent-encoded, and others by capitals."""
    i = 0
    while i < text.size:
        if is_escape(text, i, text.size) and not _follows_stray(text, i):
            size = _unreserved_size(text, i)
            for _ in range(size):
                out[end] = _value(text, i)
                end += 1
                i += 3
            if size == 0:
                value = _value(text, i)
                out[end], out[end + 1] = PERCENT, _HEX_DIGITS[value >> 4]
                out[end + 2] = _HEX_DIGITS[value & 15]
                end += 3
                i += 3
        else:
            out[end] = text[i]
            end += 1
            i += 1
    return end


@compiled_loop
def _follows_stray(text: Bytes, i: int) -> bool:
    """Return whether a percent sign that begins no escape stands before a place, or before a digit there."""
    if i > 0 and text[i - 1] == PERCENT:
        return True
    has_digit = i > 1 and (HEX_VALUES[text[i - 1]] >= 0 or text[i - 1] == DIGITS_BYTE)
    return bool(has_digit and text[i - 2] == PERCENT)


@compiled_loop
def _value(text: Bytes, i: int) -> int:
    """Return the byte of an escape."""
    return int(16 * HEX_VALUES[text[i + 1]] + HEX_VALUES[text[i + 2]])


@compiled_loop
def _unreserved_size(text: Bytes, i: int) -> int:
    """Return the bytes of the unreserved character that escapes stand for, 0 if they stand for none."""
    lead = _value(text, i)
    if lead < 0x80:
        return 1 if _UNRESERVED[lead] else 0
    size = 2 if 0xC2 <= lead < 0xE0 else 3 if 0xE0 <= lead < 0xF0 else 4 if 0xF0 <= lead < 0xF5 else 0
    code = lead & (0x7F >> size)
    for j in range(i + 3, i + 3 * size, 3):
        if not is_escape(text, j, text.size) or _value(text, j) & 0xC0 != 0x80:
            return 0
        code = code << 6 | _value(text, j) & 0x3F
    # Characters have one encoding alone, the shortest.
    is_shortest = code >= (0x800 if size == 3 else 0x10000 if size == 4 else 0x80)
    return size if is_shortest and _is_unreserved(code) else 0


@compiled_loop
def _is_unreserved(code: int) -> bool:
    """Return whether a character beyond ASCII is unreserved in RFC 3987."""
    # Left out are surrogates, private use, and code points that are no characters.
    if code < 0x10000:
        return 0xA0 <= code < 0xD800 or 0xF900 <= code < 0xFDD0 or 0xFDF0 <= code < 0xFFF0
    return (code < 0xE0000 or 0xE1000 <= code < 0xF0000) and code & 0xFFFF < 0xFFFE


@compiled_loop
def append_path(path: Bytes, out: Bytes, end: int) -> int:
    """Append a path without sessions, dot segments and slashes at its end."""
    start, stop = end, append_decoded(path, out, end)
    # What is kept moves to the front of what was appended.
    i = start
    while i < stop:
        after = i + 1
        while after < stop and out[after] != SLASH:
            after += 1
        segment_end = _move_segment(out, i, after, end)
        size = segment_end - end - 1
        is_dots = 1 <= size <= 2 and out[end + 1] == DOT and out[segment_end - 1] == DOT
        # A segment of dots is overwritten by the next one, two dots with what stands before them.
        if not is_dots:
            end = segment_end
        elif size == 2:
            end = _find_parent(out, start, end)
        i = after
    while end > start and out[end - 1] == SLASH:
        end -= 1
    return end


@compiled_loop
def _move_segment(out: Bytes, start: int, stop: int, end: int) -> int:
    """Move a segment of a path, with its slash, without sessions."""
    i = start
    while i < stop:
        after = _skip_session(out, i, stop) if out[i] == SEMICOLON else i
        if after == i:
            out[end] = out[i]
            end += 1
            after += 1
        i = after
    return end


@compiled_loop
def _skip_session(out: Bytes, start: int, stop: int) -> int:
    """Return the end of a session parameter that begins at a semicolon, or the semicolon."""
    i = start + 1
    while i < stop and out[i] != SEMICOLON and out[i] != EQUALS:
        i += 1
    if i == stop or out[i] != EQUALS or not is_session(out[start + 1 : i]):
        return start
    while i < stop and out[i] != SEMICOLON:
        i += 1
    return i


@compiled_loop
def _find_parent(out: Bytes, start: int, end: int) -> int:
    """Return the end of a path without its last segment."""
    while end > start:
        end -= 1
        if out[end] == SLASH:
            break
    return end


@compiled_loop
def append_query(query: Bytes, out: Bytes, end: int, scratch: Scratch) -> int:
    """Append a question mark and the parts of a query that say which page it is, in order; or nothing."""
    first, n_parts, i = end + 1, 0, 0
    part = first
    while i < query.size:
        start = i
        while i < query.size and query[i] != AMPERSAND:
            i += 1
        stop = append_decoded(query[start:i], out, part)
        # The next part overwrites one that is not kept.
        if _is_kept(out[part:stop]):
            if scratch.is_masked:
                stop = mask_in_place(out, part, stop, scratch.units, MASK_DIGITS)
            scratch.starts[n_parts], scratch.stops[n_parts] = part, stop
            n_parts += 1
            part = stop + 1
        i += 1
    if n_parts == 0:
        return end
    out[end] = QUESTION
    for stop in scratch.stops[: n_parts - 1]:
        out[stop] = AMPERSAND
    _sort_parts(out, first, n_parts, scratch)
    return part - 1


@compiled_loop
def _is_kept(part: Bytes) -> bool:
    """Return whether a part of a query says which page it is."""
    size = 0
    while size < part.size and part[size] != EQUALS:
        size += 1
    return part.size > 0 and not is_tracking(part[:size]) and not is_session(part[:size])


@compiled_loop
def _sort_parts(out: Bytes, first: int, n_parts: int, scratch: Scratch) -> None:
    """Put the parts of a query in order."""
    starts, stops = scratch.starts, scratch.stops
    moved = False
    for gap in _GAPS:
        for i in range(gap, n_parts):
            start, stop = starts[i], stops[i]
            j = i
            while j >= gap and _is_less(out[start:stop], out[starts[j - gap] : stops[j - gap]]):
                starts[j], stops[j] = starts[j - gap], stops[j - gap]
                j -= gap
            starts[j], stops[j] = start, stop
            moved |= j < i
    # Most queries have one part, or are in order already.
    if not moved:
        return
    size = 0
    for i in range(n_parts):
        size = append(out[starts[i] : stops[i]], scratch.copy, size)
        scratch.copy[size] = AMPERSAND
        size += 1
    append(scratch.copy[: size - 1], out, first)


@compiled_loop
def _is_less(left: Bytes, right: Bytes) -> bool:
    """Return whether some bytes come before others."""
    for i in range(min(left.size, right.size)):
        if left[i] != right[i]:
            return bool(left[i] < right[i])
    return left.size < right.size
