"""File of the corpus of the demo, which is written whole or not at all."""

import errno
import os
from pathlib import Path

from novelty_dask.errors import DISK_FULL, DiskFullError, StoreError


def write_corpus(path: Path, lines: bytes) -> None:
    """Write the lines of the demo, all of them or nothing, unless the file exists and has them.

    Raises
    ------
    StoreError
        The file has other content, or can't be written.
    DiskFullError
        There is no space for it.
    """
    partial = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        # By its length first, so that a large file of somebody else is not read into memory.
        if path.is_file() and path.stat().st_size == len(lines) and path.read_bytes() == lines:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "It exists, with other lines")
        try:
            partial.write_bytes(lines)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        message = f"Can't write {str(path)!r}: {error.strerror}; "
        if error.errno in DISK_FULL:
            raise DiskFullError(f"{message}free some space, then repeat it.") from None
        remedy = "name a run in another folder, as in --out elsewhere/run.zarr."
        raise StoreError(message + remedy) from None
