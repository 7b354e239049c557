"""Clients that are killed or stopped, two at once, and one that wants something else."""

import json
import os
import random
import re
import shutil
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import psutil
import pytest

import novelty_dask
from novelty_dask import api
from novelty_dask.errors import StoreError
from novelty_dask.events import StageStarted
from novelty_dask.objects import owners
from novelty_dask.objects.owners import claim
from novelty_dask.planning.tiles import Tile
from novelty_dask.stages.perform import perform
from novelty_dask.storage import runs
from novelty_dask.storage.runs import open_stored
from tests.support import spy
from tests.support.content import Content, content_and_exports
from tests.support.damage import alter
from tests.support.files import snapshot
from tests.support.fixtures import Measured
from tests.support.forks import finish, fork, kill_at, watched_score
from tests.support.processes import kill, started, wait_until
from tests.support.record import (
    EFFORT,
    FLAGS,
    SETTINGS,
    SPIED,
    WORK,
    Record,
    begun,
    commits,
    has_begun,
    novelty,
)
from tests.support.runs import STAGE_NAMES

POINTS = [
    ("ingest", 1),
    ("ingest", 2),
    ("sort", 3),
    ("rejected", 1),
    ("vectorize", 7),
    ("columns", 1),
    ("weigh", 5),
    ("compare", 10),
    ("compare", 40),
    ("merge", 5),
    ("cover", 2),
    ("density", 5),
    ("lof", 5),
]
"""Where a client is killed: as it begins so many tasks of a stage."""
KILLS = min(2 * EFFORT, 20)
"""How often all processes are killed."""


def test_a_killed_client_goes_on(record: Record, corpus: Path, undisturbed: Content, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    record.ask(**{"*": ["sleep", 0.02]})
    done: set[str] = set()
    assert {stage for stage, _ in POINTS} == set(STAGE_NAMES)
    for stage, number in POINTS:
        mark = record.mark()
        kill_at(record, corpus, out, stage, number)
        assert not done & set(record.attempts(since=mark))
        assert novelty_dask.status(out).state == "stopped"
        assert not novelty_dask.verify(out).damages
        done |= committed(out)
    mark = record.mark()
    assert finish(fork(watched_score, record.folder, corpus, out)) == 0
    assert not done & set(record.attempts(since=mark))
    assert content_and_exports(out) == undisturbed
    assert novelty_dask.clean(out) <= len(POINTS)
    assert not list(out.rglob("*.partial"))
    assert content_and_exports(out) == undisturbed


@pytest.mark.long
def test_stopped_commands_with_workers(
    record: Record, corpus: Path, undisturbed: Content, tmp_path: Path, measured: Measured
) -> None:
    """The client killed and its workers not; then SIGTERM, then SIGINT, to all processes."""
    out = tmp_path / "run.zarr"
    command = [*SPIED, "score", corpus, "-o", out, *FLAGS, "--workers", "1"]
    record.ask(compare=["sleep", 0.05])
    with started(*command, env=record.environment) as process:
        wait_until(lambda: begun(record, "compare", 0) >= 10, process=process)
        workers = psutil.Process(process.pid).children(recursive=True)
        kill(process.pid)
        process.wait(60)
        for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
            mark, done = record.mark(), commits(out)
            with started(*command, env=record.environment) as again:
                wait_until(partial(has_begun, record, "compare", mark, 10), process=again)
                assert not done & set(record.attempts(since=mark))
                os.killpg(again.pid, number)
                began = time.monotonic()
                _, stderr = again.communicate(timeout=120)
                seconds = time.monotonic() - began
                measured(f"seconds after {number.name}", round(seconds, 1))
            assert again.returncode == code
            assert seconds < 60
            assert stderr.splitlines()[-1] == f"Stopped; `novelty resume {out}` goes on."
            assert "Traceback" not in stderr
            assert novelty_dask.status(out).state == "stopped"
        # Nobody ends the workers of a killed client, so they have to see it themselves.
        _, alive = psutil.wait_procs(workers, timeout=200)
        assert not alive
    mark, done = record.mark(), commits(out)
    assert finish(fork(watched_score, record.folder, corpus, out)) == 0
    assert not done & set(record.attempts(since=mark))
    assert content_and_exports(out) == undisturbed


def kill_all(
    record: Record, command: list[object], scratch: Path, seconds: float, after: Callable[[], bool] | None
) -> None:
    """Start a command, and kill all its processes some seconds later, or so long after something is true."""
    with started(*command, env={**record.environment, "TMPDIR": str(scratch)}) as process:
        if after:
            wait_until(after, process=process)
        time.sleep(seconds)
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.long
def test_all_processes_killed_again_and_again(
    record: Record, corpus: Path, undisturbed: Content, tmp_path: Path, measured: Measured
) -> None:
    """Client, scheduler and workers at the same moment: while they start, or at work."""
    out, scratch, chance = tmp_path / "run.zarr", tmp_path / "scratch", random.Random(11)
    scratch.mkdir()
    command: list[object] = [*SPIED, "score", corpus, "-o", out, *FLAGS, "--workers", "2"]
    # So that there is work left for the last.
    record.ask(**{"*": ["sleep", 0.02 * KILLS]})
    done: set[str] = set()
    for number in range(KILLS):
        mark = record.mark()
        at_work = partial(is_at_work, record, mark)
        after = (partial(has_done, out, done), None, at_work, at_work)[number % 4]
        kill_all(record, command, scratch, chance.uniform(0, 2 if after else 6), after)
        assert not done & set(record.attempts(since=mark))
        assert not (out / "zarr.json").exists() or novelty_dask.status(out).state == "stopped"
        assert not (out / "zarr.json").exists() or not novelty_dask.verify(out).damages
        done |= committed(out)
    assert done
    record.ask()
    mark = record.mark()
    assert novelty(record, *command[len(SPIED) :]).returncode == 0
    assert record.mark() > mark
    assert not done & set(record.attempts(since=mark))
    assert content_and_exports(out) == undisturbed
    assert novelty_dask.clean(out) <= 3 * KILLS
    assert not list(out.rglob("*.partial"))
    assert content_and_exports(out) == undisturbed
    # What they had in the temporary folder stays there, for nobody else to read.
    left = list(scratch.glob("novelty-*"))
    assert left
    assert all(path.stat().st_mode & 0o077 == 0 for path in left)
    measured("tasks begun", record.attempts().total())


def is_at_work(record: Record, mark: int) -> bool:
    """Return whether a task has begun since a mark."""
    return record.mark() > mark


def has_done(out: Path, done: set[str]) -> bool:
    """Return whether more tasks are done than these."""
    return bool(committed(out) - done)


def committed(out: Path) -> set[str]:
    """Tasks that are never to be done again."""
    done = commits(out)
    # The last task of the sort commits what its parts have left.
    return done | {f"sort {number:06d}" for number in range(5) if "sort all" in done}


def refused_score(corpus: Path, out: Path, **settings: object) -> str:
    """What is said of a run that can't be worked on now."""
    with pytest.raises(StoreError) as caught:
        novelty_dask.score(corpus, out, **{**SETTINGS, **WORK, "workers": 0, **settings})
    return str(caught.value)


@pytest.mark.long
def test_a_second_client_is_refused(
    record: Record, corpus: Path, undisturbed: Content, tmp_path: Path
) -> None:
    out = tmp_path / "run.zarr"
    record.ask(**{"compare 5-3": ["sleep", 3]})
    first = fork(watched_score, record.folder, corpus, out)
    wait_until(lambda: "compare 5-3" in record.attempts(), process=first)
    before, began = snapshot(out), time.monotonic()
    message = refused_score(corpus, out)
    assert time.monotonic() - began < 10
    assert f"is being worked on by process {first.pid} on {socket.gethostname()} since " in message
    with pytest.raises(StoreError, match="is being worked on by process"):
        novelty_dask.resume(out, take_over=True)
    assert snapshot(out) == before
    assert novelty_dask.status(out).state == "running"
    assert finish(first) == 0
    assert content_and_exports(out) == undisturbed


def test_of_two_at_the_same_moment_one_works(
    record: Record, corpus: Path, undisturbed: Content, tmp_path: Path
) -> None:
    """The other is refused, or waits for a heartbeat, and finds the run complete."""
    out = tmp_path / "run.zarr"
    both = [fork(watched_score, record.folder, corpus, out) for _ in range(2)]
    assert sorted(map(finish, both)) in ([0, 1], [0, 0])
    assert set(record.attempts().values()) == {1}
    assert content_and_exports(out) == undisturbed


def test_a_client_that_is_a_moment_late_is_told_who_is_at_work(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looked before the run was there, and could not create it any more."""
    out, refusals = tmp_path / "run.zarr", list[str]()

    def come_late(event: object) -> None:
        if isinstance(event, StageStarted) and not refusals:
            seen, find_run = iter([None]), runs.find_run
            monkeypatch.setattr(api, "find_run", lambda url: next(seen, find_run(url)))
            refusals.append(refused_score(corpus, out))

    novelty_dask.score(corpus, out, workers=0, listener=come_late, **SETTINGS)
    assert refusals[0].startswith(f"{str(out)!r} is being worked on by process {os.getpid()} on ")


def moved_elsewhere(out: Path, silent_seconds: float) -> None:
    """Let the newest owner of a run be one on another host, last heard of so long ago."""
    path = max((out / "owners").glob("*.json"))
    owner = json.loads(path.read_text(encoding="utf-8"))
    heard = time.time() - silent_seconds
    path.write_text(json.dumps({**owner, "host": "elsewhere", "since": heard}), encoding="utf-8")
    os.utime(path.with_suffix(".alive"), (heard, heard))


def test_a_silent_client_elsewhere_is_succeeded_on_request(
    record: Record, corpus: Path, undisturbed: Content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And when it wakes up it commits nothing any more."""
    out = tmp_path / "run.zarr"
    record.ask(**{"compare 5-3": ["sleep", 1]})
    first = fork(watched_score, record.folder, corpus, out)
    wait_until(lambda: "compare 5-3" in record.attempts(), process=first)
    assert first.pid
    kill(first.pid, signal.SIGSTOP)
    record.ask()
    moved_elsewhere(out, silent_seconds=20)
    with pytest.raises(StoreError, match=r"on elsewhere since .*; wait for it, or stop it\.$"):
        novelty_dask.resume(out, take_over=True)
    moved_elsewhere(out, silent_seconds=100)
    assert refused_score(corpus, out).endswith("; if it is dead, `novelty resume --take-over` goes on.")
    monkeypatch.setattr(owners, "WATCH_SECONDS", 1.0)
    novelty_dask.resume(out, take_over=True, workers=0)
    assert content_and_exports(out) == undisturbed
    before = {name: value for name, value in snapshot(out).items() if not name.startswith("owners")}
    kill(first.pid, signal.SIGCONT)
    assert finish(first) == 1
    assert {name: value for name, value in snapshot(out).items() if not name.startswith("owners")} == before
    assert novelty_dask.status(out).state == "complete"


def of_another_version(out: Path) -> None:
    """Let a run say that another version made it."""
    alter(out, lambda said: said["identity"].update(novelty_dask_version="0.0.9"))


def test_another_run_under_the_same_path_is_refused(record: Record, corpus: Path, tmp_path: Path) -> None:
    out, other = tmp_path / "run.zarr", tmp_path / "other"
    kill_at(record, corpus, out, "compare", 3)
    shutil.copytree(corpus, other)
    with (other / "0.txt").open("a", encoding="utf-8") as file:
        file.write("\nhttps://one.more.example/")
    before = snapshot(out)
    assert "its sources differ: " in refused_score(other, out)
    assert re.search(
        r"n_neighbors is 5 there and 6 here; name another", refused_score(corpus, out, n_neighbors=6)
    ) or ("n_neighbors is 5 there and 6 here" in refused_score(corpus, out, n_neighbors=6))
    assert snapshot(out) == before
    of_another_version(out)
    before = snapshot(out)
    here = version("novelty-dask")
    assert f"version is 0.0.9 there and {here} here" in refused_score(corpus, out)
    with pytest.raises(StoreError, match=rf": novelty_dask 0\.0\.9 made it, and this is {re.escape(here)}; "):
        novelty_dask.resume(out)
    assert snapshot(out) == before


def perform_tile(record: Path, out: Path, epoch: int, tile: Tile) -> None:
    """Do one task, as a worker does it."""
    os.environ[spy.FOLDER] = str(record)
    spy.install()
    perform(str(out), epoch, "compare", tile.item)


def test_a_task_done_twice_at_once_is_done_once(
    record: Record, corpus: Path, undisturbed: Content, tmp_path: Path
) -> None:
    out, meeting = tmp_path / "run.zarr", tmp_path / "meeting"
    kill_at(record, corpus, out, "compare", 20)
    stored = open_stored(str(out))
    mark = record.mark()
    meeting.mkdir()
    record.ask(compare=["rendezvous", str(meeting), 3])
    with claim(stored.objects, "run") as owner:
        three = [fork(perform_tile, record.folder, out, owner.epoch, Tile(7, 7)) for _ in range(3)]
        assert [finish(process) for process in three] == [0, 0, 0]
    assert record.attempts(since=mark) == {"compare 7-7": 3}
    record.ask()
    mark = record.mark()
    assert finish(fork(watched_score, record.folder, corpus, out)) == 0
    assert "compare 7-7" not in record.attempts(since=mark)
    assert content_and_exports(out) == undisturbed
