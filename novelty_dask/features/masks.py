"""The readable definition of masks: random tokens of URLs as one character each.

`novelty_dask.kernels.text.masks` does the same quickly.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from novelty_dask.kernels.text.tokens import HEX, MIXED, UUID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from novelty_dask.features.spanned import Spanned

_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_SEGMENT = re.compile(r"[A-Za-z0-9_-]{12,}")
_RUN = re.compile(r"[A-Za-z0-9]{8,}")
_ONE_CASE_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_TURN = re.compile(
    r"(?<=[0-9])(?=[A-Za-z]) | (?<=[A-Za-z])(?=[0-9]) | (?<=[a-z])(?=[A-Z]) | (?<=[A-Z])(?=[A-Z][a-z])", re.X
)
LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_ZERO = {code: ord("0") for code in range(ord("1"), ord("9") + 1)}


def turns(token: str) -> int:
    """Return the number of changes between digits, small and capital letters.

    A small letter behind several capitals belongs to the last of them.

    >>> turns("URLPath2")
    2
    """
    return len(_TURN.findall(token))


def is_hex(token: str) -> bool:
    """Return whether a token is 8 or more hexadecimal digits of one case, and no word with a number.

    >>> is_hex("d3b07384d113edec"), is_hex("20240501"), is_hex("deadbeef"), is_hex("decade1999")
    (True, False, False, False)
    """
    return (
        len(token) >= 8
        and _ONE_CASE_HEX.fullmatch(token) is not None
        and not token.isdigit()
        and not token.isalpha()
        and (len(token) >= 16 or turns(token) >= 2)
    )


def is_mixed(token: str, least: int) -> bool:
    """Return whether a token turns at least three times, and at least once in five characters.

    >>> is_mixed("5QqWz8rT3kLm", 10), is_mixed("MyFriendsOldPhone", 10)
    (True, False)
    """
    return len(token) >= least and turns(token) >= 3 and 5 * turns(token) >= len(token)


def is_serial(parts: Sequence[str]) -> bool:
    """Return whether parts between dashes are a serial number: with digits, and a turn each on average.

    >>> is_serial(["8lp1", "qmxr3t", "hxa9"]), is_serial(["dev", "win64", "ab12cd34"])
    (True, False)
    """
    # Words joined by dashes turn nowhere.  Of parts of five random letters and digits, a fifth has no digit.
    inner, length = sum(map(turns, parts)), sum(map(len, parts))
    without_digits = sum(not re.search("[0-9]", part) for part in parts)
    is_random = length >= 12 and inner >= 3 and 5 * inner >= length
    return is_random and inner >= len(parts) > 1 and 5 * without_digits <= len(parts)


def placeholder(kind: int, length: int) -> str:
    """Return the character that stands for a random token: its kind, and its length in half octaves."""
    return chr(256 + 32 * kind + min((length * length).bit_length() - 1, 31))


def mask(text: Spanned) -> Spanned:
    """Return a text in which each random token is one character: UUIDs, then long segments, then runs."""
    # In this order, as a UUID is also a long segment, and a segment is made of runs.
    # A placeholder is part of neither, so nothing is masked twice.
    text = text.replace(_UUID, lambda token: placeholder(UUID, len(token)))
    return text.replace(_SEGMENT, _mask_segment).replace(_RUN, _mask_run)


def _mask_segment(token: str) -> str:
    """Return the placeholder of a segment that is random as a whole, or the segment."""
    parts = token.replace("_", "-").split("-")
    core = "".join(parts)
    is_long = len(core) >= 8 * len(parts) and is_mixed(core, 12) and not is_hex(core)
    return placeholder(MIXED, len(token)) if is_long or is_serial(parts) else token


def _mask_run(token: str) -> str:
    """Return the placeholder of a run that is hexadecimal or mixed, or the run."""
    if is_hex(token):
        return placeholder(HEX, len(token))
    return placeholder(MIXED, len(token)) if is_mixed(token, 10) else token


def mask_rest(text: Spanned) -> Spanned:
    """Return a part of path, query or fragment decoded once, masked, digits as 0, in small letters."""
    # Once: what was encoded twice shows that it was.
    decoded = text.replace(_ESCAPE, lambda escape: chr(int(escape[1:], 16)))
    return mask(decoded).translate(_ZERO).translate(LOWER)
