"""Temporary files of a shuffle: whether as many bytes are free as they take.

They are in the folder that Dask is told for them (``temporary-directory``, ``--local-directory``), not in the
run.  Nothing else is spilled: tasks keep their results in the run.
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


class Place(NamedTuple):
    """A folder for temporary files: the disk on which it is, and the bytes that are free there."""

    disk: tuple[str, int]
    folder: str
    free: int


def place(folder: str | None = None) -> Place:
    """A folder for temporary files; that of this process if none is named."""
    chosen = folder or dask.config.get("temporary-directory", None) or tempfile.gettempdir()
    path = Path(chosen)
    return Place((socket.gethostname(), path.stat().st_dev), str(path), disk_usage(path).free)


def check_free(places: Collection[Place], n_bytes: int) -> None:
    """Refuse to fill a disk with temporary files, of which each place gets an equal share.

    Raises
    ------
    ClusterError
        They would not fit; it names the place.
    """
    sharing = Counter(each.disk for each in places)
    for each in places:
        needed = n_bytes * sharing[each.disk] // len(places)
        if needed > each.free:
            message = (
                f"Sorting takes {needed:,} bytes of temporary files on {each.disk[0]}, and {each.free:,} are "
                f"free in {each.folder!r}; free some there, or name another folder by TMPDIR or to Dask, and "
                "go on."
            )
            raise ClusterError(message)
