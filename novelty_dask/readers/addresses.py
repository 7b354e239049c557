"""Addresses among the texts of files that also hold others."""

import re

_ADDRESS = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://")


def is_address(text: bytes) -> bool:
    """Return whether a text is the address of something on a host: what is in `data:`, say, has none.

    >>> [is_address(text) for text in (b"https://a.example/", b"dns:a.example", b"data:,x", b"urn:x:https://a")]
    [True, False, False, False]
    """
    return _ADDRESS.match(text) is not None
