"""Sizes and times as people write them, and values as messages show them."""

import math
import re
import reprlib
from collections.abc import Mapping, Set
from datetime import date

from novelty_dask.kernels.text.times import parse_time

__all__ = ["LARGEST_SIZE", "parse_bytes", "parse_range", "parse_time", "shown", "write_time"]

PREFIXES = "kmgtp"
SIZE_UNITS = {"": 1, "b": 1}
SIZE_UNITS |= {f"{prefix}{b}": 10 ** (3 * n) for n, prefix in enumerate(PREFIXES, 1) for b in ("", "b")}
SIZE_UNITS |= {f"{prefix}i{b}": 2 ** (10 * n) for n, prefix in enumerate(PREFIXES, 1) for b in ("", "b")}
# As Dask reads sizes, whose own function would have to be imported with Dask: digits with an exponent, and a
# unit. Either may be left out.
SIZE = re.compile(r"((?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?|(?=[a-z]))([a-z]{0,3})", re.ASCII)
LARGEST_SIZE = 2**63


def parse_bytes(size: object) -> object:
    """Return the bytes of a size such as ``"2 GB"`` or ``"512MiB"``, as Dask does; anything else as it is.

    >>> parse_bytes("1.5 kB"), parse_bytes("2GiB"), parse_bytes("1e9"), parse_bytes(7)
    (1500, 2147483648, 1000000000, 7)
    """
    if not isinstance(size, str):
        return size
    match = SIZE.fullmatch(str.strip(size).replace(" ", "").lower())
    number = float(match[1] or 1) * SIZE_UNITS.get(match[2], math.inf) if match else math.inf
    # Zero of an unknown unit is no number.
    if not number < LARGEST_SIZE:
        is_size = match and match[2] in SIZE_UNITS
        problem = "is more than any machine has" if is_size else "is not a size"
        message = f"{shown(size)} {problem}; write for example '2 GB' or '512MiB'"
        raise ValueError(message)
    return int(number)


def parse_range(value: object) -> object:
    """Return two numbers from ``"3,5"``; anything else as it is."""
    parts = str.split(value, ",") if isinstance(value, str) else value
    if isinstance(parts, Set | Mapping) or (isinstance(parts, list | tuple) and len(parts) != 2):
        message = "must be two numbers, such as 3,3"
        raise ValueError(message)
    return parts


def write_time(value: object) -> object:
    """Return a time as text, of dates too; anything that is none is refused."""
    text = value.isoformat() if isinstance(value, date) else value
    if isinstance(text, str) and parse_time(text) is None:
        message = "is no time; write for example 2026-11-27 or 2026-11-27T12:30:00Z"
        raise ValueError(message)
    return text


def shown(value: object) -> str:
    """Return a value, shortened and on one line."""
    try:
        return " ".join(reprlib.repr(value).split())
    except ValueError:  # An integer of more digits than Python prints.
        return f"<{type(value).__name__}>"
