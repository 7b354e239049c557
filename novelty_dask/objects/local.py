"""Objects as files of a folder, each whole or absent, and synced to the disk when a call returns."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager, suppress
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from novelty_dask.errors import DISK_FULL, DiskFullError, StoreError
from novelty_dask.objects.protocol import Data, is_partial, partial_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from novelty_dask.objects.leases import Lease

MOST_DURABLE = 2**16
_DURABLE: set[tuple[int, int] | None] = set()
"""Folders whose names this process knows to be on the disk; forgotten when they are many."""


class LocalObjects:
    """Objects as files of a folder.

    Parameters
    ----------
    root : Path
        The folder; the first write creates it.
    lease : Lease, optional
        Keeps the folder, if it is a temporary one.
    """

    def __init__(self, root: Path, lease: Lease | None = None) -> None:
        self.root = root
        self.lease = lease
        self._folder = f"{root}/"

    def read(self, key: str) -> bytes:
        """Read a file."""
        try:
            # No Path: with tens of thousands of commits, making one would take as long as reading the file.
            return _read(f"{self._folder}{key}")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise KeyError(key) from None

    def write(self, key: str, data: Data) -> None:
        """Write a file of another name, sync it, then rename it."""
        # In this order: a rename may reach the disk before the content does, and a power failure would leave
        # the final name with an empty file.
        with self._errors(len(data)):
            self._store(key, [data], os.replace)

    def write_stream(self, key: str, chunks: Iterable[Data]) -> int:
        """Write a file of another name, sync it, then rename it."""
        with self._errors():
            return self._store(key, chunks, os.replace)

    def create(self, key: str, data: Data) -> bool:
        """Write a file of another name, sync it, then link it, which fails if the name is taken."""
        try:
            with self._errors(len(data)), _unmade(self.root):
                self._store(key, [data], _link)
        except FileExistsError:
            # Whoever is refused relies on what is there, which its writer may not have synced any more.
            _sync_folder((self.root / key).parent)
            return False
        return True

    def check_creation(self) -> None:
        """Do nothing: a link never replaces a file, and where there are no links it says so."""

    def remove(self, key: str) -> None:
        """Unlink a file, or all of a folder."""
        path = self.root / key
        if key.endswith("/") or not key:
            # Other errors are raised: the caller may rely on commits being gone before it removes objects.
            # Again where another process removes some of it, too: what is missing ends a removal half-way.
            while os.path.lexists(path):
                with suppress(FileNotFoundError):
                    shutil.rmtree(path)
            # The numbers of folders that are gone are given to new ones, whose names may not be synced.
            _DURABLE.clear()
        else:
            path.unlink(missing_ok=True)

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Walk the folder."""
        return {key: size for key, size in self._walk(prefix) if not is_partial(key)}

    def modified(self, key: str) -> float | None:
        """Ask for the time that the file system gave the file, which may be that of a server."""
        with suppress(OSError):
            return os.stat(f"{self._folder}{key}").st_mtime  # noqa: PTH116 - as for `read`
        return None

    def lengths(self) -> Callable[[str], int | None]:
        """Ask for each file."""

        # Most files are alone in their folder, and walking takes several times as long.
        def length(key: str) -> int | None:
            try:
                return os.stat(f"{self._folder}{key}").st_size  # noqa: PTH116 - as for `read`
            except OSError:
                return None

        return length

    def exists(self) -> bool:
        """Return whether there is anything besides leftovers of interrupted writes."""
        if self.root.is_symlink() or not self.root.is_dir():
            return self.root.is_symlink() or self.root.exists()
        return any(not is_partial(key) for key, _ in self._walk(""))

    def sweep(self) -> int:
        """Unlink partial files."""
        partial = [key for key, _ in self._walk("") if is_partial(key)]
        for key in partial:
            self.remove(key)
        return len(partial)

    def _store(self, key: str, chunks: Iterable[Data], move: Callable[[Path, Path], None]) -> int:
        """Write a file of another name, sync it, and give it its name; return its length."""
        path = self.root / key
        # A name of its own for each attempt: two workers may do the same task at the same time.
        partial = path.with_name(partial_name(path.name))
        self._check_inside(path.parent)
        _make_folder(path.parent, self.root)
        try:
            with partial.open("wb") as file:
                length = sum(file.write(chunk) for chunk in chunks)
                file.flush()
                os.fsync(file.fileno())
            move(partial, path)
        finally:
            # Renamed, it is gone already; linked, it is a second name; after an error, it is half a file.
            partial.unlink(missing_ok=True)
        # Without this the name may be lost when the power goes, though the content is safe.
        _sync_folder(path.parent)
        return length

    def _check_inside(self, folder: Path) -> None:
        """Refuse to write through a link that leads out of the folder."""
        if not folder.resolve().is_relative_to(self.root.resolve()):
            message = f"{str(folder)!r} is a link that leads out of the run; remove it."
            raise StoreError(message)

    @contextmanager
    def _errors(self, needed: int | None = None) -> Iterator[None]:
        """Raise a StoreError if the disk is full or not writable, and any other error as it is."""
        root = self.root
        try:
            yield
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                message = (
                    f"Can't write in {str(root)!r}: {error.strerror}; make it writable, or name another path."
                )
                raise StoreError(message) from None
            if error.errno not in DISK_FULL:
                raise
            existing = next(folder for folder in [root, *root.parents] if folder.exists())
            space = ""
            # A stream may be longer than anybody knows, and what it took is free again.
            if needed is not None:
                space = f": {needed:,} bytes are needed and {shutil.disk_usage(existing).free:,} are free"
            remedy = "free some space; finished work is kept"
            if existing != root:
                remedy = "free some space, then repeat the command"
            if self.lease:
                remedy = "name a folder on a larger disk by TMPDIR, or a path for the run"
            message = f"The disk of {str(root)!r} is full{space}; {remedy}."
            raise DiskFullError(message) from None

    def _walk(self, folder: str) -> Iterator[tuple[str, int]]:
        """Yield the keys and lengths of all files in a folder."""
        with suppress(FileNotFoundError), os.scandir(self.root / folder) as entries:
            for entry in entries:
                # A link may lead out of the run, or round in a circle.
                if entry.is_dir(follow_symlinks=False):
                    yield from self._walk(f"{folder}{entry.name}/")
                else:
                    # A partial file may be renamed between the listing and this look.
                    with suppress(FileNotFoundError):
                        yield f"{folder}{entry.name}", entry.stat(follow_symlinks=False).st_size


def _read(path: str) -> bytes:
    """Return the bytes of a file."""
    # Unbuffered, as creating a buffer takes longer than reading a commit.
    file = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
    try:
        size = os.fstat(file).st_size
        # Until nothing more comes: a read may return less than was asked for.
        return b"".join(iter(partial(os.read, file, size + 1), b""))
    finally:
        os.close(file)


def _link(partial: Path, path: Path) -> None:
    """Link a file under a name that is not taken."""
    try:
        os.link(partial, path)
    except OSError:
        # On NFS a lost answer makes the call fail though the link was made; open(2) recommends this check.
        if partial.stat().st_nlink != 2:
            raise


def _make_folder(folder: Path, root: Path) -> None:
    """Make a folder and those above it, and sync their names, from that of the root on."""
    found = _identity(folder)
    if found in _DURABLE or (found and not folder.is_relative_to(root)):
        return
    _make_folder(folder.parent, root)
    folder.mkdir(exist_ok=True)
    try:
        # Also of a folder that is there: whoever made it may have been killed before, or is about to do this.
        _sync_folder(folder.parent)
    # Who may write in a folder need not be allowed to open the one around it; it was there before.
    except PermissionError:
        if not found:
            raise
    if len(_DURABLE) >= MOST_DURABLE:
        _DURABLE.clear()
    _DURABLE.add(_identity(folder))


@contextmanager
def _unmade(root: Path) -> Iterator[None]:
    """Remove the folders that lead to a file which can't be made, if they were made for it."""
    missing = [*takewhile(lambda folder: not folder.exists(), [root, *root.parents])]
    try:
        yield
    except BaseException:
        for folder in missing:
            # Of folders into which another process has put something, none is removed.
            with suppress(OSError):
                folder.rmdir()
            _DURABLE.clear()
        raise


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return what a folder is known by, also if another gets its name; None if there is none."""
    with suppress(FileNotFoundError, NotADirectoryError):
        status = folder.stat()
        return status.st_dev, status.st_ino
    return None


def _sync_folder(folder: Path) -> None:
    """Sync the names in a folder, which only POSIX systems can."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
