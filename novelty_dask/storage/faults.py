"""What goes wrong with files, said in one sentence."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from novelty_dask.errors import DiskFullError, InputError, StoreError


@contextmanager
def told(fault: str) -> Iterator[None]:
    """Say in one sentence why a file can't be read."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - each file system, and each format, has its own
        message = f"{fault}: {reason(error)}."
        raise InputError(message) from None


def reason(error: Exception) -> str:
    """What an error says, as the end of a sentence."""
    if isinstance(error, FileNotFoundError):  # fsspec says it in ways of its own.
        return os.strerror(errno.ENOENT)
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(said).split()).rstrip(".")


@contextmanager
def writable(root: Path, needed: int) -> Iterator[None]:
    """Say in the user's terms that a disk is full or not writable; what may pass is raised as it is."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            message = (
                f"Can't write in {str(root)!r}: {error.strerror}; make it writable, or name another path."
            )
            raise StoreError(message) from None
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        there = next(folder for folder in [root, *root.parents] if folder.exists())
        free = shutil.disk_usage(there).free
        message = (
            f"The disk of {str(root)!r} is full: {needed:,} bytes are needed and {free:,} are free; free "
            "some space, as what is finished is kept."
        )
        raise DiskFullError(message) from None
