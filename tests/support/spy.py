"""What the processes of these tests load besides the package: a record of every attempt, and mischief.

Workers have it as a preload, clients start as ``python -m tests.support.spy COMMAND``.  The folder that
``NOVELTY_SPY`` names holds the record, to which a line is appended when a task's work begins and when it
has ended, and ``mischief.json``, which says of a task (``compare 3-1``), a stage or all (``*``) what is to
happen as its work begins.
"""

import ctypes
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
import numpy as np

from novelty_dask.objects.commits import Draft
from novelty_dask.pipeline import limits
from novelty_dask.planning.budget import Budget, Extent
from novelty_dask.planning.memory import fit
from novelty_dask.planning.stages import TaskId
from novelty_dask.planning.tiles import MAXIMUM_GROUPS, TilePlan
from novelty_dask.stages import sort
from novelty_dask.stages.ingest import BYTES_PER_KEY
from novelty_dask.storage.runs import StoredRun
from novelty_dask.storage.tables import write_table

FOLDER = "NOVELTY_SPY"
HOG_BYTES = 32 * 2**20


def install() -> None:
    """Watch each task of this process, and make its plans of many tiles."""
    original = StoredRun.once

    def once(run: StoredRun, task: TaskId, epoch: int, work: Callable[[Draft], Any]) -> Any:
        return original(run, task, epoch, lambda draft: _watched(task, lambda: work(draft)))

    def write_watched(draft: Draft, key: str, table: Any, text: Sequence[str]) -> Any:
        return _watched(TaskId("sort", Path(key).stem), lambda: write_table(draft, key, table, text))

    replace_name(StoredRun, "once", once)
    replace_name(sort, "write_table", write_watched)
    many_tasks()


def many_tasks() -> None:
    """Make plans of a small corpus as of a big one: spans of one block, eight groups, several ranges."""
    replace_name(limits, "fit", fit_finely)
    replace_name(sort, "PARTITION_BYTES", BYTES_PER_KEY)


def replace_name(owner: object, name: str, value: object) -> None:
    """Give a name of a class or module another value, for good; it must be there."""
    assert hasattr(owner, name)
    setattr(owner, name, value)


def fit_finely(budget: Budget, extents: Sequence[Extent], block_rows: int | None = None) -> TilePlan:
    """A plan of as many tiles as there may be, for blocks that are given."""
    plan = fit(budget, extents, block_rows)
    return replace(plan, span_blocks=1, group_blocks=-(-plan.n_blocks // MAXIMUM_GROUPS))


def dask_setup(_worker: Any) -> None:
    """As Dask calls it when a worker starts."""
    install()


def _watched(task: TaskId, work: Callable[[], Any]) -> Any:
    """Do some work, and append its begin and its end to the record."""
    name = f"{task.stage} {task.item}"
    record("begin", name)
    _mischief(name)
    result = work()
    record("end", name)
    return result


def record(what: str, name: str) -> None:
    """Append a line; so short a one is whole, whoever else appends or is killed."""
    folder = os.environ.get(FOLDER)
    if folder:
        line = f"{what} {name} {os.getpid()} {time.time()}\n".encode()
        descriptor = os.open(f"{folder}/record", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, line)
        os.close(descriptor)


def _mischief(name: str) -> None:
    """Do what is asked for as a task begins."""
    try:
        asked = json.loads(Path(os.environ.get(FOLDER, "."), "mischief.json").read_bytes())
    except (OSError, ValueError):
        return
    for key in ("*", name.partition(" ")[0], name):
        if key in asked:
            what, *arguments = asked[key]
            MISCHIEF[what](*arguments)


def _segfault() -> None:
    """Read what is not this process's."""
    ctypes.string_at(0)


def _hog() -> None:
    """Take memory, and write to it, until somebody ends this; slow enough to be seen."""
    held = []
    while True:
        held.append(np.ones(HOG_BYTES, np.uint8))
        time.sleep(0.03)


def _rendezvous(folder: str, n: int) -> None:
    """Wait until so many processes are here."""
    Path(folder, str(os.getpid())).touch()
    deadline = time.monotonic() + 60
    while len(list(Path(folder).iterdir())) < n and time.monotonic() < deadline:
        time.sleep(0.001)


@numba.njit("int64(int64)", nogil=True, cache=True)
def _spin(n: int) -> int:
    """Count, without the interpreter; the sum is used, or it would be left out."""
    total = 0
    for number in range(n):
        total += (total ^ number) & 7
    return total


def _compute(seconds: float) -> None:
    """Be inside one call of compiled code after another, each for longer than a second."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        _spin(10**9)


MISCHIEF: dict[str, Callable[..., None]] = {
    "segfault": _segfault,
    "hog": _hog,
    "sleep": time.sleep,
    "rendezvous": _rendezvous,
    "compute": _compute,
}


if __name__ == "__main__":
    from novelty_dask.cli import main

    install()
    main()
