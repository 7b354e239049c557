"""File systems of sources; folders of this machine are searched without skipping anything silently.

fsspec's own search doesn't follow links to folders, and skips folders that can't be read.
"""

import errno
import os
from collections.abc import Iterator
from typing import Any, NamedTuple, Self

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractFileSystem

from novelty_dask.errors import InputError
from novelty_dask.objects.schemes import is_chained, is_local, is_web, unknown_scheme, without_path

MOST_FOLDERS = 100_000
"""Most folders entered in one search, as links can turn a few into endlessly many."""

Listing = dict[str, dict[str, Any]]


class _Folder(NamedTuple):
    """Folder to enter: its path, its depth below the first, and the identities of the folders above it."""

    path: str
    depth: int
    above: tuple[tuple[int, int], ...]


class ThoroughFileSystem(LocalFileSystem):  # type: ignore[misc]
    """Local file system that follows links to folders, but not in circles, and raises on unreadable ones."""

    @classmethod
    def of(cls, name: str) -> tuple[Self, str]:
        """Return the file system of a local path or ``file://`` URL, and the path.

        fsspec would take ``::`` in the name of a file for the end of the name.
        """
        return cls(), cls._strip_protocol(name)

    def walk(
        self, path: str, maxdepth: int | None = None, **options: Any
    ) -> Iterator[tuple[str, Listing, Listing]]:
        """Yield folders from the top, each with its folders and files by name, as fsspec's search expects.

        Raises
        ------
        OSError
            A folder can't be read, or links make too many of them.
        """
        root = self._strip_protocol(path)
        waiting = [_Folder(root, 1, ())] if self.isdir(root) else []
        n_entered = 0
        while waiting:
            folder = waiting.pop()
            status = os.stat(folder.path)  # noqa: PTH116 - fsspec's paths are strings
            identity = (status.st_dev, status.st_ino)
            # Only those above: a folder to which two links lead is entered by both, as files are named once
            # in the end.
            if identity in folder.above:
                continue
            n_entered += 1
            if n_entered > MOST_FOLDERS:
                raise OSError(errno.ELOOP, "Too many folders, or links to folders", root)
            folders, files = self._listing(folder.path)
            yield folder.path, folders, files
            if maxdepth is None or folder.depth < maxdepth:
                above = (*folder.above, identity)
                waiting += [_Folder(entry["name"], folder.depth + 1, above) for entry in folders.values()]

    def _listing(self, folder: str) -> tuple[Listing, Listing]:
        """Return the folders and files in a folder; a link to a folder counts as a folder."""
        folders, files = Listing(), Listing()
        for entry in self.ls(folder, detail=True):
            if entry["islink"] and self.isdir(entry["name"]):
                entry["type"] = "directory"
            kind = folders if entry["type"] == "directory" else files
            kind[entry["name"].rsplit("/", 1)[-1]] = entry
        return folders, files


def file_system(name: str) -> tuple[AbstractFileSystem, str]:
    """Return the file system of a path or URL, and the path in it.

    Raises
    ------
    InputError
        It is a URL of the web.  This is the only way from a name to a file, also for names that a stored run
        holds, so that nothing can be visited by any other.
    """
    check_name_is_storage(name)
    if is_local(name):
        return ThoroughFileSystem.of(name)
    if problem := unknown_scheme(name):
        message = (
            f"Can't read {name!r}: {problem}; name a file, or one in a store, as in s3://bucket/urls.txt."
        )
        raise InputError(message)
    fs, path = url_to_fs(name)
    return fs, path


def check_name_is_storage(name: str) -> None:
    """Refuse a URL of the web before anything is opened.

    Raises
    ------
    InputError
        It is one, or chains several file systems.
    """
    if is_web(name):
        message = (
            f"{without_path(name)!r} is a URL, and no URL is visited: to score the URL itself, use "
            "`echo URL | novelty score -`, in Python urls=[...]; if a list of URLs lies there, read it "
            "with --remote (remote=True)."
        )
        raise InputError(message)
    if is_chained(name):
        message = f"{name!r} joins several file systems, which is not read; name the file itself."
        raise InputError(message)
