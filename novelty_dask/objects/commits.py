"""Commit records: one for each task, created once, after all objects that it lists.

See docs/explanation/reliability.md for the protocol.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from novelty_dask.errors import DamageError, StoreError
from novelty_dask.objects.creation import create_object
from novelty_dask.planning.stages import TaskId

if TYPE_CHECKING:
    from novelty_dask.objects.protocol import Data, Objects

COMMITS_FOLDER = "commits/"
SUFFIX = ".json"


class Digest(NamedTuple):
    """Length and checksum of an object."""

    length: int
    checksum: int


Metrics = dict[str, Any]
"""Report of a task: numbers by name, and more for the stages that follow."""


class Commit(NamedTuple):
    """Record of a finished task.

    Parameters
    ----------
    fingerprint : str
        Of the run.
    epoch : int
        Of the client that ordered the task.
    objects : dict
        The digest of each object, by key.
    metrics : dict
        Report of the task: numbers to add up, and the tables of a task that reads or sorts.
    """

    fingerprint: str
    epoch: int
    objects: dict[str, Digest]
    metrics: Metrics


class Draft:
    """Objects that a task has written so far.

    Parameters
    ----------
    task : TaskId
        No other task writes these objects.
    objects : Objects
        Of the run.
    """

    def __init__(self, task: TaskId, objects: Objects) -> None:
        self.task = task
        self.digests: dict[str, Digest] = {}
        self._objects = objects

    def write(self, key: str, data: Data) -> None:
        """Store an object and keep its digest."""
        # The digest is of the bytes in memory, not of bytes read back: it finds what a disk does to them.
        self._objects.write(key, data)
        self.digests[key] = digest(data)


def commit_key(task: TaskId) -> str:
    """Return the key of the commit of a task.

    >>> commit_key(TaskId("compare", "1-0"))
    'commits/compare/1-0.json'
    """
    return f"{COMMITS_FOLDER}{task.stage}/{task.item}{SUFFIX}"


def committed_task(key: str) -> TaskId:
    """Return the task of a commit by its key.

    >>> committed_task("commits/compare/1-0.json")
    TaskId(stage='compare', item='1-0')
    """
    stage, _, item = key.removeprefix(COMMITS_FOLDER).removesuffix(SUFFIX).partition("/")
    return TaskId(stage, item)


def digest(data: Data) -> Digest:
    """Return the length and the CRC-32 of some bytes.

    >>> digest(b"123456789")
    Digest(length=9, checksum=3421780262)
    """
    # Not the CRC-32C: chunks end in a CRC-32C of their own, and that of all such bytes is the same.
    return Digest(len(data), zlib.crc32(data))


class Commits:
    """The commits of one run.

    Parameters
    ----------
    objects : Objects
        Of the run.
    fingerprint : str
        Of the run; a commit with another one does not count.
    """

    def __init__(self, objects: Objects, fingerprint: str) -> None:
        self.objects = objects
        self.fingerprint = fingerprint

    def find(self, task: TaskId) -> Commit | None:
        """Return the commit of a task; None if there is none that is whole and of this run."""
        try:
            commit = _decode(task, self.objects.read(commit_key(task)))
        except (KeyError, ValueError):
            # A record that can't be read is no commit: its task is done again, and `add` replaces it.
            return None
        return commit if commit.fingerprint == self.fingerprint else None

    def tasks(self, stage: str = "") -> Iterator[TaskId]:
        """Yield all tasks, or those of one stage, that have a commit, readable or not."""
        folder = f"{COMMITS_FOLDER}{stage}/" if stage else COMMITS_FOLDER
        yield from map(committed_task, sorted(self.objects.sizes(folder)))

    def add(self, task: TaskId, commit: Commit) -> Commit:
        """Commit a task; return the first commit of it, which may be another's.

        Raises
        ------
        StoreError
            The first committer wrote other bytes.
        """
        data = _encode(task, commit)
        # No token is needed: tasks are pure functions, and of two equal commits either may be the first.
        if create_object(self.objects, commit_key(task), data):
            return commit
        first = self.find(task)
        if first is None:
            # The existing record is corrupt or belongs to another run: replace it.
            self.objects.write(commit_key(task), data)
            return commit
        # Metrics may differ, as times do.  Other bytes are an alarm: one of the two workers is not to be
        # trusted, and nobody can tell which.
        if first.objects != commit.objects:
            message = (
                f"Task {task.item!r} of stage {task.stage!r} gave a different result than before, so the "
                "workers differ in CPU or package versions; use identical ones, then resume."
            )
            raise StoreError(message)
        return first

    def forget(self, task: TaskId) -> None:
        """Remove the commit of a task, which is to be done again."""
        self.objects.remove(commit_key(task))

    def read(self, task: TaskId, key: str) -> bytes:
        """Return the bytes of an object of a task.

        Raises
        ------
        DamageError
            They are not those that were committed.
        """
        return read_verified(self.objects, task, key, self.digests(task, key).get(key))

    def digests(self, task: TaskId, key: str) -> dict[str, Digest]:
        """Return the digests of all objects of a task, to read the one under a key.

        Raises
        ------
        DamageError
            The task is not committed.
        """
        return self.get(task, key).objects

    def get(self, task: TaskId, key: str | None = None) -> Commit:
        """Return the commit of a task.

        Parameters
        ----------
        task : TaskId
        key : str, optional
            The object that is wanted of it, for the error.

        Raises
        ------
        DamageError
            There is none, or none that is whole and of this run.
        """
        commit = self.find(task)
        if commit is None:
            raise DamageError.of(task, key or commit_key(task), "is not committed")
        return commit


def read_verified(objects: Objects, task: TaskId, key: str, expected: Digest | None) -> bytes:
    """Return the bytes of an object, if they have the expected digest.

    Raises
    ------
    DamageError
        They have another one, or there is no such object, or none is expected.
    """
    if expected is None:
        raise DamageError.of(task, key, "was not written by its task")
    try:
        data = objects.read(key)
    except KeyError:
        raise DamageError.of(task, key, "is missing") from None
    if len(data) != expected.length:
        raise DamageError.of(task, key, f"has {len(data):,} bytes instead of {expected.length:,}")
    if digest(data) != expected:
        raise DamageError.of(task, key, "does not match its checksum")
    return data


def _encode(task: TaskId, commit: Commit) -> bytes:
    """Return the commit of a task as a line of JSON and a line with its checksum."""
    # Everything else is compared with the digests in this record, so it has a checksum of its own.  The task
    # is in it, so that a record in the place of another is found: both are whole, and of the same run.
    line = json.dumps({**commit._asdict(), "task": task}, separators=(",", ":")).encode()
    return b"%s\n%08x\n" % (line, digest(line).checksum)


def _decode(task: TaskId, data: bytes) -> Commit:
    """Return the commit that was encoded; ValueError if its bytes have changed, or belong to another task."""
    line, _, checksum = data.partition(b"\n")
    if checksum != b"%08x\n" % digest(line).checksum:
        raise ValueError
    values = json.loads(line.decode())
    if values.pop("task", None) != [*task]:
        raise ValueError
    objects = {key: Digest(*pair) for key, pair in values.pop("objects").items()}
    return Commit(objects=objects, **values)
