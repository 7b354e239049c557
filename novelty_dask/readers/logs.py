"""Access logs of web servers and proxies: of each line, the address that was requested."""

from __future__ import annotations

from typing import TYPE_CHECKING

from novelty_dask.kernels.text.lines import Reason
from novelty_dask.readers.readers import BrokenError
from novelty_dask.readers.record_lines import Record, RecordLines
from novelty_dask.readers.requests import (
    Parse,
    Request,
    ZeekLines,
    parse_common,
    parse_json,
    parse_squid,
    unescaped,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from novelty_dask.readers.record_lines import Take

LINES = 100
"""First lines that show the kind of a log."""
PARSERS: tuple[Parse, ...] = (parse_common, parse_squid, parse_json)
"""Kinds of lines; of two that fit as many, the first."""
USUAL_PORTS = (b":80", b":443")


class LogReader(RecordLines):
    """Reader of the requests of access logs.

    Parameters
    ----------
    host : str or None
        Host of requests that were logged without one; without it, their path alone is the record.
    keep : sequence of {"method", "status"}
        Further fields that rows keep.
    """

    def __init__(self, host: str | None, keep: Sequence[str] = ()) -> None:
        self._host = (host or "").rstrip("/").encode()
        self._keep = keep

    def learn(self, beginning: bytes) -> Take:
        """Return how a line is read, by the first lines: all are of the kind that fits most of those."""
        lines = [line.rstrip(b"\r") for line in beginning.split(b"\n")[:LINES] if line.strip()]
        if header := next((line for line in lines if line.startswith(b"#fields\t")), None):
            return self._learn_zeek(ZeekLines(header))
        fits = [sum(parse(line) is not None for line in lines) for parse in PARSERS]
        if lines and not any(fits):
            message = (
                "is no access log that is known: its first lines are not common or combined, nor JSON, nor "
                "of squid or Zeek; write its URLs as text, one a line"
            )
            raise BrokenError(message)
        parse = PARSERS[fits.index(max(fits))]
        return lambda line: self._take(parse(line))

    def _learn_zeek(self, lines: ZeekLines) -> Take:
        """Return how a line of Zeek is read."""
        if not lines.has_requests:
            message = "is a log of Zeek without the field 'uri'; name its http.log"
            raise BrokenError(message)

        def take(line: bytes) -> bytes | Record | Reason | None:
            if not line.startswith(b"#"):
                return self._take(lines.parse(line))
            if lines.is_other_header(line):
                message = "was joined from logs with other fields; score them as two sources"
                raise BrokenError(message)
            # The header, and where a log was closed.
            return None

        return take

    def _take(self, request: Request | None) -> bytes | Record | Reason:
        """Return the address of a request, with what rows keep of it."""
        address = self._address(request)
        if request is None or isinstance(address, Reason) or not self._keep:
            return address
        fields = (getattr(request, name).decode("utf-8", "replace") for name in self._keep)
        # Where a log has nothing, it has a dash.
        return Record(address, [field if field.strip("-") else None for field in fields])

    def _address(self, request: Request | None) -> bytes | Reason:
        """Return the address of a request."""
        if request is None:
            return Reason.MALFORMED
        if not request.target:
            return Reason.MISSING
        target = unescaped(request.target)
        # Others are whole, as proxies log them, or have no path, as those that ask for a tunnel.
        if not target.startswith(b"/"):
            return target
        return (_without_port(request.host) or self._host) + target


def _without_port(host: bytes) -> bytes:
    """Return a host without a port that says nothing."""
    return host.rsplit(b":", 1)[0] if host.endswith(USUAL_PORTS) else host
