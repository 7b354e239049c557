import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest

from novelty_dask.errors import OwnedError, StoreError
from novelty_dask.objects import owners, processes
from novelty_dask.objects.creation import make_token
from novelty_dask.objects.local import LocalObjects
from novelty_dask.objects.owners import (
    JobToken,
    check_epoch,
    claim,
    find_driven,
    holder,
    newest_epoch,
)
from novelty_dask.objects.processes import this_process
from novelty_dask.objects.protocol import Data
from tests.support.clocks import STEPS, stepped
from tests.support.processes import wait_until

ROOT = Path(__file__).parents[2]
PROCESSES = multiprocessing.get_context("spawn")
HOLD = """
import socket, sys
from pathlib import Path
from novelty_dask.objects import owners
from novelty_dask.objects.local import LocalObjects
from novelty_dask.objects.owners import claim
from tests.support.clocks import stepped

host, step = sys.argv[2] or socket.gethostname(), float(sys.argv[3])
socket.gethostname = lambda: host
owners.HEARTBEAT_SECONDS = 0.05
with stepped(step), claim(LocalObjects(Path(sys.argv[1])), "run.zarr") as owner:
    print(owner.epoch, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path)


@pytest.fixture(autouse=True)
def watch_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watch for a moment only."""
    monkeypatch.setattr(owners, "WATCH_SECONDS", 0.2)


@contextmanager
def holding(objects: LocalObjects, host: str = "", step: float = 0) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has claimed a run, with a clock that was set."""
    command = [sys.executable, "-c", HOLD, str(objects.root), host, str(step)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def alter(objects: LocalObjects, epoch: int, **values: Any) -> None:
    """Let the owner of an epoch be another."""
    key = f"owners/{epoch:08}.json"
    objects.write(key, json.dumps({**json.loads(objects.read(key)), **values}).encode())


@contextmanager
def holding_still(process: "subprocess.Popen[str]") -> Iterator[None]:
    """Let a process stand still."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def age(objects: LocalObjects, epoch: int, seconds: float) -> None:
    """Let the last heartbeat of an epoch be so old, by the clock of the file system."""
    path = objects.root / f"owners/{epoch:08}.alive"
    heard = path.stat().st_mtime - seconds
    os.utime(path, (heard, heard))


def heard(objects: LocalObjects) -> float:
    """When the owner of the first epoch said last that it lives, by the clock that is never set."""
    return float(objects.read("owners/00000001.alive").split()[0])


def refuse(objects: LocalObjects, *, take_over: bool = False) -> str:
    """Claim in vain."""
    before = objects.sizes()
    with pytest.raises(StoreError) as refusal:
        claim(objects, "run.zarr", take_over=take_over)
    assert objects.sizes() == before
    return str(refusal.value)


def test_epochs_follow_one_another(objects: LocalObjects) -> None:
    assert newest_epoch(objects) == 0
    assert holder(objects) is None
    for epoch in (1, 2, 3, 4):
        with claim(objects, "run.zarr") as owner:
            assert owner.epoch == newest_epoch(objects) == epoch
            assert f"process {os.getpid()} on " in (holder(objects) or "")
        assert holder(objects) is None
    # Records do not pile up.
    assert len(objects.sizes("owners/")) <= 4


def test_an_owner_that_fails_releases_too(objects: LocalObjects) -> None:
    with pytest.raises(ZeroDivisionError), claim(objects, "run.zarr"):
        raise ZeroDivisionError
    assert holder(objects) is None


@pytest.mark.process
def test_who_is_at_work_is_named_at_once(objects: LocalObjects) -> None:
    with holding(objects) as process:
        began = time.monotonic()
        for take_over in (False, True):
            message = refuse(objects, take_over=take_over)
            host = re.escape(os.uname().nodename)
            expected = (
                rf"'run\.zarr' is being worked on by process {process.pid} on {host} since [-\d]+ [:\d]+, "
            )
            assert re.fullmatch(expected + r"last heard of \d+ s ago; wait for it, or stop it\.", message)
        assert time.monotonic() - began < 10
        process.communicate()
    with claim(objects, "run.zarr") as owner:
        assert owner.epoch == 2


@pytest.mark.process
@pytest.mark.parametrize("reaped", [True, False])
def test_a_dead_process_of_this_host_is_succeeded_without_a_word(objects: LocalObjects, reaped: bool) -> None:
    with holding(objects) as process:
        os.kill(process.pid, signal.SIGKILL)
        # Until its parent asks for it, a dead process is there as a zombie.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        if reaped:
            process.wait()
        assert holder(objects) is None
        with claim(objects, "run.zarr") as owner:
            assert owner.epoch == 2


def test_a_process_number_used_again_is_not_the_owner(objects: LocalObjects) -> None:
    claim(objects, "run.zarr")
    refuse(objects)
    alter(objects, 1, started=1.0)
    with claim(objects, "run.zarr") as owner:
        assert owner.epoch == 2


@pytest.mark.parametrize("elsewhere", [{"host": "elsewhere"}, {"namespace": "pid:[1]"}])
def test_an_owner_elsewhere_is_succeeded_on_request_when_it_is_silent(
    objects: LocalObjects, elsewhere: dict[str, str]
) -> None:
    claim(objects, "run.zarr")
    # Its number tells nothing here.
    alter(objects, 1, pid=2**22 - 1, **elsewhere)
    for take_over in (False, True):
        assert refuse(objects, take_over=take_over).endswith("; wait for it, or stop it.")
    age(objects, 1, 61)
    alter(objects, 1, since=time.time() - 1_000)
    message = refuse(objects)
    assert message.endswith("last heard of 61 s ago; if it is dead, `novelty resume --take-over` goes on.")
    assert holder(objects) is not None
    with claim(objects, "run.zarr", take_over=True) as owner:
        assert owner.epoch == 2


def test_a_damaged_record_is_nobody_known(objects: LocalObjects) -> None:
    claim(objects, "run.zarr")
    for damaged in (b"", b"[]", b'{"host"', b"\xff"):
        objects.write("owners/00000001.json", damaged)
        objects.write("owners/00000001.alive", b"")
        age(objects, 1, 61)
        assert refuse(objects).endswith("`novelty resume --take-over` goes on.")
        assert holder(objects) is not None
    with claim(objects, "run.zarr", take_over=True) as owner:
        assert owner.epoch == 2


def test_an_older_epoch_may_not_commit_any_more(objects: LocalObjects) -> None:
    check_epoch(objects, 0)
    with claim(objects, "run.zarr") as first:
        check_epoch(objects, first.epoch)
    check_epoch(objects, first.epoch)
    with claim(objects, "run.zarr") as second:
        check_epoch(objects, second.epoch)
        for epoch in (0, first.epoch, 3):
            with pytest.raises(
                StoreError, match=rf"^Another client, of epoch 2, has taken over from epoch {epoch}; "
            ):
                check_epoch(objects, epoch)


def lose(objects: LocalObjects, epoch: int) -> None:
    """Claim an epoch after another client has, as one does that looked before and was slow since."""
    assert not owners._create_record(objects, epoch, make_token(), None)


def test_a_lost_claim_does_not_hold_a_run_that_is_released(objects: LocalObjects) -> None:
    """Though the process of the client that won goes on, as that of a notebook does."""
    with claim(objects, "run.zarr"):
        pass
    lose(objects, 1)
    age(objects, 1, 61)
    assert holder(objects) is None
    with claim(objects, "run.zarr") as owner:
        assert owner.epoch == 2


def test_a_lost_claim_does_not_end_a_run_that_is_held(
    objects: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owners, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(owners, "WATCH_SECONDS", 60.0)
    with claim(objects, "run.zarr"):
        lose(objects, 1)
        assert holder(objects) is not None
        with pytest.raises(StoreError, match=rf"is being worked on by process {os.getpid()} on "):
            claim(objects, "run.zarr")


@pytest.mark.process
@pytest.mark.parametrize("step", STEPS)
def test_steps_of_the_clock_leave_one_owner(objects: LocalObjects, step: float) -> None:
    """Be it the clock of the owner or that of the other client."""
    for theirs, ours in ((0.0, step), (step, 0.0)):
        with holding(objects, step=theirs) as process, stepped(ours):
            assert f"process {process.pid} on " in (holder(objects) or "")
            for take_over in (False, True):
                assert refuse(objects, take_over=take_over).endswith("; wait for it, or stop it.")
            process.kill()
            process.wait()
            assert holder(objects) is None
            with claim(objects, "run.zarr"):
                pass


@pytest.mark.sampled
@pytest.mark.process
@pytest.mark.parametrize("step", STEPS)
def test_steps_of_the_clock_leave_one_owner_on_two_hosts(
    objects: LocalObjects, step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the store's own clock is set between two heartbeats."""
    monkeypatch.setattr(owners, "WATCH_SECONDS", 1.0)
    for theirs, ours in ((0.0, step), (step, 0.0)):
        with holding(objects, "elsewhere", theirs) as process, stepped(ours):
            assert refuse(objects, take_over=True).endswith("; wait for it, or stop it.")
            with holding_still(process):
                age(objects, newest_epoch(objects), step)
                assert f"process {process.pid} on elsewhere" in refuse(objects)
            # It beats again while it is watched.
            assert refuse(objects, take_over=True).endswith("; wait for it, or stop it.")
            with holding_still(process):
                age(objects, newest_epoch(objects), max(step, 61) if step > 0 else step)
                with claim(objects, "run.zarr", take_over=True) as owner:
                    check_epoch(objects, owner.epoch)


@pytest.mark.process
def test_a_machine_that_was_booted_since_runs_nothing_from_before(
    objects: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to ask for it; but a copy of the machine may have its names, and be at work."""
    monkeypatch.setattr(processes, "_machine", lambda: "one")
    monkeypatch.setattr(processes, "_namespace", lambda: f"{processes.OUTERMOST} -")
    monkeypatch.setattr(owners, "WATCH_SECONDS", 1.0)
    place = {name: value for name, value in this_process().items() if name in {"machine", "namespace"}}
    with holding(objects) as process:
        alter(objects, 1, boot="before", **place)
        assert refuse(objects).endswith("; wait for it, or stop it.")
        process.kill()
        process.wait()
    assert holder(objects) is not None
    age(objects, 1, 61)
    assert holder(objects) is None
    with claim(objects, "run.zarr") as owner:
        assert owner.epoch == 2


@pytest.mark.process
def test_a_run_that_is_released_while_it_is_watched_is_free(
    objects: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim(objects, "run.zarr")
    alter(objects, 1, host="elsewhere")
    age(objects, 1, 61)
    monkeypatch.setattr(owners, "WATCH_SECONDS", 60.0)
    release = threading.Timer(0.3, lambda: objects.remove("owners/00000001.alive"))
    release.start()
    with claim(objects, "run.zarr", take_over=True) as owner:
        assert owner.epoch == 2


def test_a_store_that_tells_no_time_is_watched(objects: LocalObjects) -> None:
    claim(objects, "run.zarr")
    alter(objects, 1, host="elsewhere")
    objects.modified = lambda key: None  # type: ignore[method-assign]
    message = refuse(objects)
    assert "last heard of" not in message
    assert message.endswith("; if it is dead, `novelty resume --take-over` goes on.")
    with claim(objects, "run.zarr", take_over=True) as owner:
        assert owner.epoch == 2


def test_a_listing_that_lags_behind_makes_no_second_owner(objects: LocalObjects) -> None:
    """As that of a store whose listings show what is written only later."""
    owned = [claim(objects, "run.zarr")]
    objects.remove("owners/00000001.alive")
    before = objects.sizes()
    owned.append(claim(objects, "run.zarr"))
    sizes, objects.sizes = objects.sizes, lambda prefix="": before  # type: ignore[method-assign]
    assert newest_epoch(objects) == 2
    check_epoch(objects, 2)
    with pytest.raises(StoreError, match=r"^Another client, of epoch 2, has taken over from epoch 1; "):
        check_epoch(objects, 1)
    with pytest.raises(StoreError, match=r"^'run\.zarr' is being worked on by process "):
        claim(objects, "run.zarr")
    assert set(sizes("owners/")) >= {"owners/00000002.alive", "owners/00000002.json"}


def test_a_run_that_is_gone_is_not_another_clients(objects: LocalObjects, tmp_path: Path) -> None:
    with claim(objects, "run.zarr") as owner:
        shutil.rmtree(tmp_path / "owners")
        with pytest.raises(StoreError, match=r"^The run is gone: it was moved or removed while it was "):
            check_epoch(objects, owner.epoch)


def test_no_heartbeat_makes_a_run_anew(objects: LocalObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owners, "HEARTBEAT_SECONDS", 0.01)
    run = LocalObjects(objects.root / "run.zarr")
    with claim(run, "run.zarr"):
        (objects.root / "run.zarr").rename(objects.root / "moved")
        time.sleep(0.1)
        assert not (objects.root / "run.zarr").exists()


def test_an_owner_says_that_it_lives(objects: LocalObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owners, "HEARTBEAT_SECONDS", 0.01)
    with claim(objects, "run.zarr"):
        began, deadline = time.monotonic(), time.monotonic() + 20
        while heard(objects) < began + 0.05 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert heard(objects) >= began + 0.05


def test_a_heartbeat_that_fails_is_tried_again(
    objects: LocalObjects, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(owners, "HEARTBEAT_SECONDS", 0.01)
    with claim(objects, "run.zarr"):
        (tmp_path / "owners").rename(tmp_path / "away")
        (tmp_path / "owners").touch()
        time.sleep(0.1)
        (tmp_path / "owners").unlink()
        (tmp_path / "away").rename(tmp_path / "owners")
        began, deadline = time.monotonic(), time.monotonic() + 20
        while heard(objects) < began and time.monotonic() < deadline:
            time.sleep(0.01)
        assert heard(objects) >= began


class OddError(Exception):
    """What the library of a store may raise: no error of the system."""


class Unheard(BaseException):
    """What nobody expects, as the CancelledError of asyncio."""


@pytest.mark.parametrize(
    "error", [OSError(5, "It failed"), OddError("It failed"), Unheard("It failed"), MemoryError]
)
def test_no_error_ends_the_heartbeat(
    objects: LocalObjects,
    error: BaseException,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is said once, and at the end if it was for good."""
    # Other tests run notebooks in this process, which configure logging.
    monkeypatch.setattr(owners.LOGGER, "disabled", False)
    monkeypatch.setattr(owners, "HEARTBEAT_SECONDS", 0.01)
    write = objects.write

    def fail(key: str, data: Data) -> None:
        raise error

    with claim(objects, "run.zarr") as owner:
        objects.write = fail  # type: ignore[method-assign]
        wait_until(lambda: owner._missed > 5, 20)
        assert len(caplog.messages) == 1
        assert caplog.messages[0].startswith("A heartbeat could not be stored and is tried again: ")
        objects.write = write  # type: ignore[method-assign]
        before = objects.read("owners/00000001.alive")
        wait_until(lambda: objects.read("owners/00000001.alive") != before and not owner._missed, 20)
        objects.write = fail  # type: ignore[method-assign]
        wait_until(lambda: owner._missed > 1, 20)
    assert re.fullmatch(
        r"Heartbeats of this client that could not be stored at the end: \d+\.", caplog.messages[-1]
    )
    assert len(caplog.messages) == 3


def test_a_release_that_fails_hides_no_error(
    objects: LocalObjects, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(key: str) -> None:
        raise OddError("The store is gone.")

    monkeypatch.setattr(owners.LOGGER, "disabled", False)
    owner = claim(objects, "run.zarr")
    objects.remove = fail  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError), owner:
        raise ZeroDivisionError
    assert caplog.messages == ["This client could not release the run: The store is gone."]


MEETING: list[Barrier] = []
"""Where each of two processes waits for the other."""


def meet_at(barrier: Barrier) -> None:
    MEETING.append(barrier)


def claim_together(root: Path) -> bool:
    """Claim a run at the same time as another process does, and hold it until both have tried."""
    MEETING[0].wait(200)
    try:
        owner = claim(LocalObjects(root), "run.zarr")
    except StoreError:
        MEETING[0].wait(200)
        return False
    with owner:
        MEETING[0].wait(200)
    return True


@pytest.mark.process
def test_of_two_processes_that_claim_at_once_one_does(tmp_path: Path) -> None:
    with PROCESSES.Pool(2, meet_at, [PROCESSES.Barrier(2)]) as pool:
        pool.map(claim_together, [tmp_path / str(number) for number in range(2)], chunksize=1)
        for attempt in range(3):
            won = pool.map(claim_together, [tmp_path / "run"] * 2, chunksize=1)
            assert sorted(won) == [False, True]
            assert newest_epoch(LocalObjects(tmp_path / "run")) == attempt + 1


def test_a_driver_succeeds_another_of_its_job_and_scheduler_at_once(objects: LocalObjects) -> None:
    """Though the process of that is alive, as a thread of a worker that the scheduler has lost may be."""
    with claim(objects, "run.zarr", job=JobToken("job", "one")) as first:
        assert find_driven(objects) == "job"
        for other in (None, JobToken("other", "one")):
            with pytest.raises(OwnedError):
                claim(objects, "run.zarr", job=other)
        second = claim(objects, "run.zarr", job=JobToken("job", "one"))
        assert second.epoch == first.epoch + 1
        with pytest.raises(OwnedError):
            check_epoch(objects, first.epoch)


def test_a_driver_of_another_scheduler_is_succeeded_when_it_gives_no_sign_of_life(
    objects: LocalObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owners, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(owners, "WATCH_SECONDS", 0.5)
    with claim(objects, "run.zarr", job=JobToken("job", "one")) as first:
        with pytest.raises(OwnedError):
            claim(objects, "run.zarr", job=JobToken("job", "two"))
        first.stop_beating()
        assert claim(objects, "run.zarr", job=JobToken("job", "two")).epoch == first.epoch + 1
