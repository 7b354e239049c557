"""The readable definition of masks: random tokens of URLs as one character each.

`novelty_dask.kernels.text.masks` does the same quickly.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from novelty_dask.kernels.text.tokens import MIXED, UUID, is_random_segment, kind_of_run

if TYPE_CHECKING:
    from novelty_dask.features.spanned import Spanned

_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_SEGMENT = re.compile(r"[A-Za-z0-9_-]{12,}")
_RUN = re.compile(r"[A-Za-z0-9]{8,}")
LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_ZERO = {code: ord("0") for code in range(ord("1"), ord("9") + 1)}


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
    return placeholder(MIXED, len(token)) if is_random_segment(token) else token


def _mask_run(token: str) -> str:
    """Return the placeholder of a run that is hexadecimal or mixed, or the run."""
    kind = kind_of_run(token)
    return token if kind is None else placeholder(kind, len(token))


def mask_rest(text: Spanned) -> Spanned:
    """Return a part of path, query or fragment decoded once, masked, digits as 0, in small letters."""
    # Once: what was encoded twice shows that it was.
    decoded = text.replace(_ESCAPE, lambda escape: chr(int(escape[1:], 16)))
    return mask(decoded).translate(_ZERO).translate(LOWER)
