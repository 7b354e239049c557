"""Objects in a file system of fsspec, such as an object store."""

import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from typing import Any, cast

from novelty_dask.objects.protocol import PARTIAL, Data


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
            return cast("bytes", self.fs.cat_file(f"{self.root}/{key}"))
        except FileNotFoundError:
            raise KeyError(key) from None

    def write(self, key: str, data: Data) -> None:
        """Put an object."""
        self.fs.pipe_file(f"{self.root}/{key}", bytes(data))

    def write_stream(self, key: str, chunks: Iterable[Data]) -> int:
        """Put an object in parts under another key, then let the store copy it."""
        # Directly under its own key it could become visible in part: fsspec completes a file that is being
        # written even when its writer fails.
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
        """Put an object if the key is not taken."""
        try:
            self.fs.pipe_file(f"{self.root}/{key}", bytes(data), mode="create")
        except FileExistsError:
            return False
        return True

    def remove(self, key: str) -> None:
        """Delete an object, or all under a prefix."""
        path = f"{self.root}/{key}".rstrip("/")
        with suppress(FileNotFoundError):
            self.fs.rm(path, recursive=key.endswith("/") or not key)

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """List the keys under a prefix."""
        # Other processes write, too, and fsspec would answer from its memory.
        self.fs.invalidate_cache()
        entries = self.fs.find(f"{self.root}/{prefix}".rstrip("/"), detail=True)
        start = len(self.root) + 1
        return {path[start:]: entry["size"] for path, entry in entries.items() if not path.endswith(PARTIAL)}

    def lengths(self) -> Callable[[str], int | None]:
        """List the folders of the keys, each once."""
        # A request for a folder lists a thousand keys; one for each key would take as many requests.
        listed = cache(self.sizes)
        return lambda key: listed(f"{key.partition('/')[0]}/").get(key)

    def exists(self) -> bool:
        """Return whether anything is there."""
        return bool(self.fs.exists(self.root))

    def sweep(self) -> int:
        """Delete the incomplete objects of killed `write_stream` calls; all others are put as a whole."""
        self.fs.invalidate_cache()
        partial = [path for path in self.fs.find(self.root) if path.endswith(PARTIAL)]
        for path in partial:
            self.fs.rm_file(path)
        return len(partial)
