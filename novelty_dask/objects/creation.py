"""Creation of an object where there is none, even if the answer to the request is lost.

Network file systems and object stores may carry out a request whose answer is then lost.  The libraries below
repeat it by themselves, and the second attempt is refused: because of the object that the first one made.  A
refusal or an error therefore proves nothing until the object is read back.  If it has the bytes that were to
be stored, it was stored.

Two writers must never store the same bytes, or both would take the object for theirs.  Records hold a random
token for that, unless it makes no difference who wrote them.
"""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from novelty_dask.errors import StoreError

if TYPE_CHECKING:
    from novelty_dask.objects.protocol import Objects

CREATION_ATTEMPTS = 3
"""Attempts at a store that refuses and yet has no such object, which happens while one is being removed."""
PAUSE_SECONDS = 0.2


def make_token() -> str:
    """Return a text that nobody else has."""
    return uuid.uuid4().hex


def create_object(objects: Objects, key: str, data: bytes) -> bool:
    """Store an object where there is none; return whether the object there is now this one.

    Parameters
    ----------
    objects : Objects
    key : str
    data : bytes
        Bytes that no other writer stores, or that are as good from any writer.

    Raises
    ------
    StoreError
        The store refuses, and has no such object.
    Exception
        The error of the store, if the object was not stored nevertheless.
    """
    is_stored = False
    for _ in range(CREATION_ATTEMPTS):
        try:
            if objects.create(key, data):
                return True
        except Exception:
            is_stored = _is_stored(objects, key, data)
            if not is_stored:
                raise
            # Ask once more: on a disk the error may mean that the name of the file was not synced; a refusal
            # syncs it.
            continue
        # Refused: either by an object of another writer, or by our own, stored by an attempt that a library
        # repeated.
        with suppress(KeyError):
            return objects.read(key) == data
        # Nothing is there: S3 says this, too, where another request for the key has not ended.
        time.sleep(PAUSE_SECONDS)
    if is_stored:
        return True
    message = f"Can't create {key!r}: the store refuses it as existing, but has no such object; try again."
    raise StoreError(message)


def _is_stored(objects: Objects, key: str, data: bytes) -> bool:
    """Return whether an object was read and has some bytes; False if it can't be read."""
    with suppress(Exception):
        return objects.read(key) == data
    return False
