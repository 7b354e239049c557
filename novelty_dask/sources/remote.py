"""Lists that lie behind URLs of the web, each read by one request, if that was asked for."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, OpenerDirector, build_opener

from novelty_dask.errors import InputError, reading_errors
from novelty_dask.objects.schemes import without_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPResponse

_LIST = re.compile(r"https?://(?P<user>[^/?#]*@)?[^/?#\s]", re.IGNORECASE)
TIMEOUT_SECONDS = 60


def is_list(url: str) -> bool:
    """Return whether a URL is one behind which a list can be read.

    >>> is_list("https://a.example/urls.txt"), is_list("ftp://a.example/urls.txt")
    (True, False)
    """
    return _LIST.match(url) is not None


def opener_of(url: str) -> Callable[[], BinaryIO]:
    """Return what makes the one request, and returns the answer as a stream.

    Raises
    ------
    InputError
        The URL has a password.
    """
    found = _LIST.match(url)
    if found and found["user"]:
        message = f"{without_path(url)!r} has a user name; read it with a program for that, and pipe it in."
        raise InputError(message)
    return partial(_open, url)


class _NoRedirects(HTTPRedirectHandler):
    """Handler of redirections that follows none, as that would be another request."""

    def redirect_request(self, *_arguments: Any) -> None:
        """Return nothing to ask for."""


class _Answer:
    """Answer to a request, which is whole or an error."""

    def __init__(self, response: HTTPResponse) -> None:
        self._response = response

    def close(self) -> None:
        """Close the connection."""
        self._response.close()

    def isatty(self) -> bool:
        """Return False."""
        return False

    def seekable(self) -> bool:
        """Return False."""
        return False

    def peek(self) -> bytes:
        """Return the first bytes, and leave them there."""
        return self._response.peek()

    def read(self, size: int) -> bytes:
        """Return the next bytes, none at the end.

        Raises
        ------
        EOFError
            The end came before as many bytes as were announced.
        """
        data = self._response.read(size)
        # The library itself takes a connection that breaks for the end.
        if not data and self._response.length:
            message = f"{self._response.length:,} bytes of it did not come"
            raise EOFError(message)
        return data


def _open(url: str) -> BinaryIO:
    """Ask for a URL, and return the answer as a stream.

    Raises
    ------
    InputError
        There is no such answer.
    """
    shown = without_path(url)
    # Only for the web: others of these handlers open files of this machine.
    opener: OpenerDirector = build_opener(_NoRedirects)
    with reading_errors(f"Can't read the list at {shown!r}"):
        try:
            return cast("BinaryIO", _Answer(opener.open(url, timeout=TIMEOUT_SECONDS)))
        except HTTPError as error:
            # The error is the answer itself, and has the connection.
            error.close()
            if 300 <= error.code < 400 and error.headers.get("Location"):
                place = without_path(error.headers["Location"])
                message = f"The list at {shown!r} has moved, to {place!r}; name its new URL."
                raise InputError(message) from None
            raise
