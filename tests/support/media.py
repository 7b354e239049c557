"""What a run is kept in, where any change may fail, or be the last of the process that makes it."""

import os
import shutil
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, Protocol

import pytest
from obstore.exceptions import BaseError, GenericError

from novelty_dask.objects import local, protocol
from novelty_dask.objects.local import LocalObjects
from novelty_dask.objects.protocol import Objects, is_partial
from novelty_dask.objects.remote import RemoteObjects
from tests.support.disk import Disk, Killed


class Fault(NamedTuple):
    """The change of an operation that goes wrong, from 1, and how.

    Parameters
    ----------
    number : int
    mode : str
        "once": with an error; "exit": the process ends instead; "power", on a disk: and of what was never
        synced some is lost; "lost", in a store: with an error although the change was made.
    """

    number: int
    mode: str


class Medium(Protocol):
    """Objects whose changes may fail."""

    @property
    def url(self) -> str:
        """Path or URL."""
        ...

    @property
    def modes(self) -> tuple[str, ...]:
        """How a change may go wrong."""
        ...

    @property
    def most_changes(self) -> int:
        """How many an operation takes at most, about."""
        ...

    @property
    def objects(self) -> Objects:
        """What is stored here."""
        ...

    def arm(self, fault: Fault | None) -> None:
        """Let a change of those that follow go wrong."""
        ...

    def disarm(self) -> None:
        """Let all changes succeed, as those of another process."""
        ...

    def damage(self, key: str, data: bytes | None) -> None:
        """Alter an object past all operations, or remove it."""
        ...

    def age(self, key: str, seconds: float) -> None:
        """Let an object be so much older, by the clock of the medium."""
        ...

    def n_partial(self) -> int:
        """Return how many objects are there that are not whole."""
        ...

    def close(self) -> None:
        """Remove everything."""
        ...


def end() -> None:
    """End the process, which here is one of several that are played."""
    raise Killed


class LocalMedium:
    """A folder."""

    modes = ("once", "exit", "power")
    most_changes = 9
    """An object in a new folder takes as many: made, synced, opened, written, synced, moved, and so on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / uuid.uuid4().hex
        self.url = str(self.folder)
        self.objects = LocalObjects(self.folder)
        self.disk = Disk(self.folder, 0, "power", end)
        # What is lost with the power is played, so that nothing has to get to the real disk.
        self.disk.calls["fsync"] = lambda _descriptor: None
        self.disk.install()
        # Names in an order that is the same each time: the N-th change of a removal is then the same, too.
        names = count()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(
            protocol, "uuid", SimpleNamespace(uuid4=lambda: SimpleNamespace(hex=f"{next(names):032x}"))
        )
        # Folders of runs before are gone, and their numbers may be those of others.
        local._DURABLE.clear()

    def arm(self, fault: Fault | None) -> None:
        """Let a change of those that follow go wrong."""
        if fault:
            self.disk.number, self.disk.mode = self.disk.count + fault.number, fault.mode

    def disarm(self) -> None:
        """Let all changes succeed, as those of another process."""
        self.disk.number = 0
        if self.disk.is_dead:
            self.disk.revive()
            # The next process has seen nothing yet.
            local._DURABLE.clear()

    def damage(self, key: str, data: bytes | None) -> None:
        """Alter a file past the operating system, as far as the disk knows."""
        path = self.folder / key
        if data is None:
            self.disk.calls["unlink"](path)
        else:
            with path.open("r+b") as file:
                file.truncate(0)
                file.write(data)

    def age(self, key: str, seconds: float) -> None:
        """Let a file be so much older."""
        path = self.folder / key
        stored = path.stat().st_mtime - seconds
        os.utime(path, (stored, stored))

    def n_partial(self) -> int:
        """Return how many files are there that are not whole."""
        return sum(is_partial(path.name) for path in self.folder.rglob("*"))

    def close(self) -> None:
        """Remove the folder."""
        self.disk.uninstall()
        self.patch.undo()
        shutil.rmtree(self.folder, ignore_errors=True)


class RemoteMedium:
    """A store in memory, behind obstore."""

    modes = ("once", "exit", "lost")
    most_changes = 3

    def __init__(self) -> None:
        self.root = uuid.uuid4().hex
        self.url = f"memory://{self.root}"
        self.objects = RemoteObjects(self.url)
        self.store = self.objects.store
        self.wire = Wire(self.store)
        self.objects.store = self.wire

    def arm(self, fault: Fault | None) -> None:
        """Let a change of those that follow go wrong."""
        self.wire.fault = fault

    def disarm(self) -> None:
        """Let all changes succeed, as those of another process."""
        self.wire.fault, self.wire.is_dead = None, False

    def damage(self, key: str, data: bytes | None) -> None:
        """Alter an object."""
        if data is None:
            self.store.delete(f"{self.root}/{key}")
        else:
            self.store.put(f"{self.root}/{key}", data)

    def age(self, key: str, seconds: float) -> None:
        """Let an object be so much older."""
        path = f"{self.root}/{key}"
        now, age = self.wire.ages.get(path, (None, 0.0))
        stored = self.store.head(path)["last_modified"]
        self.wire.ages[path] = stored, seconds + (age if now == stored else 0.0)

    def n_partial(self) -> int:
        """Return how many objects are there that are not whole."""
        return sum(is_partial(found["path"]) for page in self.store.list(self.root) for found in page)

    def close(self) -> None:
        """Remove all objects."""
        self.store.delete([found["path"] for page in self.store.list(self.root) for found in page])


class Wire:
    """The way to a store, on which a request or its answer may be lost.

    Parameters
    ----------
    store : obstore.store.ObjectStore
    """

    def __init__(self, store: Any) -> None:
        self.store = store
        self.fault: Fault | None = None
        self.is_dead = False
        # Of objects that are to be older: when they were stored, and by how much.
        self.ages: dict[str, tuple[Any, float]] = {}

    def __getattr__(self, name: str) -> Any:
        """Return what does not change anything as it is."""
        return getattr(self.store, name)

    def head(self, path: str) -> dict[str, Any]:
        """Ask for what is known of an object."""
        found = dict(self.store.head(path))
        stored, age = self.ages.get(path, (None, 0.0))
        if stored == found["last_modified"]:
            found["last_modified"] -= timedelta(seconds=age)
        return found

    def put(self, path: str, data: Any, **options: Any) -> Any:
        """Put."""
        return self._change(lambda: self.store.put(path, data, **options))

    def delete(self, paths: Any) -> Any:
        """Delete."""
        return self._change(lambda: self.store.delete(paths))

    def _change(self, request: Callable[[], Any]) -> Any:
        """Send a request, unless it is time for the fault."""
        if self.is_dead:
            raise Killed
        if self.fault is None or self.fault.number > 1:
            self.fault = self.fault and self.fault._replace(number=self.fault.number - 1)
            return request()
        mode, self.fault = self.fault.mode, None
        if mode == "exit":
            self.is_dead = True
            raise Killed
        if mode == "lost":
            # Whatever the answer was, nobody hears it.
            with suppress(OSError, BaseError):
                request()
        raise GenericError("The connection was reset.")
