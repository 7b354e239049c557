"""Processes of these tests, what they wrote down, and what a run holds."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

import novelty_dask
from tests.support.spy import FOLDER

ROOT = Path(__file__).parents[2]
BLOCK_ROWS = 64
SETTINGS: dict[str, Any] = {"n_features": 2**14, "n_neighbors": 5}
WORK: dict[str, Any] = {"block_rows": BLOCK_ROWS}
FLAGS = ["--n-features", str(2**14), "-k", "5", "--block-rows", str(BLOCK_ROWS)]
COMMAND = [sys.executable, "-m", "tests.support.spy"]
EVERY = bool(os.environ.get("NOVELTY_EVERY_OPERATION"))
"""Whether all is tried of which a usual run tries samples."""
STAGES = ("ingest", "sort", "rejected", "vectorize", "columns", "weigh", "compare", "merge")

Content = dict[str, str]


def content(run: str | Path, forms: Iterable[str] = ("csv", "jsonl", "parquet", "npz")) -> Content:
    """Hashes of all that a run tells of its rows, and of its exports."""
    opened = novelty_dask.open(run)
    arrays = {
        "urls": np.array(opened.urls[:].tolist()),
        "counts": opened.counts[:],
        "positions": opened.positions[:],
        "novelty": opened.novelty[:],
        "ids": opened.neighbors.ids[:],
        "similarities": opened.neighbors.similarities[:],
    }
    found = {name: hashlib.sha256(np.ascontiguousarray(value)).hexdigest() for name, value in arrays.items()}
    for form in forms:
        out = Path(f"{run}.export.{form}")
        novelty_dask.export(run, out)
        found[form] = hashlib.sha256(out.read_bytes()).hexdigest()
        out.unlink()
    return found


def files(folder: Path) -> dict[str, str]:
    """Hashes of all files of a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def commits(run: Path) -> set[str]:
    """Committed tasks, from the files alone, as ``stage item``."""
    return {f"{path.parent.name} {path.stem}" for path in (run / "commits").glob("*/*.json")}


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


def wait_until(
    condition: Callable[[], object],
    seconds: float = 200,
    process: "BaseProcess | subprocess.Popen[str] | None" = None,
) -> float:
    """Wait for a condition, as long as the process lives that is to bring it about; how long that took."""
    began = time.monotonic()
    while not condition():
        assert process is None or _is_alive(process), "it ended too soon"
        assert time.monotonic() - began < seconds, "it did not come about"
        time.sleep(0.005)
    return time.monotonic() - began


def _is_alive(process: "BaseProcess | subprocess.Popen[str]") -> bool:
    """Whether a process has not ended."""
    return process.is_alive() if isinstance(process, BaseProcess) else process.poll() is None


@contextmanager
def started(
    *command: object, env: dict[str, str] | None = None, cwd: Path | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """A process, as the leader of a session, of which nobody is left afterwards."""
    with subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
        cwd=cwd,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            end_session(process.pid)


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
) -> Ended:
    """Start a command and, when some tasks of a stage have begun, a fault, which is told the process."""
    mark = record.mark()
    with started(*command, env=record.environment) as process:
        wait_until(lambda: record.attempts(f"{stage} ", mark).total() > 5, process=process)
        began = time.monotonic()
        fault(process.pid)
        _, stderr = process.communicate(timeout=60)
        return Ended(process.returncode, stderr, time.monotonic() - began)


def end_session(leader: int) -> None:
    """Kill all processes of a session that a test began."""
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader:
                process.kill()
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue


def novelty(record: Record, *arguments: object, seconds: float = 400) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=record.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process of a test, if it is still there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
