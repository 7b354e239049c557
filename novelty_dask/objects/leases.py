"""Leases of temporary folders: a folder is removed when the last object that uses it has gone.

An object may be sent to another process of this machine.  Each process that uses a folder therefore has a
shared lock on a file in it, and the one that can make its lock exclusive was the last.  The system releases
the locks of a process that is killed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

try:
    import fcntl
except ImportError:  # not on Windows, where the process that made a folder decides alone
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator

LOCK = "lock"


class Lease:
    """Use of a temporary folder by the objects of one process, which all refer to the same lease.

    Parameters
    ----------
    folder : str
        Path of the folder.
    is_maker : bool
        Whether this process made it.
    """

    def __init__(self, folder: str, *, is_maker: bool = False) -> None:
        self.folder = folder
        file = _hold(folder)
        self._release = weakref.finalize(self, _release, folder, file, os.getpid(), is_maker)
        _leases[folder] = self

    @classmethod
    def make(cls) -> Self:
        """Make a temporary folder, which nobody else may read."""
        folder = str(Path(tempfile.mkdtemp(prefix="novelty-")).absolute())
        Path(folder, LOCK).touch()
        return cls(folder, is_maker=True)

    def remove(self) -> None:
        """Remove the folder, whoever uses it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._release()

    def __reduce__(self) -> tuple[object, tuple[str]]:
        """Return what makes another lease of the folder, in the process that receives it."""
        # Nobody can tell when it will be received, and this process may have forgotten all else by then.
        _sent.add(self)
        return find_or_take, (self.folder,)

    def __dask_tokenize__(self) -> str:
        """Return what identifies it, without sending it anywhere."""
        return self.folder


_leases: weakref.WeakValueDictionary[str, Lease] = weakref.WeakValueDictionary()
"""The leases of this process by their folders."""
_sent: set[Lease] = set()
"""Leases that other processes may receive, which are kept until this one ends."""


def find_lease(folder: str) -> Lease | None:
    """Return the lease that this process has of a folder."""
    return _leases.get(folder)


def find_or_take(folder: str) -> Lease:
    """Return the lease that this process has of a folder, or a new one."""
    return find_lease(folder) or Lease(folder)


def _hold(folder: str) -> int | None:
    """Return the lock of a folder, which is now shared; None if it is gone."""
    try:
        file = os.open(f"{folder}/{LOCK}", os.O_RDWR)
    except OSError:
        return None
    # Some network file systems have no locks; then, too, the maker decides.
    with suppress(OSError):
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_SH)
    return file


def _release(folder: str, file: int | None, pid: int, is_maker: bool) -> None:  # noqa: FBT001 - finalize's
    """Remove a folder that no other process uses."""
    # A process that was forked shares the lock, but not the lease.
    if file is None or pid != os.getpid():
        return
    if _is_last(file, is_maker=is_maker):
        shutil.rmtree(folder, ignore_errors=True)
    os.close(file)


def _is_last(file: int, *, is_maker: bool) -> bool:
    """Return whether no other process has a lock."""
    if not fcntl:
        return is_maker
    try:
        # Given back first: of two that end at the same time, neither would get the lock while both share it.
        fcntl.flock(file, fcntl.LOCK_UN)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return is_maker
    return True


@contextmanager
def temporary_url() -> Iterator[str]:
    """Yield a path for a run, which lasts as long as anything that reads the run; no longer if this fails."""
    lease = Lease.make()
    try:
        yield f"{lease.folder}/run.zarr"
    except BaseException:
        lease.remove()
        raise
