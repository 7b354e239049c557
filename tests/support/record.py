"""What the processes of a test write down of their tasks, and how a command is started that does so."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.files import ROOT
from tests.support.processes import started, wait_until
from tests.support.spy import FOLDER

BLOCK_ROWS = 64
SETTINGS: dict[str, Any] = {"n_features": 2**14, "n_neighbors": 5}
WORK: dict[str, Any] = {"block_rows": BLOCK_ROWS}
FLAGS = ["--n-features", str(2**14), "-k", "5", "--block-rows", str(BLOCK_ROWS)]
SPIED = [sys.executable, "-m", "tests.support.spy"]
EFFORT = int(os.environ.get("NOVELTY_EFFORT", "1"))
"""How many times as much is tried as usually, where what can fail is more than a run of the tests can try."""


def commits(run: Path) -> set[str]:
    """Return committed tasks, from the files alone, as ``stage item``."""
    # Not one glob of two levels: a stage whose text is no longer needed loses its folder at any time.
    stages = (run / "commits").glob("*")
    return {f"{path.parent.name} {path.stem}" for stage in stages for path in listed(stage)}


def listed(folder: Path) -> list[Path]:
    """Return the records in a folder, none if it is gone."""
    try:
        return list(folder.glob("*.json"))
    except FileNotFoundError:
        return []


class Event(NamedTuple):
    """A line of the record."""

    what: str
    task: str
    pid: int
    time: float


class Record:
    """What the processes of a test wrote down, in a folder of its own, and what is asked of them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.path = folder / "record"
        self.path.touch()

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a process that takes part."""
        search = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        return {
            **os.environ,
            FOLDER: str(self.folder),
            "PYTHONPATH": search,
            "DASK_DISTRIBUTED__WORKER__PRELOAD": '["tests.support.spy"]',
        }

    def mark(self) -> int:
        """The place where the record ends now."""
        return self.path.stat().st_size

    def events(self, since: int = 0) -> list[Event]:
        """What was written down since a mark."""
        lines = self.path.read_bytes()[since:].decode().splitlines()
        fields = [line.split() for line in lines]
        return [
            Event(what, f"{stage} {item}", int(pid), float(when)) for what, stage, item, pid, when in fields
        ]

    def attempts(self, stage: str = "", since: int = 0) -> Counter[str]:
        """How often the work of each task was begun since a mark."""
        begun = [event.task for event in self.events(since) if event.what == "begin"]
        return Counter(task for task in begun if task.startswith(stage))

    def ask(self, **mischief: list[Any]) -> None:
        """Ask for mischief: by task, with ``_`` for the space and ``-`` as it is; nothing ends it."""
        partial = self.folder / "mischief.partial"
        partial.write_text(json.dumps(mischief), encoding="utf-8")
        partial.replace(self.folder / "mischief.json")


def begun(record: Record, stage: str, mark: int) -> int:
    """Tasks of a stage begun since a mark."""
    return record.attempts(f"{stage} ", mark).total()


def has_begun(record: Record, stage: str, mark: int, n: int) -> bool:
    """Whether so many tasks of a stage have begun since a mark."""
    return begun(record, stage, mark) >= n


class Ended(NamedTuple):
    """How a command ended, what it said, and how many seconds after a fault."""

    code: int
    stderr: str
    seconds: float


def ended_by(
    fault: Callable[[int], object],
    command: Sequence[object],
    record: Record,
    stage: str = "compare",
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Start a command and, when some tasks of a stage have begun, a fault, which is told the process."""
    mark = record.mark()
    with started(*command, env={**record.environment, **(environment or {})}) as process:
        wait_until(lambda: record.attempts(f"{stage} ", mark).total() > 5, process=process)
        began = time.monotonic()
        fault(process.pid)
        _, stderr = process.communicate(timeout=200)
        return Ended(process.returncode, stderr, time.monotonic() - began)


def novelty(record: Record, *arguments: object, seconds: float = 400) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end."""
    return subprocess.run(
        [*SPIED, *map(str, arguments)],
        env=record.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
