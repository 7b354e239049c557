"""The N-th write, sync, rename or other change of the disk fails, or is the last: never complete but wrong.

In a usual run each N in steps is tried; ``NOVELTY_EVERY_OPERATION=1`` tries every one.
"""

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.errors import NoveltyError
from tests.faults import spy
from tests.faults.forks import finish, fork
from tests.faults.harness import SETTINGS, Content, content

STEP = 1 if os.environ.get("NOVELTY_EVERY_OPERATION") else 61
FIRST = 7
"""Changes that make the run, each of which is tried."""
KILLED = 77
CALLS = ("fsync", "replace", "link", "rename", "mkdir", "unlink")
MODES = ("once", "from then on", "exit")


class Disk:
    """Counts what changes the disk under a folder; from a number on, it fails.

    Parameters
    ----------
    folder : Path
        Of the run.
    number : int
        The first change that goes wrong; 0 is none.
    mode : {"once", "from then on", "exit"}
        Whether that change alone fails, or all from then on, or the process ends, with the half of what is
        being written.
    """

    def __init__(self, folder: Path, number: int, mode: str) -> None:
        self.folder = folder
        self.number = number
        self.mode = mode
        self.count = 0

    def install(self) -> None:
        """Take the place of what the operating system offers."""
        for name in CALLS:
            setattr(os, name, self._failing(getattr(os, name)))
        opened = io.open

        def open_failing(file: Any, mode: str = "r", *arguments: Any, **keywords: Any) -> Any:
            if mode == "wb" and str(file).startswith(str(self.folder)):
                self.step()
                return _File(self, file)
            return opened(file, mode, *arguments, **keywords)

        io.open = open_failing  # type: ignore[assignment]

    def _failing(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """A call of the operating system that counts."""

        def failing(*arguments: Any, **keywords: Any) -> Any:
            # All else is about temporary files.
            if isinstance(arguments[0], int) or str(arguments[0]).startswith(str(self.folder)):
                self.step()
            return call(*arguments, **keywords)

        return failing

    def step(self, torn: Callable[[], object] = lambda: None) -> None:
        """Count, and fail if it is time."""
        self.count += 1
        if not self.number or self.count < self.number:
            return
        if self.mode == "exit":
            torn()
            os._exit(KILLED)
        if self.mode == "from then on" or self.count == self.number:
            torn()
            raise OSError(errno.EIO, "Input/output error")


class _File(io.FileIO):
    """A file of which a write that goes wrong leaves the half."""

    def __init__(self, disk: Disk, path: Path) -> None:
        super().__init__(path, "wb")
        self.disk = disk

    def write(self, data: Any) -> int:
        self.disk.step(lambda: super(_File, self).write(bytes(data)[: len(data) // 2]))
        return super().write(data)


def score_on(folder: Path, number: int, mode: str) -> None:
    """Score a folder's corpus on a disk that fails, and write down how many changes there were."""
    spy.many_tasks()
    disk = Disk(folder / "run.zarr", number, mode)
    disk.install()
    try:
        novelty_dask.score(
            folder.parent / "urls.txt", folder / "run.zarr", workers=0, block_rows=20, **SETTINGS
        )
    except (NoveltyError, OSError) as error:
        disk.number = 0
        (folder / "said").write_text(f"{type(error).__name__}: {error}", encoding="utf-8")
    disk.number = 0
    (folder / "count").write_text(str(disk.count), encoding="utf-8")


def go_on(folder: Path, expected: Content) -> None:
    """What is complete must be right; what is not must go on, by the same command, and be right."""
    spy.many_tasks()
    source, out = folder.parent / "urls.txt", folder / "run.zarr"
    if (out / "zarr.json").exists():
        state = novelty_dask.status(out).state
        assert not novelty_dask.verify(out).damages
        if state == "complete":
            assert content(out, ["csv"]) == expected
    novelty_dask.score(source, out, workers=0, block_rows=20, **SETTINGS)
    run = novelty_dask.status(out)
    if run.state == "partial":
        novelty_dask.resume(out, workers=0)
    assert novelty_dask.status(out).state == "complete"
    assert content(out, ["csv"]) == expected
    assert not novelty_dask.verify(out).damages
    novelty_dask.clean(out)
    assert not list(out.rglob("*.partial"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus of 40 lines, and what becomes of it."""
    folder = tmp_path_factory.mktemp("operations")
    urls, _ = make_urls(40, seed=9)
    (folder / "urls.txt").write_text("\n".join([*urls, ""]), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def clean_run(place: Path) -> tuple[int, Content]:
    """How many changes of the disk an undisturbed run makes, and what it holds."""
    folder = place / "clean"
    folder.mkdir()
    assert finish(fork(score_on, folder, 0, "exit")) == 0
    return int((folder / "count").read_text(encoding="utf-8")), content(folder / "run.zarr", ["csv"])


@pytest.mark.parametrize("mode", MODES)
def test_no_change_of_the_disk_that_fails_leaves_a_wrong_run(
    place: Path, clean_run: tuple[int, Content], mode: str
) -> None:
    count, expected = clean_run
    assert count > 100
    numbers = [*range(1, FIRST), *range(FIRST + 20 * MODES.index(mode), count + 1, STEP)]
    wrong = {}
    for number in numbers:
        folder = place / f"{MODES.index(mode)}-{number}"
        folder.mkdir()
        ended = finish(fork(score_on, folder, number, mode))
        assert ended == (KILLED if mode == "exit" else 0)
        if finish(fork(go_on, folder, expected)) != 0:
            wrong[number] = folder / "said"
    assert not wrong
