"""Documents of JSON that hold a list of records: HAR and MISP."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from novelty_dask.readers.addresses import is_address
from novelty_dask.readers.documents import DocumentReader, Numbered
from novelty_dask.readers.json_scanner import JsonParser

if TYPE_CHECKING:
    from novelty_dask.readers.documents import Parser
    from novelty_dask.readers.json_scanner import Fields

ADDRESS_TYPES = (b"url", b"uri", b"link", b"domain", b"hostname")
"""Types of attributes whose value is scored as it is."""


class HarReader(DocumentReader):
    """Reader of the requests in HAR; those without a host, such as ``data:``, are skipped."""

    def start(self, records: Numbered) -> Parser:
        """Return the parser of requests."""
        return JsonParser((b"log", b"entries"), ((b"request", b"url"),), partial(_add_request, records))


class MispReader(DocumentReader):
    """Reader of the attributes of MISP that hold addresses or hosts, of events and of their objects."""

    def start(self, records: Numbered) -> Parser:
        """Return the parser of attributes."""
        return JsonParser((b"Attribute",), ((b"type",), (b"value",)), partial(_add_attribute, records))


def _add_request(records: Numbered, fields: Fields) -> None:
    """Add the address of a request."""
    # What has none is missing; what a page made itself was not requested from anywhere.
    address = fields.get((b"request", b"url"))
    if address is None or is_address(address):
        records.add(address)
    else:
        records.skip()


def _add_attribute(records: Numbered, fields: Fields) -> None:
    """Add the address or the host of an attribute; others are skipped."""
    kind, value = fields.get((b"type",)), fields.get((b"value",))
    # Hosts with what belongs to them; an address of IP alone is no URL.
    if kind == b"domain|ip" and value:
        records.add(value.split(b"|", 1)[0])
    elif kind == b"hostname|port" and value:
        records.add(value.replace(b"|", b":", 1))
    elif kind in ADDRESS_TYPES:
        records.add(value)
    else:
        records.skip()
