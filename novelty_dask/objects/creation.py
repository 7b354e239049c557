"""Creation of an object where there is none, also if the answer to it is lost.

On network file systems and object stores a request may be carried out although its answer is lost.  Whoever
repeats it, which layers below this one do by themselves, is then refused because of its own object.  So a
refusal, and an error, mean nothing before the object is read: if it has the bytes that were to be stored, it
was stored.

Two writers must not store the same bytes, or both would succeed: records hold a token of their writer, unless
it makes no difference who wrote them.
"""

import uuid
from contextlib import suppress

from novelty_dask.errors import StoreError
from novelty_dask.objects.protocol import Objects

ATTEMPTS = 3
"""How often to try where a store refuses, and then has nothing: it may, if the object was just removed."""


def make_token() -> str:
    """Return text that nobody else has."""
    return uuid.uuid4().hex


def create_object(objects: Objects, key: str, data: bytes) -> bool:
    """Store an object where there is none; return whether it is there now, and not another.

    Parameters
    ----------
    objects : Objects
    key : str
    data : bytes
        Other bytes than any other writer's.

    Raises
    ------
    StoreError
        The store refuses, and has nothing.
    Exception
        As the store raised it, if the object was not stored all the same.
    """
    is_stored = False
    for _ in range(ATTEMPTS):
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
        with suppress(KeyError):
            return objects.read(key) == data
    if is_stored:
        return True
    message = f"Can't create {key!r}: the store refuses it as existing, but has no such object; try again."
    raise StoreError(message)


def _is_stored(objects: Objects, key: str, data: bytes) -> bool:
    """Return whether an object is seen to have some bytes; what can't be read is not."""
    with suppress(Exception):
        return objects.read(key) == data
    return False
