"""Random tokens, which URLs are masked of: their kinds and lengths, and the readable definition.

`novelty_dask.kernels.text.masks` finds the same tokens quickly.
"""

import re
from collections.abc import Sequence

HEX, UUID, MIXED = range(3)
"""Kinds: hexadecimal numbers, UUIDs, and mixtures of digits, small and capital letters."""
SHORTEST_HEX, SHORTEST_MIXED, SHORTEST_SEGMENT, UUID_LENGTH = 8, 10, 12, 36
"""Characters of the shortest of a kind, of a segment that is masked as a whole, and of all UUIDs."""

_ONE_CASE_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
# A word in capitals ends before the capital that a small letter follows: "URLPath" turns before the P.
_TURN = re.compile(
    r"(?<=[0-9])(?=[A-Za-z]) | (?<=[A-Za-z])(?=[0-9]) | (?<=[a-z])(?=[A-Z]) | (?<=[A-Z])(?=[A-Z][a-z])", re.X
)


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
        len(token) >= SHORTEST_HEX
        and _ONE_CASE_HEX.fullmatch(token) is not None
        and not token.isdigit()
        and not token.isalpha()
        and (len(token) >= 2 * SHORTEST_HEX or turns(token) >= 2)
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
    is_random = length >= SHORTEST_SEGMENT and inner >= 3 and 5 * inner >= length
    return is_random and inner >= len(parts) > 1 and 5 * without_digits <= len(parts)


def is_random_segment(segment: str) -> bool:
    """Return whether a segment of letters, digits, dashes and underscores is random as a whole.

    >>> is_random_segment("GlifW3bS1gnIn-5QqWz8rT"), is_random_segment("my-friends-old-phone")
    (True, False)
    """
    parts = segment.replace("_", "-").split("-")
    core = "".join(parts)
    is_long = len(core) >= 8 * len(parts) and is_mixed(core, SHORTEST_SEGMENT) and not is_hex(core)
    return is_long or is_serial(parts)


def kind_of_run(run: str) -> int | None:
    """Return the kind of a random run of letters and digits, None of another.

    >>> [kind_of_run(run) for run in ("34220a16", "GlifW3bS1gnIn", "phone")] == [HEX, MIXED, None]
    True
    """
    if is_hex(run):
        return HEX
    return MIXED if is_mixed(run, SHORTEST_MIXED) else None
