"""A disk of which the N-th change fails, or is the last, or is the last before the power goes."""

import errno
import io
import itertools
import os
import random
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import novelty_dask
from novelty_dask.errors import NoveltyError
from tests.support import spy
from tests.support.content import Content, content
from tests.support.record import SETTINGS

KILLED = 77
MODES = ("once", "from then on", "exit", "power")
CHANGES = ("fsync", "link", "mkdir", "rename", "replace", "rmdir", "unlink")

Call = Callable[..., Any]


class Killed(BaseException):
    """A process has ended, where tests play it in their own; no error, as nothing may catch it."""


class Change(NamedTuple):
    """A change that the disk may still lose: the file or folder that has to be synced, and the way back."""

    serial: int
    undo: Callable[[], object]


class Disk:
    """Counts what changes the disk under a folder; from a number on, it fails.

    Parameters
    ----------
    folder : Path
        Of the run.
    number : int
        The first change that goes wrong; 0 is none.
    mode : {"once", "from then on", "exit", "power"}
        Whether that change alone fails; or all from then on; or the process ends, with the half of what is
        being written; or it ends, and of what was never synced some is lost, too.
    end : callable
        Ends the process; if it raises `Killed` instead, nothing changes the disk any more until `revive`.
    """

    def __init__(
        self, folder: Path, number: int, mode: str, end: Callable[[], object] = lambda: os._exit(KILLED)
    ) -> None:
        self.folder = folder
        self.number = number
        self.mode = mode
        self.end = end
        self.remembers = mode == "power"
        self.count = 0
        self.is_dead = False
        self.changes: list[Change] = []
        # Files and folders by inode.  The system gives the inode of one that is gone to another, sooner or
        # later; a serial number is never given twice, so that the same changes always count the same.
        self.serials: dict[int, int] = {}
        self.n_serials = itertools.count()
        self.calls: dict[str, Call] = {name: getattr(os, name) for name in CHANGES}
        # Threads change the disk one after the other, and not at all any more where the power has gone.
        self.lock = threading.RLock()

    def install(self) -> None:
        """Take the place of what the operating system offers."""
        for name in CHANGES:
            setattr(os, name, self._failing(name))
        self.opened = opened = io.open

        def open_failing(file: Any, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
            if mode == "wb" and self._concerns(file):
                with self.lock:
                    self.step()
                    return _File(self, file)
            return opened(file, mode, *arguments, **keywords)

        io.open = open_failing

    def uninstall(self) -> None:
        """Give back what the operating system offers."""
        for name, call in self.calls.items():
            setattr(os, name, call)
        io.open = self.opened

    def revive(self) -> None:
        """Let another process change the disk."""
        self.is_dead = False
        self.number = 0
        # What was not lost by now is on the disk.
        self.changes.clear()

    def step(self, torn: Callable[[], object] = lambda: None) -> None:
        """Count, and fail if it is time."""
        if self.is_dead:
            raise Killed
        self.count += 1
        if not self.number or self.count < self.number:
            return
        if self.mode in {"exit", "power"}:
            torn()
            if self.mode == "power":
                self._lose()
            self.is_dead = True
            self.end()
        if self.mode == "from then on" or self.count == self.number:
            torn()
            raise OSError(errno.EIO, "Input/output error")

    def note(self, serial: int, undo: Callable[[], object]) -> None:
        """Remember a change until its file or folder is synced."""
        if self.remembers:
            self.changes.append(Change(serial, undo))

    def serial(self, status: os.stat_result) -> int:
        """Return the serial number of a file or folder."""
        if status.st_ino not in self.serials:
            self.serials[status.st_ino] = next(self.n_serials)
        return self.serials[status.st_ino]

    def _failing(self, name: str) -> Call:
        """A call of the operating system that counts."""
        call = self.calls[name]

        def failing(path: Any, *arguments: Any, dir_fd: int | None = None, **keywords: Any) -> Any:
            path = path if dir_fd is None else _path(dir_fd, path)
            if not self._concerns(path):
                # All else is about temporary files.
                return call(path, *arguments, **keywords)
            with self.lock:
                self.step()
                return self._changing(name, path, *arguments)

        return failing

    def _concerns(self, path: Any) -> bool:
        """Whether something is of the run: a path, or an open file, of which nothing else is synced."""
        return isinstance(path, int) or str(path).startswith(str(self.folder))

    def _changing(self, name: str, path: Any, *arguments: Any) -> Any:
        """Make a change; remember the way back, or that there is none any more."""
        if name == "fsync":
            serial = self.serial(os.fstat(path))
            self.changes = [change for change in self.changes if change.serial != serial]
            return self.calls[name](path)
        target = arguments[0] if name in {"link", "rename", "replace"} else path
        undo = self._way_back(name, Path(target)) if self.remembers else None
        freed = self._freed(name, Path(target))
        result = self.calls[name](path, *arguments)
        self.serials.pop(freed, None)
        if undo:
            self._note_name(Path(target).parent, undo)
        return result

    def _freed(self, name: str, target: Path) -> int:
        """Return the inode that a change gives back; -1 for none."""
        with suppress(FileNotFoundError):
            status = target.lstat()
            if name == "rmdir" or (name in {"unlink", "rename", "replace"} and status.st_nlink == 1):
                return status.st_ino
        return -1

    def _note_name(self, folder: Path, undo: Callable[[], object]) -> None:
        """Remember that a name in a folder changed; another folder of that path keeps its own."""
        serial = self.serial(folder.stat())

        def undo_there() -> None:
            if self.serial(folder.stat()) == serial:
                undo()

        self.note(serial, undo_there)

    def _way_back(self, name: str, target: Path) -> Callable[[], object]:
        """How to make a change of a name undone."""
        if name == "mkdir":
            return lambda: shutil.rmtree(target)
        if name == "rmdir":
            serial = self.serial(target.stat())
            return lambda: self._return(target, serial)
        if not target.exists():
            return lambda: self.calls["unlink"](target)
        before = target.read_bytes()
        return lambda: target.write_bytes(before)

    def _return(self, folder: Path, serial: int) -> None:
        """Make a folder that was removed, and know it again."""
        self.calls["mkdir"](folder)
        self.serials[folder.stat().st_ino] = serial

    def empty(self, serial: int) -> None:
        """Empty a file, whatever it is called by now."""
        for path in self.folder.rglob("*"):
            if self.serials.get(path.stat().st_ino) == serial:
                os.truncate(path, 0)

    def _lose(self) -> None:
        """Undo what was never synced, of each file and folder all or nothing."""
        self.number = 0
        chance = random.Random(self.count)
        lost = {
            serial for serial in {change.serial: None for change in self.changes} if chance.random() < 0.5
        }
        for change in reversed(self.changes):
            if change.serial in lost:
                with suppress(OSError):
                    change.undo()


class _File(io.FileIO):
    """A file of which a write that goes wrong leaves the half."""

    def __init__(self, disk: Disk, path: Path) -> None:
        super().__init__(path, "wb")
        self.disk = disk

    def write(self, data: Any) -> int:
        with self.disk.lock:
            self.disk.step(lambda: super(_File, self).write(bytes(data)[: len(data) // 2]))
            serial = self.disk.serial(os.fstat(self.fileno()))
            self.disk.note(serial, lambda: self.disk.empty(serial))
            return super().write(data)


def _path(folder: int, name: str) -> Path:
    """The path of a name in an open folder, as `shutil.rmtree` uses it."""
    return Path(f"/proc/self/fd/{folder}").readlink() / name


def reference_of(folder: Path) -> Path | None:
    """Return the reference beside a folder, if there is one."""
    reference = folder.parent / "known.zarr"
    return reference if reference.exists() else None


def score_on(folder: Path, number: int, mode: str) -> None:
    """Score a folder's corpus on a disk that fails, and write down how many changes there were."""
    spy.many_tasks()
    disk = Disk(folder / "run.zarr", number, mode)
    disk.install()
    try:
        novelty_dask.score(
            folder.parent / "urls.txt",
            folder / "run.zarr",
            against=reference_of(folder),
            workers=0,
            block_rows=20,
            **SETTINGS,
        )
    except (NoveltyError, OSError) as error:
        disk.number = 0
        (folder / "said").write_text(f"{type(error).__name__}: {error}", encoding="utf-8")
    disk.number = 0
    (folder / "count").write_text(str(disk.count), encoding="utf-8")


def go_on(folder: Path, expected: Content, mode: str) -> None:
    """What is complete must be right; what is not must go on, by the same command, and be right.

    Only where the power went may something be missing of what is done, and then it is known, and mended.
    """
    spy.many_tasks()
    source, out = folder.parent / "urls.txt", folder / "run.zarr"
    if (out / "zarr.json").exists():
        damages = novelty_dask.verify(out).damages
        assert mode == "power" or not damages
        if novelty_dask.status(out).state == "complete":
            if damages:
                novelty_dask.resume(out, workers=0)
            assert content(out, ["csv"]) == expected
    novelty_dask.score(source, out, against=reference_of(folder), workers=0, block_rows=20, **SETTINGS)
    if novelty_dask.status(out).state == "partial":
        novelty_dask.resume(out, workers=0)
    assert novelty_dask.status(out).state == "complete"
    assert content(out, ["csv"]) == expected
    assert not novelty_dask.verify(out).damages
    novelty_dask.clean(out)
    assert not list(out.rglob("*.partial"))
