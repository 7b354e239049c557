"""Checks of a search for all pairs before it begins: threshold, run and folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from novelty_dask.errors import SettingsError, StoreError
from novelty_dask.objects.address import open_objects
from novelty_dask.objects.owners import OWNERS_FOLDER, newest_epoch
from novelty_dask.storage.references import find_problem
from novelty_dask.storage.runs import StoredRun, open_complete

if TYPE_CHECKING:
    from novelty_dask.objects.protocol import Objects

MARK = "pairs.json"
"""Object by which a folder of tiles is known, with the fingerprint of what is found there."""
FINISHED = b"finished"
"""What it holds when the tiles are no longer needed."""


def check_threshold(at_least: float) -> float:
    """Return a least similarity as a number.

    Raises
    ------
    SettingsError
        It is none.
    """
    # Written so that NaN is refused, too.
    if isinstance(at_least, bool) or not isinstance(at_least, int | float) or not 0 < at_least <= 1:
        message = f"The least similarity is {at_least!r}; give a number above 0, at most 1, such as 0.8."
        raise SettingsError(message)
    return float(at_least)


def open_run(path: str) -> StoredRun:
    """Return a run whose rows can be compared with each other.

    Raises
    ------
    StoreError
        It is not complete, of another version, or was compared with a reference.
    """
    run = open_complete(path)
    of_reference = "was compared with a reference, whose weights it has; score its sources by themselves"
    problem = find_problem(run, path, of_reference)
    if problem:
        message = f"The run {path!r} {problem}."
        raise StoreError(message)
    return run


def open_folder(folder: str, mark: bytes) -> Objects:
    """Return the objects of a folder for tiles, which is new, finished, or has tiles of the same search.

    Parameters
    ----------
    folder : str
    mark : bytes
        Made by `make_mark`.

    Raises
    ------
    StoreError
        It has something else.
    """
    objects, there = open_marked(folder)
    if not there and objects.exists():
        message = f"{folder!r} exists and holds no tiles; nothing was written: name another folder (--tiles)."
        raise StoreError(message)
    if there:
        _check_same(folder, there, mark)
    else:
        # One of two clients, if they begin together; the owner looks again.
        objects.create(MARK, mark)
    return objects


def begin(objects: Objects, folder: str, mark: bytes) -> None:
    """Mark a folder as that of a search, as its owner, without what a finished search has left.

    Raises
    ------
    StoreError
        Another client has begun another search there.
    """
    _, there = open_marked(folder)
    if there:
        _check_same(folder, there, mark)
    if there == FINISHED:
        clear_folder(objects)
    # The client that finished may have removed its mark before this one became the owner.
    if there in (b"", FINISHED):
        objects.write(MARK, mark)


def _check_same(folder: str, there: bytes, mark: bytes) -> None:
    """Refuse a folder with tiles of another search that is not finished.

    Raises
    ------
    StoreError
        It has some.
    """
    if there != FINISHED and not is_same(there, mark):
        message = f"{folder!r} holds tiles of another run or threshold; remove it, or name another (--tiles)."
        raise StoreError(message)


def make_mark(fingerprint: str, out: str | None) -> bytes:
    """Return what a folder of tiles is marked with: the search, and the file that is there when it begins."""
    try:
        found = Path(out).stat() if out else None
    except OSError:
        found = None
    return f"{fingerprint} {[found.st_ino, found.st_size, found.st_mtime_ns] if found else 'none'}".encode()


def is_same(mark: bytes, other: bytes) -> bool:
    """Return whether two marks are of the same search."""
    return mark.split(b" ")[0] == other.split(b" ")[0]


def open_marked(folder: str) -> tuple[Objects, bytes]:
    """Return the objects of a folder, and its mark; nothing if it has none."""
    objects = open_objects(folder)
    try:
        return objects, objects.read(MARK)
    except KeyError:
        return objects, b""


def clear_folder(objects: Objects) -> None:
    """Remove all tiles from a folder, as its owner; its mark tells that it is finished."""
    # First, so that after a stop on the way the next client removes the rest.
    objects.write(MARK, FINISHED)
    for key in objects.sizes():
        if key != MARK and not key.startswith(OWNERS_FOLDER):
            objects.remove(key)


def remove_folder(objects: Objects, epoch: int) -> None:
    """Remove a folder that was cleared and released, unless it has got another owner since.

    Parameters
    ----------
    objects : Objects
    epoch : int
        Of the client that cleared it.
    """
    if newest_epoch(objects, epoch) == epoch:
        objects.remove("")
