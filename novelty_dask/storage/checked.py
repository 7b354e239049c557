"""A Zarr store that trusts nothing: every chunk is checked against the commit of the task that wrote it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest

from novelty_dask.errors import DamageError, StoreError, shell_quoted
from novelty_dask.objects.commits import Commits, Digest, Draft, read_verified
from novelty_dask.objects.protocol import METADATA, Objects
from novelty_dask.storage.chunks import size_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable

    from zarr.core.buffer import Buffer, BufferPrototype

    from novelty_dask.planning.stages import TaskId
    from novelty_dask.storage.layout import Layout

ROOT_DOCUMENT = b'{"zarr_format": 3, "node_type": "group"}'
"""What Zarr reads as the document of the run's own group."""


class CheckedStore(Store):
    """Zarr's view of a run.

    Chunks are read as they were committed or not at all: a chunk that is missing, cut or altered raises
    DamageError, where Zarr itself would return fill values.  A task that writes sees its own chunks.

    Parameters
    ----------
    objects : Objects
        Of the run.
    commits : Commits
        Of the run.
    layout : Layout
        Says which task writes which chunk.
    draft : Draft, optional
        Records what is written; chunks can't be written without it.
    failed : collection of TaskId
        Tasks that failed: the chunks that they should have written read as fill values.
    reference : str
        URL of the run if it is the reference of another, which no session of that other can mend.
    """

    supports_writes = True
    supports_deletes = False
    supports_listing = True

    def __init__(
        self,
        objects: Objects,
        commits: Commits,
        layout: Layout,
        draft: Draft | None = None,
        failed: Collection[TaskId] = (),
        reference: str = "",
    ) -> None:
        super().__init__(read_only=False)
        self.objects = objects
        self.commits = commits
        self.layout = layout
        self.draft = draft
        self.failed = failed
        self.reference = reference
        self._digests: dict[TaskId, dict[str, Digest]] = {}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CheckedStore) and (self.objects, self.draft) == (other.objects, other.draft)

    def __hash__(self) -> int:
        # Without the draft, as what is equal has the same objects, and a draft changes.
        return hash(self.objects)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return the bytes under a key, those of a chunk checked; None if there are none yet."""
        # Reading blocks, and Zarr reads many chunks at once on its one event loop.
        data = await asyncio.to_thread(self._read, key)
        return None if data is None else prototype.buffer.from_bytes(_part(data, byte_range))

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return parts of the bytes under keys."""
        return [await self.get(key, prototype, byte_range) for key, byte_range in key_ranges]

    async def set(self, key: str, value: Buffer) -> None:
        """Store bytes durably, and record those of a chunk."""
        await asyncio.to_thread(self._write, key, value.to_bytes())

    async def exists(self, key: str) -> bool:
        """Return whether there is something under a key."""
        return await asyncio.to_thread(self._read, key) is not None

    async def delete(self, key: str) -> None:
        """Refuse to remove what is under a key."""
        # No task removes anything, and an array that a user makes smaller would lose its chunks.
        raise PermissionError(key)

    async def delete_dir(self, prefix: str) -> None:
        """Refuse to remove all that is under a prefix."""
        raise PermissionError(prefix)

    async def list(self) -> AsyncIterator[str]:
        """Yield all keys."""
        for key in self.objects.sizes():
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Yield all keys that begin with a prefix."""
        for key in self.objects.sizes(prefix):
            yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Yield the names that follow a prefix."""
        folder = f"{prefix.rstrip('/')}/".lstrip("/")
        for name in {key.removeprefix(folder).split("/")[0] for key in self.objects.sizes(folder)}:
            yield name

    def find(self, key: str) -> bytes | None:
        """Return the bytes under a key, unchecked; None if there are none."""
        try:
            return self.objects.read(key)
        except KeyError:
            return None

    def _read(self, key: str) -> bytes | None:
        """Return the bytes under a key."""
        if key == METADATA:
            # The manifest is read and checked elsewhere; nothing else of it matters here, damaged or not.
            return ROOT_DOCUMENT
        if key.rpartition("/")[2] == METADATA:
            # Metadata have no commit; they are compared with the layout where an array is opened.
            return self.find(key)
        task = self._writer(key)
        if self.draft and task == self.draft.task:
            # An earlier attempt of the same task may have left chunks: only those of this one count.  Zarr
            # asks for chunks that it fills in part, and None makes it start from fill values.
            return self.find(key) if key in self.draft.digests else None
        if task in self.failed:
            # Zarr takes None for a chunk of fill values, which is what a partial run shows.
            return None
        try:
            data = read_verified(self.objects, task, key, self._digests_of(task, key).get(key))
            check_chunk(self.layout, task, key, data)
        except DamageError as error:
            # A DamageError would make this session do a task of its own run again.
            if self.reference:
                raise damaged_reference(self.reference, error) from None
            raise
        return data

    def _digests_of(self, task: TaskId, key: str) -> dict[str, Digest]:
        """Return the digests of what a task wrote, looked up once."""
        if task not in self._digests:
            self._digests[task] = self.commits.digests(task, key)
        return self._digests[task]

    def _write(self, key: str, data: bytes) -> None:
        """Store bytes."""
        if key.rpartition("/")[2] == METADATA:
            self.objects.write(key, data)
        elif self.draft is None or self._writer(key) != self.draft.task:
            # Two writers of one chunk would lose data without a word, so a task writes its own alone.
            raise PermissionError(key)
        else:
            self.draft.write(key, data)

    def _writer(self, key: str) -> TaskId:
        """Return the task that writes a chunk."""
        task = self.layout.writer(key)
        if task is None:
            message = f"{key!r} does not belong to any array of a run."
            raise StoreError(message)
        return task


def damaged_reference(url: str, error: DamageError) -> StoreError:
    """Return the error of a reference that is damaged."""
    found = str(error).partition(";")[0]
    return StoreError(
        f"The reference {url!r} is damaged: {found}; `novelty resume {shell_quoted(url)}` mends it."
    )


def check_chunk(layout: Layout, task: TaskId, key: str, data: bytes) -> None:
    """Refuse to decode a chunk to more, or less, than it should be; other objects pass.

    Raises
    ------
    DamageError
        It announces another size than its array has.
    """
    spec = layout.spec(key)
    error = size_error(spec, data) if spec else None
    if error:
        raise DamageError.of(task, key, error)


def _part(data: bytes, part: ByteRequest | None) -> bytes:
    """Return the requested part of some bytes."""
    if isinstance(part, RangeByteRequest):
        return data[part.start : part.end]
    if isinstance(part, OffsetByteRequest):
        return data[part.offset :]
    if isinstance(part, SuffixByteRequest):
        return data[-part.suffix :]
    return data
