r"""Page and template of a URL: the readable definition, which the compiled one is tested against.

The *page* of a URL is what its spellings have in common.  The *template* of a URL is its page with a symbol
for each run of digits and each random token.  Neither is shown, stored or ever requested.
"""

import re
from typing import NamedTuple
from urllib.parse import unquote

import ada_url

from novelty_dask.kernels.text.templates import DIGITS, mask
from novelty_dask.kernels.text.tracking import LOWER, is_session, is_tracking

# A line has a host here where it has one in the features of URLs.
_AUTHORITY = re.compile(r"\A(?:([A-Za-z][A-Za-z0-9+.-]*):)?//([^/?#]*)")
_BARE_AUTHORITY = re.compile(r"[^/?#]*")
# Brackets with an IPv6 address, or characters other than controls, spaces and those that enclose or separate.
_HOST = re.compile(r"\[[0-9A-Fa-f:.]+\]|[^\x00-\x20\x7f\"#'(),/:;<>?@\[\\\]^`{|}]+")
# White space of ASCII, and a second "@".
_NO_USER = re.compile(r"[\t-\r @]")
_PORT = re.compile(r":[0-9]*\Z")
# What follows a stray percent sign is left alone, as a digit that is decoded there would make an escape; so
# it is with a symbol in the place of the first digit.
_ESCAPES = re.compile(rf"(?<!%)(?<!%[0-9A-Fa-f{DIGITS}])(?:%[0-9A-Fa-f]{{2}})+")
# Of RFC 3987, section 2.2: iunreserved.
_IS_TEXT = re.compile(
    "[A-Za-z0-9._~\\-\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef"
    + "".join(f"{chr(plane << 16)}-{chr((plane << 16) + 0xFFFD)}" for plane in range(1, 14))
    + "\U000e1000-\U000efffd]"
)
_PARAMETER = re.compile(r";([^;/=]*)=[^;/]*")
_OUTSIDE_ESCAPES = re.compile(r"%[0-9A-F]{2}|[A-Z]+")
WEB_SCHEMES = ("", "http", "https")
DEFAULT_PORTS = {**dict.fromkeys([*WEB_SCHEMES, "ws", "wss"], ("", "80", "443")), "ftp": ("", "21")}
LONGEST_HOST = 253
"""Characters of a name in the domain name system."""


class _Parts(NamedTuple):
    """A line that has a host."""

    scheme: str
    user: str
    host: str
    port: str
    rest: str


def page(line: str) -> str:
    """Return the page of a line, or the line itself if it has no host.

    Left out are the schemes http and https, ``www.``, default ports, tracking and session parameters, slashes
    at the end of the path, dots at the end of the host, and fragments but routes (``#/…`` and ``#!…``).  Case
    and percent-encoding are those of RFC 3986 and RFC 3987 [1]_, dot segments are resolved, hosts are in
    punycode by UTS 46, and the parameters of the query are sorted.

    References
    ----------
    .. [1] Sections 6.2.2 and 5.3.2: unreserved characters, in Unicode, are not encoded.

    Examples
    --------
    >>> page("http://www.x.example:80/a/../%6Cogin/;jsessionid=0A?b=2&utm_source=a&a=1#top")
    'x.example/login?a=1&b=2'
    >>> page("https://Bücher.example/#/route"), page("http://localhost/"), page("GET /x HTTP/1.1")
    ('xn--bcher-kva.example#/route', '//localhost', 'GET /x HTTP/1.1')
    """
    return _normalize(line, masked=False)


def template(line: str) -> str:
    r"""Return the template of a line.

    It is the page with one symbol for each run of digits, and one for each UUID, hexadecimal number and mixed
    token, whatever their length; see `templates`.  Digits of the host, its user and its port stay.  A line
    without a host is masked as a whole.

    Examples
    --------
    >>> template("https://x.example/orders/77") == template("http://www.x.example/orders/8/")
    True
    >>> template("/orders/34220a16-7aed-9c15-29f3-4d17cddcecfc/view")
    '/orders/\ufdd1/view'
    """
    return _normalize(line, masked=True)


def find_host(line: str) -> str:
    """Return the host of a line, as it stands in its page, or nothing.

    >>> find_host("https://me@www.Example.com:8080/x"), find_host("GET /x HTTP/1.1")
    ('example.com', '')
    """
    parts = _split(line)
    return _normal_host(parts.host) if parts else ""


def _normalize(line: str, *, masked: bool) -> str:
    """Return the page of a line, or its template."""
    parts = _split(line)
    host = _normal_host(parts.host) if parts else ""
    if not (parts and host):
        match = _AUTHORITY.match(line)
        start = match.start(2) if match else 0
        return line[:start] + mask(line[start:]) if masked else line
    if masked and not _is_plain(host):
        host = mask(host, digits=False)
    return _authority(parts, host) + _normal_rest(parts.rest, masked=masked)


def _split(line: str) -> _Parts | None:
    """Return the parts of a line, or None if it has no host."""
    match = _AUTHORITY.match(line) or _BARE_AUTHORITY.match(line)
    assert match
    scheme, authority = match.groups() if match.re is _AUTHORITY else (None, match[0])
    user, _, host = authority.rpartition("@")
    port = _PORT.search(host)
    host = host[: port.start()] if port else host
    is_host = _HOST.fullmatch(host) and (match.re is _AUTHORITY or _is_bare(user, host))
    digits = port[0][1:] if port else ""
    return (
        _Parts((scheme or "").translate(LOWER), user, host, digits, line[match.end() :]) if is_host else None
    )


def _is_bare(user: str, host: str) -> bool:
    """Return whether a host is seen to be one without a scheme or slashes in front."""
    return not _NO_USER.search(user) and (host[0] == "[" or ("." in host and host[-1] != "."))


def _is_plain(host: str) -> bool:
    """Return whether a host has no random tokens: punycode looks random, and IPv4 addresses are numbers."""
    return "xn--" in host or re.fullmatch(r"(?:[0-9]+\.){3}[0-9]+", host) is not None


def _authority(parts: _Parts, host: str) -> str:
    """Return scheme, user, host and port of a line; of these the host may be alone."""
    user = decode(parts.user)
    port = "" if parts.port in DEFAULT_PORTS.get(parts.scheme, ("",)) else f":{parts.port}"
    scheme = "" if parts.scheme in WEB_SCHEMES else f"{parts.scheme}:"
    return (
        scheme
        + ("" if not scheme and _is_bare(user, host) else "//")
        + (f"{user}@" if user else "")
        + host
        + port
    )


def _normal_host(host: str) -> str:
    """Return a host in lower case and punycode, without ``www.`` and dots at its end, or nothing."""
    if not host.isascii() or "%" in host or "xn--" in host.translate(LOWER):
        name = _to_ascii(host)
        if name:
            return name
        # No name by UTS 46: kept as it is, but for what is equal in every URL.
        lowered = _OUTSIDE_ESCAPES.sub(
            lambda part: part[0] if part[0][0] == "%" else part[0].lower(), decode(host)
        )
        return _strip(lowered)
    return _strip(host.translate(LOWER))


def _to_ascii(host: str) -> str:
    """Return a host in punycode, or nothing if it is no name by UTS 46."""
    try:
        name = ada_url.idna_to_ascii(unquote(host, errors="strict"))
        is_stable = ada_url.idna_to_ascii(name.decode()) == name
    except ValueError:
        return ""
    stripped = _strip(name.decode())
    # A name that holds what ends a host, once it is decoded, would be cut elsewhere the next time.
    is_name = is_stable and _HOST.fullmatch(stripped) and "%" not in stripped
    return stripped if is_name and len(stripped) <= LONGEST_HOST else ""


def _strip(host: str) -> str:
    """Return a host without dots at its end, and without ``www.`` before a name that has a dot."""
    host = host.rstrip(".")
    while host.startswith("www.") and "." in host[4:]:
        host = host[4:]
    return host


def _normal_rest(rest: str, *, masked: bool) -> str:
    """Return path, query and fragment."""
    hide = mask if masked else str
    rest, _, fragment = rest.partition("#")
    path, _, query = rest.partition("?")
    kept = [hide(part) for part in decode(query).split("&") if _is_kept(part)]
    # A part is masked before the query is sorted, so that the order does not depend on what is masked.
    route = f"#{hide(decode(fragment))}" if fragment.startswith(("/", "!")) else ""
    return hide(_normal_path(decode(path))) + "?" * bool(kept) + "&".join(sorted(kept)) + route


def _is_kept(part: str) -> bool:
    """Return whether a part of a query says which page it is."""
    name = part.partition("=")[0]
    return bool(part) and not is_tracking(name) and not is_session(name)


def _normal_path(path: str) -> str:
    """Return a path without sessions, dot segments and slashes at its end."""
    segments: list[str] = []
    path = _PARAMETER.sub(lambda part: "" if is_session(part[1]) else part[0], path)
    for segment in path.split("/")[1:]:
        if segment == "..":
            del segments[-1:]
        elif segment != ".":
            segments.append(segment)
    return "".join(f"/{segment}" for segment in segments).rstrip("/")


def decode(text: str) -> str:
    """Return a text in which unreserved characters are not percent-encoded, and others by capitals.

    >>> decode("%7e%c3%a9%2f%ff%4")
    '~é%2F%FF%4'
    """
    return _ESCAPES.sub(_decode_escapes, text)


def _decode_escapes(match: re.Match[str]) -> str:
    """Return what consecutive escapes stand for, as far as it is to be decoded."""
    # Bytes that are no UTF-8 become surrogates, which stay encoded, as other characters do that are no text.
    text = bytes.fromhex(match[0].replace("%", "")).decode(errors="surrogateescape")
    return "".join(
        character
        if _IS_TEXT.match(character)
        else "".join(f"%{byte:02X}" for byte in character.encode(errors="surrogateescape"))
        for character in text
    )
