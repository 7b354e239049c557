"""Temporary files of a shuffle: their folder, and a check that they fit on its disk.

Their folder is the one that Dask is configured to use (``temporary-directory``, ``--local-directory``), not
the run.  Nothing else is spilled: tasks keep their results in the run.
"""

import socket
import tempfile
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from shutil import disk_usage
from typing import NamedTuple

import dask

from novelty_dask.errors import ClusterError


class TemporaryFolder(NamedTuple):
    """A folder for temporary files: the disk on which it is, and the bytes that are free there."""

    disk: tuple[str, int]
    folder: str
    free: int


def temporary_folder(folder: str | None = None) -> TemporaryFolder:
    """Return a folder for temporary files; that of this process if none is named."""
    chosen = folder or dask.config.get("temporary-directory", None) or tempfile.gettempdir()
    path = Path(chosen)
    disk = (socket.gethostname(), path.stat().st_dev)
    return TemporaryFolder(disk, str(path), disk_usage(path).free)


def check_free(folders: Collection[TemporaryFolder], n_bytes: int) -> None:
    """Refuse to fill a disk with temporary files, which are spread evenly over the folders.

    Raises
    ------
    ClusterError
        They would not fit; it names the folder.
    """
    # Workers on one host may share a disk, and then its free bytes, too.
    sharing = Counter(temporary.disk for temporary in folders)
    for (host, device), folder, free in folders:
        needed = n_bytes * sharing[host, device] // len(folders)
        if needed > free:
            message = (
                f"Sorting takes {needed:,} bytes of temporary files on {host}, and {free:,} are free in "
                f"{folder!r}; free some space, or point TMPDIR (or Dask's temporary-directory) to another "
                "disk, and resume."
            )
            raise ClusterError(message)
