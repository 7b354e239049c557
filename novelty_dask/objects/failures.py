"""Failures of stores, in words for people.

A message of obstore has a page of internals.  Among them are the address of the request, which may hold a
signature, and what the server said, which may hold the name of the user's key.
"""

from __future__ import annotations

import re

from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

_STATUS = re.compile(r"status code: (\d{3}[^:\n]*)")
_CODE = re.compile(r"<Code>(\w{1,80})</Code>")
_SYSTEM = re.compile(r'message: "([^"\n]{1,200})"')
_QUERY = re.compile(r"\?\S+")


def said_by(error: BaseException) -> str:
    """Return what went wrong with a request, in a form that can end a sentence and holds no secret."""
    text = str(error)
    if status := _STATUS.search(text):
        code = _CODE.search(text)
        return status[1].strip() + (f" ({code[1]})" if code else "")
    if system := _SYSTEM.search(text):
        return system[1]
    first = text.partition("\n")[0].rpartition(" - ")[2] or type(error).__name__
    return _QUERY.sub("", first)[:200].rstrip(". ")


def advice_on(error: BaseException) -> str:
    """Return what to do about the error of a request, to end a sentence."""
    if isinstance(error, (PermissionDeniedError, UnauthenticatedError)):
        return "check its credentials, then try again"
    return "try again when it works"
