import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from novelty_dask.objects import processes
from novelty_dask.objects.processes import State, state_of, this_process
from tests.support.clocks import HOUR, STEPS, stepped

IDENTIFY = """
import json, sys
from novelty_dask.objects.processes import this_process

print(json.dumps(this_process()), flush=True)
sys.stdin.read()
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="there are namespaces on Linux only")


@contextmanager
def another(*prefix: str) -> Iterator[dict[str, Any]]:
    """A process that is there for a while, and what identifies it."""
    command = [*prefix, sys.executable, "-c", IDENTIFY]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            if not line:
                pytest.skip(f"{' '.join(prefix)} is not permitted here")
            yield json.loads(line)
        finally:
            process.communicate()


def test_this_process_is_alive() -> None:
    assert state_of(this_process()) is State.ALIVE
    # As it is when it was stored and read.
    assert state_of(json.loads(json.dumps(this_process()))) is State.ALIVE


@pytest.mark.process
def test_another_process_is_alive_until_it_ends() -> None:
    with another() as record:
        assert state_of(record) is State.ALIVE
    assert state_of(record) is State.DEAD


@pytest.mark.process
@pytest.mark.parametrize("step", STEPS)
def test_a_step_of_the_clock_ends_nobody(step: float) -> None:
    with another() as record, stepped(step):
        assert state_of(record) is State.ALIVE
    with stepped(step):
        # Nor does it bring anybody back.
        assert state_of(record) is State.DEAD
        mine = this_process()
    assert state_of(mine) is State.ALIVE


def test_a_number_that_was_given_again_is_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    other = {**this_process(), "started": this_process()["started"] - 5}
    assert state_of(other) is (State.DEAD if processes.LINUX else State.DOUBTFUL)
    # Where starts are times of the calendar, another start is no proof.
    monkeypatch.setattr(processes, "LINUX", False)
    there = this_process()
    assert state_of(there) is State.ALIVE
    for step in STEPS:
        with stepped(step):
            assert state_of(there) is State.DOUBTFUL


@pytest.mark.parametrize("name", ["host", "machine", "boot", "namespace"])
def test_a_process_elsewhere_is_not_judged(name: str) -> None:
    record = this_process()
    assert state_of({**record, name: "other", "pid": 2**22 - 1}) in {State.UNSEEN, State.DOUBTFUL}
    del record[name]
    assert state_of(record) in {State.UNSEEN, State.DOUBTFUL}


def test_a_boot_since_is_doubtful_only_on_the_same_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LINUX", True)
    monkeypatch.setattr(processes, "_machine", lambda: "one")
    monkeypatch.setattr(processes, "_namespace", lambda: f"{processes.OUTERMOST} -")
    monkeypatch.setattr(processes, "_look", lambda pid: (False, 7))
    before = {**this_process(), "boot": "before"}
    assert state_of(before) is State.DOUBTFUL
    for name in ("host", "machine", "namespace"):
        assert state_of({**before, name: "other"}) is State.UNSEEN
    # Containers of one image have one name, wherever they are.
    monkeypatch.setattr(processes, "_namespace", lambda: "pid:[4026532999] -")
    assert state_of({**this_process(), "boot": "before"}) is State.UNSEEN
    # A machine that has no name is not known again.
    monkeypatch.setattr(processes, "_namespace", lambda: f"{processes.OUTERMOST} -")
    monkeypatch.setattr(processes, "_machine", lambda: "")
    assert state_of({**this_process(), "boot": "before"}) is State.UNSEEN


@pytest.mark.parametrize("name", ["boot", "namespace"])
def test_where_nothing_is_known_nobody_is_judged(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LINUX", True)
    monkeypatch.setattr(processes, "_look", lambda pid: (False, 7))
    monkeypatch.setattr(processes, "_read" if name == "boot" else "_namespace", lambda *_: "")
    assert this_process()[name] == ""
    assert state_of(this_process()) is State.UNSEEN


@pytest.mark.parametrize("damage", [{"pid": "x"}, {"pid": None}, {"pid": 2**80}, {"started": []}])
def test_a_damaged_record_proves_nothing(damage: dict[str, Any]) -> None:
    record = {**this_process(), **damage}
    assert state_of(record) is State.ALIVE
    del record[next(iter(damage))]
    assert state_of(record) is State.ALIVE


def test_a_process_of_which_nothing_is_shown_is_doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of other users where /proc hides them."""
    record = this_process()
    monkeypatch.setattr(processes, "_look", lambda pid: Path("/none").read_bytes())
    assert state_of(record) is State.DOUBTFUL


@linux
@pytest.mark.process
@pytest.mark.parametrize(
    "container",
    [
        ("unshare", "--time", f"--boottime={HOUR:.0f}"),
        ("unshare", "--pid", "--fork", "--mount-proc"),
        ("unshare", "--pid", "--fork"),
    ],
)
def test_a_process_in_a_container_is_not_judged_from_outside(container: tuple[str, ...]) -> None:
    """Its number, or its start, is another there; the host has the same name and boot."""
    with another(*container) as record:
        assert record["boot"] == this_process()["boot"]
        assert record["host"] == this_process()["host"]
        assert state_of(record) is State.UNSEEN
    assert state_of(record) is State.UNSEEN


def state_in_child(record: dict[str, Any], answers: "multiprocessing.Queue[str]") -> None:
    """Look at a process from another one."""
    answers.put(state_of(record).name)


@linux
@pytest.mark.process
def test_what_proc_shows_of_another_namespace_is_not_believed() -> None:
    """In a namespace without a /proc of its own the numbers there are those of strangers."""
    with another("unshare", "--pid", "--fork") as record:
        assert record["pid"] == 1
        assert record["namespace"] == ""


@pytest.mark.process
def test_a_fork_is_a_process_of_its_own() -> None:
    """Nothing that identifies a process is remembered from before the fork."""
    context = multiprocessing.get_context("fork")
    answers: multiprocessing.Queue[str] = context.Queue()
    child = context.Process(target=state_in_child, args=(this_process(), answers))
    child.start()
    assert answers.get(timeout=200) == "ALIVE"
    child.join()
    assert os.getpid() == this_process()["pid"]
