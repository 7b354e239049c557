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

import fsspec
import pytest

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
    """A store in memory, behind fsspec."""

    modes = ("once", "exit", "lost")
    most_changes = 3

    def __init__(self) -> None:
        self.root = f"/{uuid.uuid4().hex}"
        self.url = f"memory:/{self.root}"
        self.fs = fsspec.filesystem("memory")
        self.wire = Wire(self.fs)
        self.objects = RemoteObjects(self.wire, self.root)

    def arm(self, fault: Fault | None) -> None:
        """Let a change of those that follow go wrong."""
        self.wire.fault = fault

    def disarm(self) -> None:
        """Let all changes succeed, as those of another process."""
        self.wire.fault, self.wire.is_dead = None, False

    def damage(self, key: str, data: bytes | None) -> None:
        """Alter an object."""
        if data is None:
            self.fs.rm_file(f"{self.root}/{key}")
        else:
            self.fs.pipe_file(f"{self.root}/{key}", data)

    def age(self, key: str, seconds: float) -> None:
        """Let an object be so much older."""
        self.fs.store[f"{self.root}/{key}"].modified -= timedelta(seconds=seconds)

    def n_partial(self) -> int:
        """Return how many objects are there that are not whole."""
        return sum(map(is_partial, self.fs.find(self.root)))

    def close(self) -> None:
        """Remove all objects."""
        if self.fs.exists(self.root):
            self.fs.rm(self.root, recursive=True)


class Wire:
    """The way to a file system, on which a request or its answer may be lost.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
    """

    def __init__(self, fs: Any) -> None:
        self.fs = fs
        self.fault: Fault | None = None
        self.is_dead = False

    def __getattr__(self, name: str) -> Any:
        """Return what does not change anything as it is."""
        return getattr(self.fs, name)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite") -> Any:
        """Put."""
        return self._change(lambda: self.fs.pipe_file(path, value, mode=mode))

    def cp_file(self, path: str, target: str) -> Any:
        """Copy."""
        return self._change(lambda: self.fs.cp_file(path, target))

    def rm_file(self, path: str) -> Any:
        """Delete."""
        return self._change(lambda: self.fs.rm_file(path))

    def rm(self, path: str, *, recursive: bool = False) -> Any:
        """Delete all."""
        return self._change(lambda: self.fs.rm(path, recursive=recursive))

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
            with suppress(OSError):
                request()
        raise OSError("The connection was reset.")
