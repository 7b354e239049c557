"""Lines of access logs, and the request that each kind of line tells."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from pydantic_core import from_json


class Request(NamedTuple):
    """A request as it was logged.

    Parameters
    ----------
    target : bytes
        The path, or the whole address; empty if it was not logged.
    host : bytes
        The host, empty if the log has none.
    method, status : bytes
        The method, and the code of the answer; empty if they were not logged.
    """

    target: bytes
    host: bytes = b""
    method: bytes = b""
    status: bytes = b""


Parse = Callable[[bytes], Request | None]
"""Takes a line, and returns its request, None if it is no line of the kind."""
# The host that was asked may stand before that of the client, behind which is a dash mostly.
_HOST = rb"(?:(?P<host>(?=\S*[A-Za-z])[\w.-]+(?::\d+)?) (?!- )\S+ \S+ \S+ (?=\[))?"
# The time in brackets, and the request in quotes, which may hold escaped quotes, before the status.
_TARGET = rb'(?P<target>[^"\\]*(?:\\.[^"\\]*)*)'
_COMMON = re.compile(
    _HOST + rb'[^\["]*\[[^\]"]*\] "(?P<method>[A-Za-z][\w-]*) ' + _TARGET + rb'" (?P<status>\d{3}|-)'
)
_SQUID = re.compile(
    rb"\s*\d+\.\d+\s+-?\d+ \S+ \S+/(?P<status>\d{3}) \d+ (?P<method>\S+) (?P<target>(?!error:)\S+)"
)
_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|(.))", re.DOTALL)
HOST_NAMES = ("host", "http_host", "server_name")
METHOD_NAMES = ("request_method", "method")
TARGET_NAMES = ("request", "request_uri", "uri")
"""Fields in JSON, the first of them that has a text."""


def parse_common(line: bytes) -> Request | None:
    """Return the request of a line of the common or the combined format, with or without the host in front.

    >>> parse_common(b'a.example:80 192.0.2.7 - - [01/Jan/2025:00:00:00 +0000] "GET /x HTTP/1.1" 200 9')
    Request(target=b'/x', host=b'a.example:80', method=b'GET', status=b'200')
    """
    found = _COMMON.match(line)
    if not found:
        return None
    target, host = _without_protocol(found["target"]), found["host"] or b""
    return Request(target, host, found["method"], found["status"])


def parse_squid(line: bytes) -> Request | None:
    """Return the request of a line of squid.

    >>> parse_squid(b"1735689600.123    45 192.0.2.7 TCP_MISS/200 99 GET http://a.example/ - DIRECT/- -")
    Request(target=b'http://a.example/', host=b'', method=b'GET', status=b'200')
    """
    found = _SQUID.match(line)
    return Request(found["target"], b"", found["method"], found["status"]) if found else None


def parse_json(line: bytes) -> Request | None:
    """Return the request of an object of JSON.

    >>> parse_json(b'{"request": "GET /x HTTP/1.1", "host": "a.example"}')
    Request(target=b'/x', host=b'a.example', method=b'GET', status=b'')
    """
    try:
        value = from_json(line) if line.lstrip().startswith(b"{") else None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        return None
    # Servers name the fields as they are configured.
    target, host = (
        next((text for name in names if isinstance(text := value.get(name), str) and text), "")
        for names in (TARGET_NAMES, HOST_NAMES)
    )
    method, space, rest = target.partition(" ")
    is_line = space and method.isalpha()
    named = next((text for name in METHOD_NAMES if isinstance(text := value.get(name), str) and text), "")
    status = value.get("status")
    return Request(
        _without_protocol(_encoded(rest if is_line else target)),
        _encoded(host),
        _encoded(method if is_line else named),
        _encoded(str(status)) if isinstance(status, str | int) else b"",
    )


class ZeekLines:
    """Lines of Zeek, of fields that its header names.

    Parameters
    ----------
    header : bytes
        The line that names the fields.

    Attributes
    ----------
    has_requests : bool
        True if the field of targets is there, as in logs of HTTP.
    """

    def __init__(self, header: bytes) -> None:
        self._header = header
        names = header.split(b"\t")[1:]
        self._n_fields = len(names)
        self.has_requests = b"uri" in names
        wanted = (b"uri", b"host", b"method", b"status_code")
        self._places = tuple(names.index(name) if name in names else None for name in wanted)

    def is_other_header(self, line: bytes) -> bool:
        """Return whether a line names other fields."""
        return line.startswith(b"#fields") and line != self._header

    def parse(self, line: bytes) -> Request | None:
        """Return the request of a line."""
        fields = line.split(b"\t")
        if len(fields) < self._n_fields:
            return None
        values = [b"" if place is None else fields[place] for place in self._places]
        # What is not set, or empty, is written so.
        return Request(*(b"" if value in (b"-", b"(empty)") else value for value in values))


def unescaped(text: bytes) -> bytes:
    r"""Return a text without the escapes by which logs write quotes and bytes that are no ASCII.

    >>> unescaped(rb"/\x22\"\\")
    b'/""\\'
    """
    if b"\\" not in text:
        return text
    return _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()) if found[1] else found[2], text)


def _without_protocol(request: bytes) -> bytes:
    """Return a target without the protocol behind it, which old requests lack."""
    # From the right, as targets may hold spaces.
    target, protocol, _ = request.rpartition(b" HTTP/")
    return target if protocol else request


def _encoded(text: str) -> bytes:
    """Return a text of JSON as bytes, which may be no UTF-8."""
    return text.encode("utf-8", "surrogatepass")
