"""What is done: one record a task, created once, after the objects of which it tells.

See docs/explanation/reliability.md for the protocol.
"""

import json
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from novelty_dask.errors import DamageError, StoreError
from novelty_dask.objects.creation import create_object
from novelty_dask.objects.protocol import Data, Objects
from novelty_dask.planning.stages import TaskId

FOLDER = "commits/"
SUFFIX = ".json"


class Stamp(NamedTuple):
    """What the bytes of an object are known by."""

    length: int
    checksum: int


Metrics = dict[str, Any]
"""What a task reports."""


class Commit(NamedTuple):
    """What a task left.

    Parameters
    ----------
    fingerprint : str
        Of the run.
    epoch : int
        Of the client that ordered the task.
    objects : dict
        The stamp of each object, by key.
    metrics : dict
        What the task reported: numbers to add up, and of a task that reads or sorts its tables.
    """

    fingerprint: str
    epoch: int
    objects: dict[str, Stamp]
    metrics: Metrics


class Draft:
    """What a task has written so far.

    Parameters
    ----------
    task : TaskId
        The task; it alone writes these objects.
    objects : Objects
        Of the run.
    """

    def __init__(self, task: TaskId, objects: Objects) -> None:
        self.task = task
        self.stamps: dict[str, Stamp] = {}
        self._objects = objects

    def write(self, key: str, data: Data) -> None:
        """Store an object, and take note of it."""
        self._objects.write(key, data)
        self.stamps[key] = stamp(data)


def commit_key(task: TaskId) -> str:
    """Return the key of the commit of a task.

    >>> commit_key(TaskId("compare", "1-0"))
    'commits/compare/1-0.json'
    """
    return f"{FOLDER}{task.stage}/{task.item}{SUFFIX}"


def committed_task(key: str) -> TaskId:
    """Return the task of a commit by its key.

    >>> committed_task("commits/compare/1-0.json")
    TaskId(stage='compare', item='1-0')
    """
    stage, _, item = key.removeprefix(FOLDER).removesuffix(SUFFIX).partition("/")
    return TaskId(stage, item)


def stamp(data: Data) -> Stamp:
    """Length and CRC-32 of some bytes.

    Chunks end in a CRC-32C of their own, so that the CRC-32C of all of them would be the same.

    >>> stamp(b"123456789")
    Stamp(length=9, checksum=3421780262)
    """
    return Stamp(len(data), zlib.crc32(data))


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
        """The commit of a task; None if there is none, or none that is whole and of this run."""
        try:
            commit = _decode(self.objects.read(commit_key(task)))
        except (KeyError, ValueError):
            return None
        return commit if commit.fingerprint == self.fingerprint else None

    def tasks(self, stage: str = "") -> Iterator[TaskId]:
        """Yield all tasks, or those of one stage, that have a commit, readable or not."""
        yield from map(committed_task, sorted(self.objects.sizes(f"{FOLDER}{stage}/" if stage else FOLDER)))

    def add(self, task: TaskId, commit: Commit) -> Commit:
        """Commit a task; return the first commit of it, which may be another's.

        Raises
        ------
        StoreError
            The first committer wrote other bytes.
        """
        data = _encode(commit)
        # Without a token: a task is a function, so that it makes no difference who committed the same.
        if create_object(self.objects, commit_key(task), data):
            return commit
        first = self.find(task)
        if first is None:
            # It does not count, so it is in the way.
            self.objects.write(commit_key(task), data)
            return commit
        if first.objects != commit.objects:
            message = (
                f"Task {task.item!r} of stage {task.stage!r} gave a different result than before, so the "
                "workers differ in CPU or package versions; use identical ones, then resume."
            )
            raise StoreError(message)
        return first

    def forget(self, task: TaskId) -> None:
        """Take a commit back."""
        self.objects.remove(commit_key(task))

    def read(self, task: TaskId, key: str) -> bytes:
        """The bytes of an object of a task, as they were when it was committed.

        Raises
        ------
        DamageError
            They are not.
        """
        return read_stamped(self.objects, task, key, self.stamps(task, key).get(key))

    def stamps(self, task: TaskId, key: str) -> dict[str, Stamp]:
        """Return the stamps of the objects of a task, one of which is about to be read.

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


def read_stamped(objects: Objects, task: TaskId, key: str, expected: Stamp | None) -> bytes:
    """The bytes of an object if they have the stamp that they should have.

    Raises
    ------
    DamageError
        They have not, or there is no such object, or there should be none.
    """
    if expected is None:
        raise DamageError.of(task, key, "was not written by its task")
    try:
        data = objects.read(key)
    except KeyError:
        raise DamageError.of(task, key, "is missing") from None
    if len(data) != expected.length:
        raise DamageError.of(task, key, f"has {len(data):,} bytes instead of {expected.length:,}")
    if stamp(data) != expected:
        raise DamageError.of(task, key, "does not match its checksum")
    return data


def _encode(commit: Commit) -> bytes:
    """A commit as a line of JSON and one with its checksum."""
    line = json.dumps(commit._asdict(), separators=(",", ":")).encode()
    return b"%s\n%08x\n" % (line, stamp(line).checksum)


def _decode(data: bytes) -> Commit:
    """The commit that was encoded; ValueError if it is not as it was."""
    line, _, checksum = data.partition(b"\n")
    if checksum != b"%08x\n" % stamp(line).checksum:
        raise ValueError
    values = json.loads(line.decode())
    objects = {key: Stamp(*pair) for key, pair in values.pop("objects").items()}
    return Commit(objects=objects, **values)
