"""Checks of a search for all pairs before it begins: threshold, run, folder and memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from novelty_dask.errors import BudgetError, SettingsError, StoreError
from novelty_dask.objects.address import open_objects
from novelty_dask.planning.budget import megabytes
from novelty_dask.planning.memory import worker_bytes
from novelty_dask.storage.references import find_problem
from novelty_dask.storage.runs import StoredRun, open_complete

if TYPE_CHECKING:
    from novelty_dask.execution.clusters.resources import Resources
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
    """Return the objects of a folder for tiles, which is new or has tiles of the same search.

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
    if there == FINISHED:
        remove_folder(objects)
        there = b""
    if not there and objects.exists():
        message = f"{folder!r} exists and holds no tiles; nothing was written: name another folder (--tiles)."
        raise StoreError(message)
    if there and not is_same(there, mark):
        message = f"{folder!r} holds tiles of another run or threshold; remove it, or name another (--tiles)."
        raise StoreError(message)
    if not there:
        objects.write(MARK, mark)
    return objects


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


def remove_folder(objects: Objects) -> None:
    """Remove a folder of tiles that nobody needs any more."""
    # The mark is the last to go: after a stop on the way it tells that the rest is to be removed.
    objects.write(MARK, FINISHED)
    for key in objects.sizes().keys() - {MARK}:
        objects.remove(key)
    objects.remove("")


def check_memory(tasks: dict[str, int], workers: Resources) -> None:
    """Refuse tasks that don't fit in a worker.

    Raises
    ------
    BudgetError
        It says what would be needed.
    """
    [projected] = worker_bytes(tasks, workers.threads).values()
    if projected > workers.memory_limit:
        message = (
            f"A worker is projected to need {megabytes(projected)}, over its limit of "
            f"{megabytes(workers.memory_limit)}; raise --memory-limit to that, or use fewer workers."
        )
        raise BudgetError(message)
