"""Objects in any file system that fsspec reaches, such as an object store."""

import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from typing import Any, cast

from novelty_dask.objects.protocol import PARTIAL, Data


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

    def write_stream(self, key: str, chunks: Iterable[Data]) -> int:
        """Put part by part under another key, then copy there, which object stores do by themselves.

        A file of fsspec that is written in parts is also completed when its writer fails in the middle.
        """
        path = f"{self.root}/{key}"
        partial = f"{path}.{uuid.uuid4().hex}{PARTIAL}"
        try:
            with self.fs.open(partial, "wb") as file:
                length: int = sum(file.write(bytes(chunk)) for chunk in chunks)
            self.fs.cp_file(partial, path)
        finally:
            with suppress(FileNotFoundError):
                self.fs.rm_file(partial)
        return length

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
        return {path[start:]: entry["size"] for path, entry in found.items() if not path.endswith(PARTIAL)}

    def lengths(self) -> Callable[[str], int | None]:
        """List the folders that they are in, each once, as to ask for each object takes a while."""
        listed = cache(self.sizes)
        return lambda key: listed(f"{key.partition('/')[0]}/").get(key)

    def exists(self) -> bool:
        """Whether anything is there."""
        return bool(self.fs.exists(self.root))

    def sweep(self) -> int:
        """Delete what killed writers of streams left; nothing else is ever half-written."""
        self.fs.invalidate_cache()
        partial = [path for path in self.fs.find(self.root) if path.endswith(PARTIAL)]
        for path in partial:
            self.fs.rm_file(path)
        return len(partial)
