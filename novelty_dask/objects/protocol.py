"""Bytes under keys: the few operations of which everything durable is made."""

from collections.abc import Callable, Iterable
from typing import Protocol

METADATA = "zarr.json"
"""What tells a Zarr group or array, such as a run."""

PARTIAL = ".partial"
"""The end of the names of objects that are not whole yet; a killed writer may leave one."""

Data = bytes | bytearray | memoryview


class Objects(Protocol):
    """What a run is kept in.

    Keys are relative paths with ``/``.  A prefix is empty or ends in ``/``.
    """

    def read(self, key: str) -> bytes:
        """The bytes of an object; KeyError if there is none."""
        ...

    def write(self, key: str, data: Data) -> None:
        """Store an object, whole or not at all, in place of any other; durable on return."""
        ...

    def write_stream(self, key: str, chunks: Iterable[Data]) -> int:
        """Store chunks one after the other as one object, as `write` does; return its length.

        No more than a few chunks are held in memory.  What iterating over the chunks raises, and any OSError,
        is raised as it is, and the object is as it was before.
        """
        ...

    def create(self, key: str, data: Data) -> bool:
        """Store an object where there is none, as `write` does; whether it was this one that was stored."""
        ...

    def remove(self, key: str) -> None:
        """Remove an object, or all whose keys begin with a prefix; nothing happens if there are none."""
        ...

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Length in bytes of each object whose key begins with a prefix, in no order."""
        ...

    def lengths(self) -> Callable[[str], int | None]:
        """What tells the length in bytes of an object, None if there is none, for a look at many of them."""
        ...

    def exists(self) -> bool:
        """Whether there is anything at all, be it no object."""
        ...

    def sweep(self) -> int:
        """Remove what killed writers left half-written; how many there were."""
        ...
