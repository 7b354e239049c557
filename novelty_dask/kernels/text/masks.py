"""Masks of random tokens and of digits, for compiled loops over the bytes of URLs.

A *unit* is a byte, or the placeholder of a random token: a number from 256 on that tells the kind of the
token and about how long it is.  `novelty_dask.features.masks` defines the same by regular expressions.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.text.tokens import (
    HEX,
    MIXED,
    SHORTEST_HEX,
    SHORTEST_MIXED,
    SHORTEST_SEGMENT,
    UUID,
    UUID_LENGTH,
)

OTHER, DIGIT, SMALL, CAPITAL, SEPARATOR = range(5)
"""Classes of bytes; those of segments are not `OTHER`."""
FIRST_PLACEHOLDER, LENGTHS = 256, 32
PERCENT, DASH = ord("%"), ord("-")


def _make_classes() -> NDArray[np.uint8]:
    """Return the class of each byte."""
    classes = np.full(256, OTHER, np.uint8)
    classes[48:58], classes[97:123], classes[65:91] = DIGIT, SMALL, CAPITAL
    classes[[DASH, ord("_")]] = SEPARATOR
    return classes


def _make_hex_values() -> NDArray[np.int16]:
    """Return the value of each hexadecimal digit, -1 for all other bytes."""
    values = np.full(256, -1, np.int16)
    for digit in b"0123456789abcdefABCDEF":
        values[digit] = int(chr(digit), 16)
    return values


def _make_lower(*, with_zeros: bool) -> NDArray[np.uint8]:
    """Return each byte in lower case; with zeros, all digits are 0."""
    lower = np.arange(256, dtype=np.uint8)
    lower[65:91] += 32
    if with_zeros:
        lower[49:58] = 48
    return lower


CLASSES = _make_classes()
HEX_VALUES = _make_hex_values()
LOWER, LOWER_ZERO = _make_lower(with_zeros=False), _make_lower(with_zeros=True)


class Token(NamedTuple):
    """Measures of a segment; its separators are counted, and otherwise left out.

    Parameters
    ----------
    length : int
        Letters and digits.
    turns : int
        Changes between digits, small and capital letters; "URLPath" turns before the P.
    separators : int
    is_hex : bool
        True for hexadecimal digits of one case, letters and digits among them.
    inner_turns : int
        Turns that are not across a separator.
    is_serial : bool
        True for several parts between separators, with a digit in four of five.
    """

    length: int
    turns: int
    separators: int
    is_hex: bool
    inner_turns: int
    is_serial: bool


@compiled_loop
def measure(text: NDArray[np.uint8], start: int, stop: int) -> Token:
    """Return the measures of a segment of letters, digits and separators."""
    length = turns = inner_turns = digits = separators = 0
    before = last = OTHER
    small = capital = True
    # Of the part between separators: its length, and the digits before it.
    n_inside = digits_before = without_digits = 0
    for i in range(start, stop):
        kind = CLASSES[text[i]]
        if kind == SEPARATOR:
            without_digits += digits == digits_before
            separators, digits_before, n_inside = separators + 1, digits, 0
            continue
        length += 1
        n_inside += 1
        digits += kind == DIGIT
        # A letter behind a digit, or the other way round; a capital behind a small letter; a small letter
        # behind several capitals, as the last one is its own.
        turn = ((kind == DIGIT) != (last == DIGIT) and last != OTHER) or (kind == CAPITAL and last == SMALL)
        word = kind == SMALL and last == CAPITAL and before == CAPITAL
        turns += turn or word
        inner_turns += (turn and n_inside > 1) or (word and n_inside > 2)
        is_digit = HEX_VALUES[text[i]] >= 0
        small &= is_digit and kind != CAPITAL
        capital &= is_digit and kind != SMALL
        before, last = last, kind
    is_hex = length >= SHORTEST_HEX and (small or capital) and 0 < digits < length
    is_hex &= length >= 16 or turns >= 2
    without_digits += digits == digits_before
    is_serial = separators > 0 and 5 * without_digits <= separators + 1
    return Token(length, turns, separators, is_hex, inner_turns, is_serial)


@compiled_loop
def placeholder(kind: int, length: int) -> int:
    """Return the unit that stands for a random token: its kind, and its length in half octaves."""
    # Tokens of one generator are about equally long; the square makes two steps of each doubling.
    square, bits = length * length, -1
    while square:
        square >>= 1
        bits += 1
    return FIRST_PLACEHOLDER + LENGTHS * kind + min(bits, LENGTHS - 1)


@compiled_loop
def mask(
    text: NDArray[np.uint8],
    start: int,
    stop: int,
    lower: NDArray[np.uint8],
    units: NDArray[np.uint16],
    end: int,
) -> int:
    """Append the units of a part of a text, random tokens masked; return the new end of the units.

    Parameters
    ----------
    text : ndarray of uint8
    start, stop : int
    lower : ndarray of uint8
        `LOWER`, or `LOWER_ZERO` to mask digits too.
    units : ndarray of uint16
        Has room for a unit for each byte, from `end` on.
    end : int
    """
    i = start
    while i < stop:
        if CLASSES[text[i]] == OTHER:
            units[end] = text[i]
            end += 1
            i += 1
            continue
        first = i
        while i < stop and CLASSES[text[i]] != OTHER:
            i += 1
        while i - first >= UUID_LENGTH:
            uuid = _find_uuid(text, first, i)
            if uuid < 0:
                break
            end = _mask_segment(text, first, uuid, lower, units, end)
            units[end] = placeholder(UUID, UUID_LENGTH)
            end += 1
            first = uuid + UUID_LENGTH
        end = _mask_segment(text, first, i, lower, units, end)
    return end


@compiled_loop
def _find_uuid(text: NDArray[np.uint8], start: int, stop: int) -> int:
    """Return the place of the first UUID in a segment, or -1."""
    for i in range(start, stop - UUID_LENGTH + 1):
        # Most segments have no dash there, and need no look at the rest.
        if text[i + 8] == DASH and _is_uuid(text, i):
            return i
    return -1


@compiled_loop
def _is_uuid(text: NDArray[np.uint8], start: int) -> bool:
    """Return whether a UUID begins at a place: hexadecimal digits 8-4-4-4-12."""
    for i in range(UUID_LENGTH):
        byte = text[start + i]
        if i in (8, 13, 18, 23):
            if byte != DASH:
                return False
        elif HEX_VALUES[byte] < 0:
            return False
    return True


@compiled_loop
def _mask_segment(
    text: NDArray[np.uint8],
    start: int,
    stop: int,
    lower: NDArray[np.uint8],
    units: NDArray[np.uint16],
    end: int,
) -> int:
    """Append the units of a segment without UUID; return the new end."""
    if stop - start >= SHORTEST_SEGMENT:
        token = measure(text, start, stop)
        if token.length >= SHORTEST_SEGMENT and (_is_long_mixed(token) or _is_mixed_serial(token)):
            units[end] = placeholder(MIXED, stop - start)
            return end + 1
    i = start
    while i < stop:
        first = i
        while i < stop and CLASSES[text[i]] != SEPARATOR:
            i += 1
        end = _mask_run(text, first, i, lower, units, end)
        if i < stop:
            units[end] = text[i]
            end += 1
            i += 1
    return end


@compiled_loop
def _mask_run(
    text: NDArray[np.uint8],
    start: int,
    stop: int,
    lower: NDArray[np.uint8],
    units: NDArray[np.uint16],
    end: int,
) -> int:
    """Append the units of a run of letters and digits; return the new end."""
    # A look at the length saves measuring most runs.
    if stop - start >= SHORTEST_HEX:
        token = measure(text, start, stop)
        if token.is_hex or (token.length >= SHORTEST_MIXED and _is_mixed(token.turns, token.length)):
            units[end] = placeholder(HEX if token.is_hex else MIXED, token.length)
            return end + 1
    for i in range(start, stop):
        units[end] = lower[text[i]]
        end += 1
    return end


@compiled_loop
def _is_long_mixed(token: Token) -> bool:
    """Return whether a segment is mixed, its parts together, and has few separators."""
    is_long = token.length >= 8 * (token.separators + 1)
    return is_long and _is_mixed(token.turns, token.length) and not token.is_hex


@compiled_loop
def _is_mixed_serial(token: Token) -> bool:
    """Return whether most parts of a segment have a digit, and each turns, on average."""
    turns = token.inner_turns
    return token.is_serial and turns > token.separators and _is_mixed(turns, token.length)


@compiled_loop
def _is_mixed(turns: int, length: int) -> bool:
    """Return whether a token turns at least three times, and at least once in five characters."""
    return turns >= 3 and 5 * turns >= length


@compiled_loop
def decode_and_mask(
    text: NDArray[np.uint8],
    start: int,
    stop: int,
    decoded: NDArray[np.uint8],
    units: NDArray[np.uint16],
    end: int,
) -> int:
    """Append the units of a part of a text, percent-decoded, random tokens and digits masked; return the end.

    Parameters
    ----------
    text, start, stop, units, end
        As `mask` takes them.
    decoded : ndarray of uint8
        Has room for the part; overwritten.
    """
    # Most parts have nothing to decode, and are masked where they are.
    for i in range(start, stop):
        if text[i] == PERCENT:
            return mask(decoded, 0, _decode(text, start, stop, decoded), LOWER_ZERO, units, end)
    return mask(text, start, stop, LOWER_ZERO, units, end)


@compiled_loop
def _decode(text: NDArray[np.uint8], start: int, stop: int, decoded: NDArray[np.uint8]) -> int:
    """Write a part of a text percent-decoded once, stray percent signs as they are; return its length."""
    end, i = 0, start
    while i < stop:
        byte = text[i]
        if byte == PERCENT and i + 2 < stop and min(HEX_VALUES[text[i + 1]], HEX_VALUES[text[i + 2]]) >= 0:
            byte = np.uint8(16 * HEX_VALUES[text[i + 1]] + HEX_VALUES[text[i + 2]])
            i += 2
        decoded[end] = byte
        end += 1
        i += 1
    return end
