"""Places of the parts of a URL in its bytes, for compiled loops.

``scheme://user@host:port/path?query#fragment``, where a line may also begin with the host, or have none.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.text.masks import CAPITAL, CLASSES, DIGIT, HEX_VALUES, OTHER, SEPARATOR, SMALL

SLASH, QUESTION, SHARP, COLON, AT, DOT, AND, EQUALS = b"/?#:@.&="
OPENING, CLOSING = b"[]"
IN_SCHEME = np.isin(np.arange(256), [*b"+.-"]) | ((CLASSES != OTHER) & (CLASSES != SEPARATOR))
SPACES = np.isin(np.arange(256), [*b"\t\n\v\f\r "])
NOT_IN_BARE_HOST = SPACES | np.isin(np.arange(256), [*b":,;()<>\"'"])
"""Bytes that the host of a line can't have if no ``//`` stands before it."""


class Parts(NamedTuple):
    """Places of the parts of a URL; parts that are missing are empty.

    Parameters
    ----------
    start, scheme_stop : int
    has_user : bool
    host_start, host_stop : int
        Without user, port and trailing dots.
    port_start, port_stop : int
        The digits.
    path, query, fragment, stop : int
        Where each begins, query and fragment with their mark; each ends where the next begins.
    """

    start: int
    scheme_stop: int
    has_user: bool
    host_start: int
    host_stop: int
    port_start: int
    port_stop: int
    path: int
    query: int
    fragment: int
    stop: int


@compiled_loop
def split_url(text: NDArray[np.uint8], start: int, stop: int) -> Parts:
    """Return the places of the parts of a URL, or of what only looks like one."""
    scheme_stop, authority = _find_authority(text, start, stop)
    path = authority
    while path < stop and text[path] != SLASH and text[path] != QUESTION and text[path] != SHARP:
        path += 1
    host_start = _find_last(text, AT, authority, path) + 1
    host_stop = port_start = path
    digits = path
    while digits > host_start and CLASSES[text[digits - 1]] == DIGIT:
        digits -= 1
    if digits > host_start and text[digits - 1] == COLON:
        host_stop, port_start = digits - 1, digits
    port_stop = path
    if authority == start and not _is_bare_authority(text, start, host_start, host_stop):
        path = host_start = host_stop = port_start = port_stop = start
    while host_stop > host_start and text[host_stop - 1] == DOT:
        host_stop -= 1
    fragment = _find_first(text, SHARP, path, stop)
    query = _find_first(text, QUESTION, path, fragment)
    # Alone, an at sign before the host is no user.
    has_user = host_start > authority + 1
    return Parts(
        start,
        scheme_stop,
        has_user,
        host_start,
        host_stop,
        port_start,
        port_stop,
        path,
        query,
        fragment,
        stop,
    )


@compiled_loop
def _find_authority(text: NDArray[np.uint8], start: int, stop: int) -> tuple[int, int]:
    """Return the end of the scheme and the start of the authority; without them, the start of the line."""
    i = start
    if start < stop and (CLASSES[text[start]] == SMALL or CLASSES[text[start]] == CAPITAL):
        while i < stop and IN_SCHEME[text[i]]:
            i += 1
        if i < stop and text[i] == COLON and _is_double_slash(text, i + 1, stop):
            return i, i + 3
    return start, start + 2 * _is_double_slash(text, start, stop)


@compiled_loop
def _is_double_slash(text: NDArray[np.uint8], start: int, stop: int) -> bool:
    """Return whether two slashes stand at a place."""
    return start + 1 < stop and text[start] == text[start + 1] == SLASH


@compiled_loop
def _find_first(text: NDArray[np.uint8], byte: int, start: int, stop: int) -> int:
    """Return the first place of a byte, or the end."""
    for i in range(start, stop):
        if text[i] == byte:
            return i
    return stop


@compiled_loop
def _find_last(text: NDArray[np.uint8], byte: int, start: int, stop: int) -> int:
    """Return the last place of a byte, or the place before the start."""
    for i in range(stop - 1, start - 1, -1):
        if text[i] == byte:
            return i
    return start - 1


@compiled_loop
def _is_bare_authority(text: NDArray[np.uint8], start: int, host_start: int, host_stop: int) -> bool:
    """Return whether that with which a line begins is an authority, though no ``//`` stands before it."""
    for i in range(start, host_start - 1):
        if text[i] == AT or SPACES[text[i]]:
            return False
    if host_start == host_stop:
        return False
    if text[host_start] == OPENING:
        return _is_ip_literal(text, host_start, host_stop)
    has_dot = False
    for i in range(host_start, host_stop):
        if NOT_IN_BARE_HOST[text[i]]:
            return False
        has_dot |= text[i] == DOT
    return has_dot and text[host_stop - 1] != DOT


@compiled_loop
def _is_ip_literal(text: NDArray[np.uint8], start: int, stop: int) -> bool:
    """Return whether a host is hexadecimal digits, colons and dots in brackets."""
    for i in range(start + 1, stop - 1):
        if HEX_VALUES[text[i]] < 0 and text[i] != COLON and text[i] != DOT:
            return False
    return stop - start >= 3 and text[stop - 1] == CLOSING


@compiled_loop
def is_ipv4(text: NDArray[np.uint8], start: int, stop: int) -> bool:
    """Return whether a host is four numbers with dots between them."""
    dots = 0
    for i in range(start, stop):
        if text[i] == DOT:
            dots += 1
            if i == start or text[i - 1] == DOT:
                return False
        elif CLASSES[text[i]] != DIGIT:
            return False
    return dots == 3


@compiled_loop
def is_punycode(text: NDArray[np.uint8], start: int, stop: int) -> bool:
    """Return whether ``xn--`` is anywhere in a host."""
    for i in range(start, stop - 3):
        # Setting a bit makes a capital letter small.
        if (
            (text[i] | 32) == ord("x")
            and (text[i + 1] | 32) == ord("n")
            and text[i + 2] == text[i + 3] == ord("-")
        ):
            return True
    return False
