"""Temporary files of a shuffle: how many bytes they take, and whether so many are free.

They are in the folder that Dask is told for them (``temporary-directory``, ``--local-directory``), not in the
run.  Nothing else is spilled: tasks keep their results in the run.
"""

import socket
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from shutil import disk_usage
from typing import NamedTuple

import dask

from novelty_dask.errors import ClusterError
from novelty_dask.storage.tables import Table

ROW_BYTES = 40
"""What a row takes besides its key and its URL: two numbers, two offsets."""
HEADS = 1.1
"""What the heads of the pieces add that are written one by one."""


class Place(NamedTuple):
    """A folder for temporary files: the disk on which it is, and the bytes that are free there."""

    disk: tuple[str, int]
    folder: str
    free: int


def moved_bytes(tables: Iterable[Table]) -> int:
    """Most bytes of temporary files while the rows of some tables are moved.

    >>> moved_bytes([Table("0", "lines/0.parquet", n_rows=1_000, n_bytes=76_000)])
    211200
    """
    return round(HEADS * sum(2 * table.n_bytes + ROW_BYTES * table.n_rows for table in tables))


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
