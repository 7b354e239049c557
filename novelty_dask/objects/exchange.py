"""Exchange of two folders in one step, so that nobody ever finds one of them missing or half there."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
import tempfile
from pathlib import Path

from novelty_dask.errors import StoreError, reason

HERE = -100
"""Value of AT_FDCWD on Linux: paths are relative to the current folder."""
EXCHANGE = 2
"""Value of RENAME_EXCHANGE on Linux, and of RENAME_SWAP on macOS."""


def exchange_folders(one: Path, other: Path) -> None:
    """Give each of two folders of one file system the name of the other, durably.

    Raises
    ------
    OSError
        This can't be done here; both are as they were.
    """
    paths = os.fsencode(one), os.fsencode(other)
    libc = ctypes.CDLL(None, use_errno=True)
    # Python has no function for it, as not all systems have the operation.
    if sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        failed = libc.renamex_np(*paths, EXCHANGE)
    elif hasattr(libc, "renameat2"):
        failed = libc.renameat2(HERE, paths[0], HERE, paths[1], EXCHANGE)
    else:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one))
    # Until then a power failure may bring back either state, and both are whole.
    for parent in {one.parent, other.parent}:
        descriptor = os.open(parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def check_exchange(path: Path) -> None:
    """Refuse a folder that can't be exchanged with another one beside it.

    Raises
    ------
    StoreError
        Its file system, or this operating system, has no such operation; or nobody may write beside it.
    """
    try:
        # Two folders beside it could be exchanged, but not the root of a file system itself.
        if path.is_mount():
            raise OSError(errno.EBUSY, "it is the root of a file system")
        # Tried, as one kernel has the operation on some file systems and not on others.
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as made:
            one, other = Path(made, "one"), Path(made, "other")
            one.mkdir()
            other.mkdir()
            exchange_folders(one, other)
    # On Windows there is no such library, which ctypes says by a TypeError.
    except (OSError, TypeError) as error:
        message = (
            f"The run {str(path)!r} can't be exchanged for a larger one in one step ({reason(error)}), "
            "and so nothing is added; copy it to a disk of Linux or macOS, or score all lines together."
        )
        raise StoreError(message) from None
