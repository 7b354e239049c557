"""Web forms of many lines, in a compiled loop over their bytes.

Most URLs are in this form but for the case of their host, or lack its scheme or its first slash.  All others
are left to the parser of the URL standard.
"""

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.text.masks import LOWER, PERCENT
from novelty_dask.kernels.text.page_parts import ALPHANUMERIC, DOT, SLASH, append, flags
from novelty_dask.kernels.text.parameters import bytes_of, starts_with

ADDED = len("http:///")
"""Bytes by which a form may be longer than its line."""
_HTTP, _HTTPS, _PUNYCODE = map(bytes_of, ("http://", "https://", "xn--"))
_DOT_SEGMENT, _ESCAPED_DOT = map(bytes_of, ("/.", "%2e"))
_IN_HOST = flags(ALPHANUMERIC + b".-_")
_LETTERS = flags(ALPHANUMERIC[:52])
_ENDS_HOST = flags(b"/?#")
# Those that the standard neither encodes nor changes, in whatever part of a URL.
_UNCHANGED = flags(bytes(set(range(0x21, 0x7F)) - set(b"\"'<>\\^`{|}")))


@compiled_loop
def append_web(line: NDArray[np.uint8], out: NDArray[np.uint8], end: int) -> int:
    """Append the web form of a line; return the new end, or -1 for a line that needs the parser."""
    start = 0
    if starts_with(line, _HTTPS):
        start, end = _HTTPS.size, append(_HTTPS, out, end)
    else:
        start = _HTTP.size if starts_with(line, _HTTP) else 0
        end = append(_HTTP, out, end)
    stop = start
    while stop < line.size and not _ENDS_HOST[line[stop]]:
        stop += 1
    # What was appended so far is overwritten by the form of the next line.
    if not _is_name(line[start:stop]) or not _is_unchanged(line[stop:]):
        return -1
    for byte in line[start:stop]:
        out[end] = LOWER[byte]
        end += 1
    if stop == line.size or line[stop] != SLASH:
        out[end] = SLASH
        end += 1
    return append(line[stop:], out, end)


@compiled_loop
def _is_name(host: NDArray[np.uint8]) -> bool:
    """Return whether a host is a name of ASCII that is no number, as an IPv4 address would be."""
    last = 0
    for i in range(host.size):
        if not _IN_HOST[host[i]] or starts_with(host[i:], _PUNYCODE):
            return False
        if host[i] == DOT:
            last = i + 1
    return last < host.size and _LETTERS[host[last]]


@compiled_loop
def _is_unchanged(rest: NDArray[np.uint8]) -> bool:
    """Return whether what follows a host stays as it is."""
    for i in range(rest.size):
        byte = rest[i]
        if not _UNCHANGED[byte]:
            return False
        # Dot segments would be resolved, and an escaped dot may make one.
        if (byte == SLASH and starts_with(rest[i:], _DOT_SEGMENT)) or (
            byte == PERCENT and starts_with(rest[i:], _ESCAPED_DOT)
        ):
            return False
    return True
