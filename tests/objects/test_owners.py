import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from novelty_dask.errors import StoreError
from novelty_dask.objects import owners
from novelty_dask.objects.local import LocalObjects
from novelty_dask.objects.owners import check_epoch, claim, holder, newest_epoch

PROCESSES = multiprocessing.get_context("spawn")
HOLD = """
import sys
from pathlib import Path
from novelty_dask.objects.local import LocalObjects
from novelty_dask.objects.owners import claim

with claim(LocalObjects(Path(sys.argv[1])), "run.zarr") as owner:
    print(owner.epoch, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def objects(tmp_path: Path) -> LocalObjects:
    return LocalObjects(tmp_path)


@contextmanager
def holding(objects: LocalObjects) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has claimed a run."""
    command = [sys.executable, "-c", HOLD, str(objects.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
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
        assert time.monotonic() - began < 2
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
    objects.write("owners/00000001.alive", repr(time.time() - 61).encode())
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


def test_an_owner_says_that_it_lives(objects: LocalObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owners, "HEARTBEAT_SECONDS", 0.01)
    with claim(objects, "run.zarr"):
        began, deadline = time.time(), time.monotonic() + 20
        while float(objects.read("owners/00000001.alive")) < began + 0.05 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert float(objects.read("owners/00000001.alive")) >= began + 0.05


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
        began, deadline = time.time(), time.monotonic() + 20
        while float(objects.read("owners/00000001.alive")) < began and time.monotonic() < deadline:
            time.sleep(0.01)
        assert float(objects.read("owners/00000001.alive")) >= began


def claim_at(root: Path, start: float) -> bool:
    """Claim a run at the same time as another process does."""
    time.sleep(max(0.0, start - time.time()))
    try:
        owner = claim(LocalObjects(root), "run.zarr")
    except StoreError:
        return False
    with owner:
        time.sleep(0.5)
    return True


@pytest.mark.process
def test_of_two_processes_that_claim_at_once_one_does(tmp_path: Path) -> None:
    with PROCESSES.Pool(2) as pool:
        pool.starmap(claim_at, [(tmp_path / str(number), 0.0) for number in range(2)])
        for attempt in range(3):
            start = time.time() + 0.1
            won = pool.starmap(claim_at, [(tmp_path / "run", start)] * 2, chunksize=1)
            assert sorted(won) == [False, True]
            assert newest_epoch(LocalObjects(tmp_path / "run")) == attempt + 1
