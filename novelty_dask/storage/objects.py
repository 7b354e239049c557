"""Bytes under keys: the five operations of which everything durable is made.

`LocalObjects` keeps them in a folder, `RemoteObjects` in what fsspec reaches.  Both pass the same
tests, and nothing above knows which it has.
"""

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, cast

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from novelty_dask.errors import StoreError
from novelty_dask.storage.faults import reason, writable

PARTIAL = ".partial"
"""How the files end that are being written, or were when their writer was killed."""

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

    def create(self, key: str, data: Data) -> bool:
        """Store an object where there is none, as `write` does; whether it was this one that was stored."""
        ...

    def remove(self, key: str) -> None:
        """Remove an object, or all whose keys begin with a prefix; nothing happens if there are none."""
        ...

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Length in bytes of each object whose key begins with a prefix, in no order."""
        ...

    def exists(self) -> bool:
        """Whether there is anything at all, be it no object."""
        ...

    def sweep(self) -> int:
        """Remove what killed writers left half-written; how many there were."""
        ...


def open_objects(url: str) -> Objects:
    """The objects under a path or a URL.

    Raises
    ------
    StoreError
        The URL is of a kind that fsspec does not know.
    """
    try:
        fs, path = url_to_fs(url)
    except (ImportError, ValueError) as error:
        message = f"Can't use {url!r}: {reason(error)}."
        raise StoreError(message) from None
    return LocalObjects(Path(path)) if isinstance(fs, LocalFileSystem) else RemoteObjects(fs, path)


class LocalObjects:
    """Objects as files of a folder.

    Parameters
    ----------
    root : Path
        The folder; made by the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, key: str) -> bytes:
        """The bytes of a file."""
        try:
            return (self.root / key).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise KeyError(key) from None

    def write(self, key: str, data: Data) -> None:
        """Write beside the place, sync, then rename."""
        self._store(key, data, os.replace)

    def create(self, key: str, data: Data) -> bool:
        """Write beside the place, sync, then link, which fails if something is there."""
        try:
            self._store(key, data, os.link)
        except FileExistsError:
            return False
        return True

    def remove(self, key: str) -> None:
        """Unlink a file, or all of a folder."""
        path = self.root / key
        if key.endswith("/") or not key:
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Walk the folder."""
        return {key: size for key, size in self._walk(prefix) if not key.endswith(PARTIAL)}

    def exists(self) -> bool:
        """Whether a file is there, or anything else but what a writer leaves that is killed at once."""
        if self.root.is_symlink() or not self.root.is_dir():
            return self.root.is_symlink() or self.root.exists()
        return any(not key.endswith(PARTIAL) for key, _ in self._walk(""))

    def sweep(self) -> int:
        """Unlink partial files."""
        partial = [key for key, _ in self._walk("") if key.endswith(PARTIAL)]
        for key in partial:
            self.remove(key)
        return len(partial)

    def _store(self, key: str, data: Data, place: Callable[[Path, Path], None]) -> None:
        """Write a file of another name, bring it down to the disk, and give it its name."""
        path = self.root / key
        partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PARTIAL}")
        with writable(self.root, len(data)):
            self._check_inside(path.parent)
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with partial.open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                place(partial, path)
            finally:
                partial.unlink(missing_ok=True)
            _sync_folder(path.parent)

    def _check_inside(self, folder: Path) -> None:
        """Refuse to write through a link that leads out of the folder."""
        if not folder.resolve().is_relative_to(self.root.resolve()):
            message = f"{str(folder)!r} is a link that leads out of the run; remove it."
            raise StoreError(message)

    def _walk(self, folder: str) -> Iterator[tuple[str, int]]:
        """Keys and lengths of all files in a folder."""
        with suppress(FileNotFoundError), os.scandir(self.root / folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from self._walk(f"{folder}{entry.name}/")
                else:
                    with suppress(FileNotFoundError):
                        yield f"{folder}{entry.name}", entry.stat(follow_symlinks=False).st_size


def _sync_folder(folder: Path) -> None:
    """Bring the names in a folder down to the disk; other systems than POSIX can't."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class RemoteObjects:
    """Objects in any file system of fsspec whose writes are whole or nothing, such as an object store.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
    root : str
        Path in it.
    """

    def __init__(self, fs: Any, root: str) -> None:
        self.fs = fs
        self.root = root.rstrip("/")

    def read(self, key: str) -> bytes:
        """Get."""
        try:
            return cast("bytes", self.fs.cat_file(f"{self.root}/{key}"))
        except FileNotFoundError:
            raise KeyError(key) from None

    def write(self, key: str, data: Data) -> None:
        """Put."""
        self.fs.pipe_file(f"{self.root}/{key}", bytes(data))

    def create(self, key: str, data: Data) -> bool:
        """Put if nothing is there."""
        try:
            self.fs.pipe_file(f"{self.root}/{key}", bytes(data), mode="create")
        except FileExistsError:
            return False
        return True

    def remove(self, key: str) -> None:
        """Delete."""
        path = f"{self.root}/{key}".rstrip("/")
        with suppress(FileNotFoundError):
            self.fs.rm(path, recursive=key.endswith("/") or not key)

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """List."""
        self.fs.invalidate_cache()
        found = self.fs.find(f"{self.root}/{prefix}".rstrip("/"), detail=True)
        start = len(self.root) + 1
        return {path[start:]: entry["size"] for path, entry in found.items()}

    def exists(self) -> bool:
        """Whether anything is there."""
        return bool(self.fs.exists(self.root))

    def sweep(self) -> int:
        """Nothing is ever half-written."""
        return 0
