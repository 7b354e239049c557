"""Pages and templates of many lines, in compiled loops over their bytes, as `pages` defines them.

Hosts that are not ASCII, or percent-encoded, or in punycode already, are rare and left to the definition, and
so are lines that have symbols of templates themselves.
"""

from typing import NamedTuple

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.text.masks import LOWER
from novelty_dask.kernels.text.page_parts import (
    ALPHANUMERIC,
    DOT,
    QUESTION,
    SLASH,
    Bytes,
    Scratch,
    append,
    append_decoded,
    append_path,
    append_query,
    flags,
)
from novelty_dask.kernels.text.parameters import bytes_of, starts_with
from novelty_dask.kernels.text.symbols import DIGITS_BYTE, KEEP_DIGITS, MASK_DIGITS, mask_in_place
from novelty_dask.kernels.text.templates import SYMBOLS

HASH, AT, COLON, PERCENT, BANG, OPEN, CLOSE = b"#@:%![]"
NO_HOST, EASY, HARD = 0, 1, 2
"""Kinds of lines: without a host, normalized here, and left to the definition."""
_IN_SCHEME = flags(ALPHANUMERIC + b"+.-")
_IN_ADDRESS = flags(b"0123456789abcdefABCDEF:.")
_NOT_IN_HOST = flags(bytes(range(33)) + b"\x7f\"'(),:;<>@[\\]^`{|}")
_NOT_IN_USER = flags(b"\t\n\v\f\r @")
_ENDS_AUTHORITY = flags(b"/?#")
_HTTP, _HTTPS, _FTP, _WS, _WSS = map(bytes_of, ("http", "https", "ftp", "ws", "wss"))
_80, _443, _21 = map(bytes_of, ("80", "443", "21"))
_WWW, _PUNYCODE = map(bytes_of, ("www.", "xn--"))
_SYMBOLS_BYTE = "".join(SYMBOLS.values()).encode()[0]


class _Parts(NamedTuple):
    """Kind of a line, and the places of its scheme, user, host, port and the rest."""

    kind: int
    scheme_stop: int
    user: int
    user_stop: int
    host: int
    host_stop: int
    port: int
    rest: int


@compiled_loop
def append_page(line: Bytes, out: Bytes, end: int, scratch: Scratch) -> int:
    """Append the page of a line, or its template; return the new end, or -1 for a hard line."""
    parts = _split(line)
    if parts.kind == HARD or (scratch.is_masked and _has_symbols(line)):
        return -1
    return _append_line(line, parts, out, end, scratch)


@compiled_loop
def _has_symbols(line: Bytes) -> bool:
    """Return whether a line may have symbols of templates, and be masked in part already."""
    # The first byte of a symbol is enough: a line that has it for another reason is hard, but not wrong.
    n_symbols = 0
    for byte in line:
        n_symbols += (byte == DIGITS_BYTE) | (byte == _SYMBOLS_BYTE)
    return n_symbols > 0


@compiled_loop
def _split(line: Bytes) -> _Parts:
    """Return the parts of a line; dots at the end of its host are not part of it, nor is `www.`."""
    scheme_stop, user = _find_scheme(line)
    rest = user
    host = user_stop = user
    while rest < line.size and not _ENDS_AUTHORITY[line[rest]]:
        if line[rest] == AT:
            host, user_stop = rest + 1, rest
        rest += 1
    # The last "@" ends a user, and what follows the last colon is a port only if it is digits.
    host_stop = _find_port(line, host, rest)
    port = min(host_stop + 1, rest)
    kind = _kind_of(line[host:host_stop])
    if kind != NO_HOST and user == 0 and not _is_bare(line[:user_stop], line[host:host_stop]):
        kind = NO_HOST
    # Whether a line has a host is decided before these are taken away, as the definition does.
    while host_stop > host and line[host_stop - 1] == DOT:
        host_stop -= 1
    while starts_with(line[host:host_stop], _WWW) and _has_dot(line[host + _WWW.size : host_stop]):
        host += _WWW.size
    if kind == EASY and host == host_stop:
        kind = NO_HOST
    return _Parts(kind, scheme_stop, user, user_stop, host, host_stop, port, rest)


@compiled_loop
def _find_scheme(line: Bytes) -> tuple[int, int]:
    """Return the end of the scheme, and where the authority begins, which is 0 for a line without slashes."""
    stop = 0
    if line.size > 0 and 65 <= (line[0] & 0xDF) <= 90:
        while stop < line.size and _IN_SCHEME[line[stop]]:
            stop += 1
    # Behind a scheme stands a colon; a line may also begin with the two slashes.
    after = stop + (stop > 0)
    has_colon = stop == 0 or (stop < line.size and line[stop] == COLON)
    if has_colon and after + 1 < line.size and line[after] == SLASH and line[after + 1] == SLASH:
        return stop, after + 2
    return 0, 0


@compiled_loop
def _find_port(line: Bytes, host: int, rest: int) -> int:
    """Return where the colon before a port stands, or where the host ends without one."""
    i = rest
    while i > host and 48 <= line[i - 1] < 58:
        i -= 1
    return i - 1 if i > host and line[i - 1] == COLON else rest


@compiled_loop
def _kind_of(host: Bytes) -> int:
    """Return the kind of a line that has something in the place of a host."""
    if host.size > 2 and host[0] == OPEN and host[-1] == CLOSE:
        for byte in host[1:-1]:
            if not _IN_ADDRESS[byte]:
                return NO_HOST
        return EASY
    # All of a host is looked at: a character that no host has outweighs one that makes it hard.
    kind = EASY if host.size else NO_HOST
    for i in range(host.size):
        if _NOT_IN_HOST[host[i]]:
            return NO_HOST
        if host[i] >= 0x80 or host[i] == PERCENT or starts_with(host[i:], _PUNYCODE):
            kind = HARD
    return kind


@compiled_loop
def _is_bare(user: Bytes, host: Bytes) -> bool:
    """Return whether a host is seen to be one without a scheme or slashes in front."""
    for byte in user:
        if _NOT_IN_USER[byte]:
            return False
    return host[0] == OPEN or (host[-1] != DOT and _has_dot(host))


@compiled_loop
def _has_dot(host: Bytes) -> bool:
    """Return whether there is a dot."""
    return _find(host, DOT, host.size) < host.size


@compiled_loop
def _append_line(line: Bytes, parts: _Parts, out: Bytes, end: int, scratch: Scratch) -> int:
    """Append the form of a line."""
    if parts.kind == NO_HOST:
        stop = append(line, out, end)
        return (
            mask_in_place(out, end + parts.user, stop, scratch.units, MASK_DIGITS)
            if scratch.is_masked
            else stop
        )
    # Nothing that is appended is longer than what it stands for in the line, so there is room for it.
    start = _append_user(line, parts, out, end)
    end = _append_lower(line[parts.host : parts.host_stop], out, start)
    if scratch.is_masked and not _is_ipv4(out[start:end]):
        end = mask_in_place(out, start, end, scratch.units, KEEP_DIGITS)
    if not _is_default(line[: parts.scheme_stop], line[parts.port : parts.rest]):
        out[end] = COLON
        end = append(line[parts.port : parts.rest], out, end + 1)
    return _append_rest(line[parts.rest :], out, end, scratch)


@compiled_loop
def _append_user(line: Bytes, parts: _Parts, out: Bytes, end: int) -> int:
    """Append what stands before a host: slashes, if it needs them, and a user."""
    user, host = line[parts.user : parts.user_stop], line[parts.host : parts.host_stop]
    if not _is_web(line[: parts.scheme_stop]):
        end = _append_lower(line[: parts.scheme_stop + 1], out, end)
        end = append(line[parts.scheme_stop + 1 : parts.user], out, end)
    elif not _is_bare(user, host):
        out[end] = out[end + 1] = SLASH
        end += 2
    if user.size:
        end = append_decoded(user, out, end)
        out[end] = AT
        end += 1
    return end


@compiled_loop
def _append_lower(text: Bytes, out: Bytes, end: int) -> int:
    """Append a text in lower case."""
    for byte in text:
        out[end] = LOWER[byte]
        end += 1
    return end


@compiled_loop
def _is_web(scheme: Bytes) -> bool:
    """Return whether a scheme is left out of pages."""
    return scheme.size == 0 or _is(scheme, _HTTP) or _is(scheme, _HTTPS)


@compiled_loop
def _is(text: Bytes, name: Bytes) -> bool:
    """Return whether a text is a name, in any case."""
    return text.size == name.size and starts_with(text, name)


@compiled_loop
def _is_default(scheme: Bytes, port: Bytes) -> bool:
    """Return whether a port is left out of pages."""
    if port.size == 0 or _is(scheme, _FTP):
        return port.size == 0 or _is(port, _21)
    has_default = _is_web(scheme) or _is(scheme, _WS) or _is(scheme, _WSS)
    return has_default and (_is(port, _80) or _is(port, _443))


@compiled_loop
def _is_ipv4(host: Bytes) -> bool:
    """Return whether a host is four numbers."""
    dots, was_dot = 0, True
    for byte in host:
        if byte == DOT and not was_dot:
            dots += 1
        elif not 48 <= byte < 58:
            return False
        was_dot = byte == DOT
    return dots == 3 and not was_dot


@compiled_loop
def _append_rest(rest: Bytes, out: Bytes, end: int, scratch: Scratch) -> int:
    """Append path, query and fragment."""
    fragment = _find(rest, HASH, rest.size)
    query = _find(rest, QUESTION, fragment)
    start = end
    end = append_path(rest[:query], out, end)
    if scratch.is_masked:
        end = mask_in_place(out, start, end, scratch.units, MASK_DIGITS)
    end = append_query(rest[query + 1 : fragment], out, end, scratch)
    if fragment + 1 < rest.size and (rest[fragment + 1] == SLASH or rest[fragment + 1] == BANG):
        out[end] = HASH
        start = end + 1
        end = append_decoded(rest[fragment + 1 :], out, start)
        if scratch.is_masked:
            end = mask_in_place(out, start, end, scratch.units, MASK_DIGITS)
    return end


@compiled_loop
def _find(text: Bytes, character: int, stop: int) -> int:
    """Return the place of the first of a character before a place, or that place."""
    for i in range(stop):
        if text[i] == character:
            return i
    return stop
