r"""Masks of random tokens and digits in pages, as one symbol each: the readable definition.

Random tokens are those of the features of URLs.  A percent-encoded byte is neither digits nor part of a
token.  In a segment of letters, digits, dashes and underscores that has a symbol already, digits alone are
masked: so to mask twice is to mask once.
"""

import re

from novelty_dask.kernels.text.tokens import HEX, MIXED, UUID, is_random_segment, kind_of_run

DIGITS = "\x1a"
"""Symbol of a run of digits: a control character that means a substitute, as short as a digit."""
SYMBOLS = {HEX: "\ufdd0", UUID: "\ufdd1", MIXED: "\ufdd2"}
"""Symbols of random tokens: code points that Unicode keeps for use within a program."""
_WITH_SYMBOLS = re.compile(f"[{DIGITS}{''.join(SYMBOLS.values())}]")
# One unit wherever it stands: an escape, whose digits stay, or a UUID.
_OPAQUE = re.compile(r"(%[0-9A-Fa-f]{2}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})")
_SEGMENT = re.compile(f"[A-Za-z0-9_\\-{DIGITS}{''.join(SYMBOLS.values())}]+")
_RUN = re.compile(r"[A-Za-z0-9]+")


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
    if is_random_segment(segment):
        return SYMBOLS[MIXED]
    return _RUN.sub(_mask_run, segment)


def _mask_run(match: re.Match[str]) -> str:
    """Return a run of letters and digits, or the symbol of a random one."""
    run = match[0]
    kind = kind_of_run(run)
    return run if kind is None else SYMBOLS[kind]
