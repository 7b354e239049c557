"""Objects in a file system of fsspec, such as an object store."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC
from functools import cache
from typing import Any, cast

from fsspec import AbstractFileSystem
from fsspec.asyn import AsyncFileSystem

from novelty_dask.errors import NoveltyError, UnreachableError, reason
from novelty_dask.objects.protocol import Data, is_partial, partial_name

_FIND = (AbstractFileSystem.find, AsyncFileSystem._find)  # noqa: SLF001 - what a file system may override
"""Listings that leave out, without a word, the folders whose own listing failed."""


class RemoteObjects:
    """Objects in a file system of fsspec that writes files whole or not at all, such as an object store.

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
        """Get an object."""
        try:
            with self._reaching():
                return cast("bytes", self.fs.cat_file(f"{self.root}/{key}"))
        except FileNotFoundError:
            raise KeyError(key) from None

    def write(self, key: str, data: Data) -> None:
        """Put an object."""
        with self._reaching():
            self.fs.pipe_file(f"{self.root}/{key}", bytes(data))

    def write_stream(self, key: str, chunks: Iterable[Data]) -> int:
        """Put an object in parts under another key, then let the store copy it."""
        # Directly under its own key it could become visible in part: fsspec completes a file that is being
        # written even when its writer fails.
        path = f"{self.root}/{key}"
        partial = partial_name(path)
        try:
            length = self._write_chunks(partial, chunks)
            with self._reaching():
                self.fs.cp_file(partial, path)
        finally:
            with suppress(FileNotFoundError), self._reaching():
                self.fs.rm_file(partial)
        return length

    def _write_chunks(self, path: str, chunks: Iterable[Data]) -> int:
        """Put chunks as one file; return its length."""
        with self._reaching():
            file = self.fs.open(path, "wb")
        try:
            length = 0
            # Errors of the chunks are not the store's: only what is done with each is asked of it.
            for chunk in chunks:
                with self._reaching():
                    length += file.write(bytes(chunk))
        finally:
            with self._reaching():
                file.close()
        return length

    def create(self, key: str, data: Data) -> bool:
        """Put an object if the key is not taken."""
        try:
            with self._reaching():
                self.fs.pipe_file(f"{self.root}/{key}", bytes(data), mode="create")
        except FileExistsError:
            return False
        return True

    def remove(self, key: str) -> None:
        """Delete an object, or all under a prefix."""
        path = f"{self.root}/{key}".rstrip("/")
        with suppress(FileNotFoundError), self._reaching():
            self.fs.rm(path, recursive=key.endswith("/") or not key)

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """List the keys under a prefix."""
        entries = self._find(prefix)
        start = len(self.root) + 1
        return {path[start:]: entry["size"] for path, entry in entries.items() if not is_partial(path)}

    def modified(self, key: str) -> float | None:
        """Ask for the time that the store gave the object."""
        # A file system may raise that it has none, that the object is gone, or that it is of another kind.
        with suppress(FileNotFoundError, IsADirectoryError, NotImplementedError), self._reaching():
            self.fs.invalidate_cache()
            found = self.fs.modified(f"{self.root}/{key}")
            # Some give it without a time zone, and mean UTC.
            return float(found.replace(tzinfo=found.tzinfo or UTC).timestamp())
        return None

    def lengths(self) -> Callable[[str], int | None]:
        """List the folders of the keys, each once."""
        # A request for a folder lists a thousand keys; one for each key would take as many requests.
        listed = cache(self.sizes)
        return lambda key: listed(f"{key.partition('/')[0]}/").get(key)

    def exists(self) -> bool:
        """Return whether anything is there."""
        # Not by the method of this name: in many file systems it answers no whatever the error was.
        with suppress(FileNotFoundError), self._reaching():
            self.fs.invalidate_cache()
            self.fs.info(self.root)
            return True
        return False

    def sweep(self) -> int:
        """Delete the incomplete objects of killed `write_stream` calls; all others are put as a whole."""
        partial = [path for path in self._find("") if is_partial(path)]
        for path in partial:
            with self._reaching():
                self.fs.rm_file(path)
        return len(partial)

    def _find(self, prefix: str) -> dict[str, dict[str, Any]]:
        """Return what the store says about each object under a prefix."""
        method = getattr(self.fs, "_find", self.fs.find)
        raising = {"on_error": "raise"} if getattr(method, "__func__", None) in _FIND else {}
        with suppress(FileNotFoundError), self._reaching():
            # Other processes write, too, and fsspec would answer from its memory.
            self.fs.invalidate_cache()
            path = f"{self.root}/{prefix}".rstrip("/")
            return cast("dict[str, dict[str, Any]]", self.fs.find(path, detail=True, **raising))
        return {}

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Turn errors of the connection, which differ between file systems, into one of this package."""
        try:
            yield
        except (FileNotFoundError, FileExistsError, IsADirectoryError, NotImplementedError, NoveltyError):
            raise
        except Exception as error:
            message = f"The store of {self.root!r} fails: {reason(error)}; try again when it works."
            raise UnreachableError(message) from error
