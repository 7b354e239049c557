"""Hosts files, and lists of ad blockers that name whole hosts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from novelty_dask.kernels.text.lines import Reason, split_lines
from novelty_dask.readers.readers import StreamReader
from novelty_dask.readers.records import Gathered

if TYPE_CHECKING:
    from collections.abc import Iterator

    from novelty_dask.kernels.text.lines import LineBatch

LINE_BYTES = 2**18
"""Longest line that is read; others are rejected."""
_ADDRESS = re.compile(rb"(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(?:%\w+)?")
_RULE = re.compile(rb"\|\|([^\s/^$*|]+)\^")
LOCAL = b"localhost.localdomain"


class HostsReader(StreamReader):
    """Reader of hosts: of ``0.0.0.0 a.example``, and of ``||a.example^``.

    A line with several hosts is several records, and each counts in the positions.  Names of this machine
    and its network, which have no dot, are skipped.
    """

    by_lines = True

    def scan(self, _name: str, chunks: Iterator[bytes], *, is_start: bool) -> Iterator[LineBatch]:
        """Yield the hosts of consecutive chunks."""
        gathered = Gathered()
        for raws in split_lines(chunks, LINE_BYTES, first_chunk_is_start=is_start):
            number = gathered.end
            for raw in raws:
                for found in _find_hosts(raw):
                    if isinstance(found, bytes):
                        gathered.add(number, found)
                    elif found:
                        gathered.reject(number, found, raw)
                    number += 1
            yield gathered.pop(number)


def _find_hosts(raw: bytes) -> list[bytes | Reason | None]:
    """Return the hosts of a line, or one fate; None is skipped."""
    line = raw.strip()
    if len(raw) > LINE_BYTES:
        return [Reason.TOO_LONG]
    if not line:
        return [Reason.BLANK]
    # Entries are switched off by `#` without a space, too.
    if line.startswith((b"#", b"!")):
        return [Reason.COMMENT]
    if line.startswith(b"[Adblock"):
        return [None]
    # Behind the host may be options; exceptions, paths and rules about elements name no whole host.
    if rule := _RULE.match(line):
        return [rule[1]]
    # Of several hosts each is a record.
    address, *names = line.split(b"#", 1)[0].split()
    if not names or not _ADDRESS.fullmatch(address):
        return [Reason.MALFORMED]
    return [None if _is_local(name) else name for name in names]


def _is_local(name: bytes) -> bool:
    """Return whether a name is one of this machine or its network, or an address."""
    return b"." not in name or name == LOCAL or _ADDRESS.fullmatch(name) is not None
