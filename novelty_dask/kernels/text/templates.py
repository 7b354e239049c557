r"""Masks of random tokens and digits in pages, as one symbol each: the readable definition.

Random tokens are those of the features of URLs.  A percent-encoded byte is neither digits nor part of a
token.  In a segment of letters, digits, dashes and underscores that has a symbol already, digits alone are
masked: so to mask twice is to mask once.
"""

import re

from novelty_dask.kernels.text.tokens import (
    HEX,
    MIXED,
    SHORTEST_HEX,
    SHORTEST_MIXED,
    SHORTEST_SEGMENT,
    UUID,
)

DIGITS = "\x1a"
"""Symbol of a run of digits: a control character that means a substitute, as short as a digit."""
SYMBOLS = {HEX: "\ufdd0", UUID: "\ufdd1", MIXED: "\ufdd2"}
"""Symbols of random tokens: code points that Unicode keeps for use within a program."""
_WITH_SYMBOLS = re.compile(f"[{DIGITS}{''.join(SYMBOLS.values())}]")
# One unit wherever it stands: an escape, whose digits stay, or a UUID.
_OPAQUE = re.compile(r"(%[0-9A-Fa-f]{2}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})")
_SEGMENT = re.compile(f"[A-Za-z0-9_\\-{DIGITS}{''.join(SYMBOLS.values())}]+")
_RUN = re.compile(r"[A-Za-z0-9]+")
# Of one case, with digits and letters: other runs are numbers or words.
_HEX = re.compile(r"\A(?=.*[0-9])(?=.*[A-Fa-f])(?:[0-9a-f]{8,}|[0-9A-F]{8,})")
# A word in capitals ends before the capital that a small letter follows: "URLPath" turns before the P.
_TURN = re.compile(
    r"(?<=[0-9])(?=[A-Za-z])|(?<=[A-Za-z])(?=[0-9])|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"
)


def mask(text: str, *, digits: bool = True) -> str:
    r"""Return a text with a symbol for each UUID, each other random token, and each run of digits.

    >>> mask("id-77/34220a16/GlifW3bS1gnIn")
    'id-\x1a/\ufdd0/\ufdd2'
    """
    parts = _OPAQUE.split(text)
    # Every other part is an escape, whose digits stay, or a UUID.
    parts[1::2] = [part if part[0] == "%" else SYMBOLS[UUID] for part in parts[1::2]]
    parts[::2] = [_SEGMENT.sub(_mask_segment, part) for part in parts[::2]]
    if digits:
        parts[::2] = [re.sub("[0-9]+", DIGITS, part) for part in parts[::2]]
    return "".join(parts)


def _mask_segment(match: re.Match[str]) -> str:
    """Return a segment of letters, digits, dashes and underscores with its random tokens masked."""
    segment = match[0]
    if _WITH_SYMBOLS.search(segment):
        return segment
    parts = re.split("[_-]", segment)
    core = "".join(parts)
    is_long = len(core) >= 8 * len(parts) and _is_mixed(core) and not _is_hex(core)
    if len(core) >= SHORTEST_SEGMENT and (is_long or _is_serial(parts)):
        return SYMBOLS[MIXED]
    return _RUN.sub(_mask_run, segment)


def _mask_run(match: re.Match[str]) -> str:
    """Return a run of letters and digits, or the symbol of a random one."""
    run = match[0]
    if _is_hex(run):
        return SYMBOLS[HEX]
    return SYMBOLS[MIXED] if len(run) >= SHORTEST_MIXED and _is_mixed(run) else run


def _is_hex(run: str) -> bool:
    """Return whether a run is a hexadecimal number, and not a word with a number."""
    return _HEX.fullmatch(run) is not None and (len(run) >= 2 * SHORTEST_HEX or len(_TURN.findall(run)) >= 2)


def _is_mixed(*parts: str) -> bool:
    """Return whether parts turn between digits, small and capital letters often."""
    turns = sum(len(_TURN.findall(part)) for part in parts)
    return turns >= max(3, len(parts)) and 5 * turns >= sum(map(len, parts))


def _is_serial(parts: list[str]) -> bool:
    """Return whether most of several parts have a digit, and each turns, on average."""
    without_digits = sum(not re.search("[0-9]", part) for part in parts)
    return len(parts) > 1 and 5 * without_digits <= len(parts) and _is_mixed(*parts)
