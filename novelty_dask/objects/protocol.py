"""Protocol of objects: the few operations that everything durable is made of."""

import re
import uuid
from collections.abc import Callable, Iterable
from typing import Protocol

METADATA = "zarr.json"
"""Key that marks a Zarr group or array, such as a run."""

_PARTIAL = re.compile(r"\.[0-9a-f]{32}\.partial$")

Data = bytes | bytearray | memoryview


def partial_name(name: str) -> str:
    """Return a new name for an object that is not whole yet; a killed writer may leave it behind."""
    return f"{name}.{uuid.uuid4().hex}.partial"


def is_partial(key: str) -> bool:
    """Return whether a key is that of an object that is not whole.

    >>> is_partial(partial_name("work/stdin")), is_partial("notes.partial")
    (True, False)
    """
    return bool(_PARTIAL.search(key))


class Objects(Protocol):
    """Place where a run is kept.

    Keys are relative paths with ``/``.  A prefix is empty or ends in ``/``.
    """

    def read(self, key: str) -> bytes:
        """Return the bytes of an object; KeyError if there is none."""
        ...

    def write(self, key: str, data: Data) -> None:
        """Store an object, whole or not at all, replacing any other; it is durable on return."""
        ...

    def write_stream(self, key: str, chunks: Iterable[Data]) -> int:
        """Store chunks one after the other as one object, as `write` does; return its length.

        No more than a few chunks are held in memory.  What iterating over the chunks raises, and any OSError,
        is raised as it is, and the object is as it was before.
        """
        ...

    def create(self, key: str, data: Data) -> bool:
        """Store an object where there is none, as `write` does; return whether it was stored."""
        ...

    def check_creation(self) -> None:
        """Refuse a place where `create` replaces what is there.

        Raises
        ------
        StoreError
            It is a store that ignores the condition of a request; nothing is left in it.
        """
        ...

    def remove(self, key: str) -> None:
        """Remove an object, or all whose keys begin with a prefix; do nothing if there are none."""
        ...

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Return the length in bytes of each object whose key begins with a prefix, in no order."""
        ...

    def modified(self, key: str) -> float | None:
        """Return when an object was last stored, in seconds by the clock of the store; None if unknown.

        Only differences of two such times mean anything: the clock is neither that of this host nor right.
        """
        ...

    def lengths(self) -> Callable[[str], int | None]:
        """Return a function from key to size in bytes (None if absent), for a look at many known keys."""
        ...

    def exists(self) -> bool:
        """Return whether there is anything at all, even if it is no object."""
        ...

    def sweep(self) -> int:
        """Remove the incomplete objects of killed writers; return their number."""
        ...
