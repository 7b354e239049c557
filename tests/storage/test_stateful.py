"""Objects, commits and owners of one run, through any sequence of operations, kills and damage.

Clients are processes that are really killed; what they do is done here in their name, on a disk or in a store
of which any change may fail or be the last.  The model is a dict: the values that each object may have, which
are several only after an operation that was cut short.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import psutil
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from novelty_dask.errors import DamageError, StoreError, UnreachableError
from novelty_dask.objects import commits, local, owners, processes
from novelty_dask.objects.commits import Commit, Digest, Draft, commit_key, digest
from novelty_dask.objects.commits import _encode as encode_commit
from novelty_dask.objects.local import LocalObjects
from novelty_dask.objects.owners import SILENT_SECONDS, Owner, claim, holder, newest_epoch
from novelty_dask.objects.processes import State
from novelty_dask.objects.protocol import is_partial
from novelty_dask.objects.remote import RemoteObjects
from novelty_dask.planning.stages import TaskId
from novelty_dask.storage import runs
from novelty_dask.storage.audit import take_back
from novelty_dask.storage.runs import StoredRun
from tests.support.clocks import STEPS
from tests.support.damage import flip
from tests.support.disk import Killed
from tests.support.media import Fault, LocalMedium, Medium, RemoteMedium
from tests.support.runs import make_manifest

pytestmark = pytest.mark.process
KEYS = ("a", "b/c", "b/d", "b/e/f")
PREFIXES = ("b/", "b/e/", "none/")
TASKS = tuple(TaskId("compare", item) for item in ("0-0", "1-0", "1-1"))
HOSTS = ("here", "here", "elsewhere")
"""Hosts of the clients."""
SHIFTS = st.sampled_from((0.0, *STEPS))
"""By how much a clock of the calendar is wrong."""
SLOTS = st.sampled_from(range(len(HOSTS)))
DATA = st.sampled_from((b"", b"1", b"some bytes", bytes(range(256)) * 4))
DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "deleted": lambda _data: None,
    "emptied": lambda _data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "flipped": lambda data: flip(data) if data else b"?",
}

Values = set[bytes | None]


class Client:
    """A process that may own the run.

    Parameters
    ----------
    host : str
        Where it believes to be.
    """

    def __init__(self, host: str) -> None:
        self.host = host
        self.process = subprocess.Popen(["sleep", "3600"])
        self.owner: Owner | None = None
        self.is_dead = False
        # By how much its clock is ahead.
        self.shift = 0.0

    def kill(self, *, is_reaped: bool = True) -> None:
        """End it without a word; until it is reaped it is there as a zombie."""
        self.process.kill()
        self.is_dead = True
        if is_reaped:
            self.process.wait()
        else:
            os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        if self.owner:
            self.owner._ended.set()
            self.owner = None


class Clocks:
    """The clocks of all clients; what is slept takes no time, and owners go on meanwhile.

    Parameters
    ----------
    machine : Machine
    """

    strftime, localtime = staticmethod(time.strftime), staticmethod(time.localtime)

    def __init__(self, machine: "Machine") -> None:
        self.machine = machine
        self.seconds = 0.0

    def time(self) -> float:
        """Return the time that the acting client believes it to be."""
        return time.time() + self.machine.acting.shift

    def monotonic(self) -> float:
        """Return a time that is only ever later."""
        self.seconds += 0.001
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds
        self.machine.beat()


class Written(NamedTuple):
    """The objects of a task, written and not committed yet, in an epoch, and what the task reports."""

    draft: Draft
    epoch: int
    metrics: dict[str, Any]


def contents(task: TaskId, version: int) -> dict[str, bytes]:
    """Return what a task writes; another version is that of a worker that computes something else."""
    return {f"data/{task.item}/{part}": f"{task.item} {part} {version}".encode() * 9 for part in "pq"}


class Machine(RuleBasedStateMachine):
    """The rules; subclasses name the medium."""

    drafts = Bundle("drafts")

    def __init__(self) -> None:
        super().__init__()
        self.medium = self.make_medium()
        self.objects = self.medium.objects
        self.run = StoredRun(self.medium.url, self.objects, make_manifest())
        self.fingerprint = self.run.manifest.identity.fingerprint
        self.values: dict[str, Values] = {}
        # Values that may come back when the power goes, as the names in a folder were not synced since.
        self.returning: dict[str, Values] = {}
        self.clients = [Client(host) for host in HOSTS]
        self.all_clients = list(self.clients)
        self.acting = self.clients[0]
        # Who claimed an epoch, be it that the claim was cut short.
        self.claimants: dict[int, Client] = {}
        self.granted: list[int] = []
        self.n_reports = 0
        # Commits, by what is stored of them.
        self.records: dict[bytes | None, Commit] = {}
        self.epoch = self.durable_epoch = 0
        self.alive: set[bool] = {False}
        self.silent = False
        # By how much the newest heartbeat is older than it was, by the clock of the store.
        self.aged = 0.0
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(owners, "HEARTBEAT_SECONDS", 1e6)
        self.clocks = Clocks(self)
        self.patch.setattr(owners, "time", self.clocks)
        self.patch.setattr(owners, "WATCH_SECONDS", 3.0)
        self.patch.setattr(owners.LOGGER, "disabled", True)
        self.patch.setattr(processes, "own_pid", lambda: self.acting.process.pid)
        self.patch.setattr(processes, "socket", SimpleNamespace(gethostname=lambda: self.acting.host))
        # The start of a process as a time of the calendar, which nothing may rest on, moves with the clock.
        create_time = psutil.Process.create_time
        self.patch.setattr(psutil.Process, "create_time", lambda own: create_time(own) + self.acting.shift)

    def make_medium(self) -> Medium:
        """Return an empty place for a run."""
        raise NotImplementedError

    def teardown(self) -> None:
        """End all processes."""
        for client in self.all_clients:
            client.kill()
        self.medium.disarm()
        self.patch.undo()
        self.medium.close()

    # The model.

    def observe(self, key: str) -> bytes | None:
        """Return what an object is; it must be what it may be."""
        found: bytes | None = None
        with suppress(KeyError):
            found = self.objects.read(key)
        assert found in self.values.get(key, {None}), key
        self.values[key] = {found}
        return found

    def change(self, key: str, value: bytes | None, before: bytes | None, *, is_done: bool) -> None:
        """Take note that an object has a value, or may have it."""
        self.values[key] = {value} if is_done else {value, before, *self.values[key]}
        if is_done and value is not None:
            # Durable on return; a removal is not.
            self.returning.pop(key, None)
        else:
            self.returning.setdefault(key, set()).add(before)

    def attempt(
        self, client: Client | None, fault: Fault | None, call: Callable[[], Any]
    ) -> tuple[bool, Any]:
        """Let a client do something; return whether it was done, and what it returned."""
        self.acting = client or self.clients[0]
        self.medium.arm(fault)
        try:
            return True, call()
        except Killed:
            if fault and fault.mode == "power":
                self.lose_power()
            elif client:
                self.end(client)
            return False, None
        except UnreachableError:
            return False, None
        except StoreError:
            raise
        except OSError:
            return False, None
        finally:
            self.medium.disarm()

    def end(self, client: Client, *, is_reaped: bool = True) -> None:
        """Kill a client; another one takes its place."""
        client.kill(is_reaped=is_reaped)
        self.clients[self.clients.index(client)] = successor = Client(client.host)
        self.all_clients.append(successor)

    def lose_power(self) -> None:
        """End everybody, and let everything come back that may."""
        for client in list(self.clients):
            self.end(client)
        for key, values in self.returning.items():
            self.values[key] = self.values.get(key, {None}) | values
        self.alive = {True, False}
        newest = newest_epoch(self.objects)
        assert self.durable_epoch <= newest <= self.epoch + 1
        self.epoch = newest
        # What came back is as old as the disk says, give or take the seconds of this test.
        heard = self.objects.modified(owners.owner_key(newest, "alive"))
        self.aged = 0.0 if heard is None else round(time.time() - heard, -2)

    def find(self, task: TaskId) -> Commit | None:
        """Return the commit that a task has, if its record is as somebody wrote it."""
        return self.records.get(self.observe(commit_key(task)))

    def record(self, task: TaskId, commit: Commit) -> bytes:
        """Return what is stored of a commit, and remember it."""
        data = encode_commit(task, commit)
        self.records[data] = commit
        return data

    def fault(self, data: st.DataObject) -> Fault | None:
        """Draw what goes wrong, which mostly is nothing."""
        mode = data.draw(st.sampled_from((None, None, None, None, *self.medium.modes)), "mode")
        number = data.draw(st.sampled_from(range(1, self.medium.most_changes + 1)), "number") if mode else 0
        return Fault(number, mode) if mode else None

    # Objects.

    @rule(
        key=st.sampled_from(KEYS),
        data=DATA,
        how=st.sampled_from(("write", "stream", "create")),
        more=st.data(),
    )
    def store(self, key: str, data: bytes, how: str, more: st.DataObject) -> None:
        before, fault = self.observe(key), self.fault(more)
        calls: dict[str, Callable[[], object]] = {
            "write": lambda: self.objects.write(key, data),
            "stream": lambda: self.objects.write_stream(key, iter([data[:1], data[1:]])),
            "create": lambda: self.objects.create(key, data),
        }
        is_done, result = self.attempt(None, fault, calls[how])
        if how == "create":
            assert not is_done or result == (before is None)
            if is_done and not result:
                # Whoever is refused may rely on what is there.
                self.returning.pop(key, None)
        if how != "create" or before is None:
            self.change(key, data, before, is_done=is_done)

    @rule(name=st.sampled_from((*KEYS, *PREFIXES, "partial")), more=st.data())
    def remove(self, name: str, more: st.DataObject) -> None:
        """Remove an object, or all under a prefix, or what killed writers left."""
        fault = self.fault(more)
        if name == "partial":
            n_partial = self.medium.n_partial()
            is_done, n_swept = self.attempt(None, fault, self.objects.sweep)
            assert not is_done or (n_swept, self.medium.n_partial()) == (n_partial, 0)
            return
        keys = [key for key in KEYS if key == name or (name.endswith("/") and key.startswith(name))]
        before = {key: value for key in keys if (value := self.observe(key)) is not None}
        is_done, _ = self.attempt(None, fault, lambda: self.objects.remove(name))
        for key, value in before.items():
            self.change(key, None, value, is_done=is_done)

    @rule(kind=st.sampled_from(sorted(DAMAGES)), more=st.data())
    def damage(self, kind: str, more: st.DataObject) -> None:
        keys = [key for key in self.values if self.observe(key) is not None]
        committed = [key for key in keys if key not in KEYS]
        if keys:
            key = more.draw(st.sampled_from(committed or keys), "key")
            value = DAMAGES[kind](self.observe(key) or b"")
            self.medium.damage(key, value)
            self.values[key] = {value}
            if more.draw(st.booleans(), "resume"):
                self.resume(more)

    # Owners.

    def is_free(self, client: Client, *, take_over: bool) -> bool:
        """Return whether a client may claim the run."""
        if self.epoch == 0 or not self.is_held():
            return True
        owner = self.claimants[self.epoch]
        if owner.host == client.host:
            return owner.is_dead
        # A clock of the store that was set back makes a heartbeat one of the future.
        is_odd = self.aged > SILENT_SECONDS or self.aged < 0
        return take_over and is_odd and (owner.is_dead or self.silent)

    def beat(self) -> None:
        """Let the newest owner say that it is alive, if it can."""
        owner = self.claimants.get(self.epoch)
        if owner and not owner.is_dead and not self.silent and self.is_held():
            token = owners._record(self.objects, self.epoch).get("token", "")
            owners._record_alive(self.objects, self.epoch, token)
            self.aged = 0.0

    @rule(slot=SLOTS, shift=SHIFTS)
    def set_clock(self, slot: int, shift: float) -> None:
        """Set the clock of a client."""
        self.clients[slot].shift = shift

    # No step of seconds here, as seconds may pass while this runs.
    @rule(step=st.sampled_from(STEPS[2:]), slot=SLOTS, take_over=st.booleans(), more=st.data())
    def set_clock_of_store(self, step: float, slot: int, take_over: bool, more: st.DataObject) -> None:
        """Set the clock of the store, and let a client claim the run after it."""
        if self.is_held():
            self.medium.age(owners.owner_key(self.epoch, "alive"), step)
            self.aged += step
        self.claim(slot, take_over, more)

    def is_held(self) -> bool:
        """Return whether the newest owner has not released the run, as its record says."""
        found = owners.owner_key(self.epoch, "alive") in self.objects.sizes(owners.OWNERS_FOLDER)
        assert found in self.alive
        self.alive = {found}
        return found

    @initialize(more=st.data())
    def begin(self, more: st.DataObject) -> None:
        while not self.granted:
            self.grant(self.clients[0], self.fault(more), take_over=False)
            if not self.granted:
                # It may have claimed the run though it did not hear of it.
                self.end(self.clients[0])

    @rule(slot=SLOTS, take_over=st.booleans(), more=st.data())
    def try_to_claim(self, slot: int, take_over: bool, more: st.DataObject) -> None:
        self.claim(slot, take_over, more)

    def claim(self, slot: int, take_over: bool, more: st.DataObject) -> None:
        """Let a client claim the run, or see that it may not."""
        client = self.clients[slot]
        if client.owner:
            return
        if self.is_free(client, take_over=take_over):
            self.grant(client, self.fault(more), take_over=take_over)
        else:
            with pytest.raises(StoreError, match="is being worked on by "):
                self.attempt(client, None, lambda: claim(self.objects, "run.zarr", take_over=take_over))

    def grant(self, client: Client, fault: Fault | None, *, take_over: bool) -> None:
        """Let a client claim the run, which is free."""
        epoch = self.epoch + 1
        granted = partial(claim, self.objects, "run.zarr", take_over=take_over)
        is_done, owner = self.attempt(client, fault, granted)
        if newest_epoch(self.objects) == epoch:
            self.epoch, self.claimants[epoch] = epoch, client
            self.silent, self.aged, self.alive = False, 0.0, {True}
        # The record is created after the one change that says that the client is alive.
        assert is_done or fault != (2, "lost")
        if is_done:
            assert owner.epoch == self.epoch == epoch
            assert epoch not in self.granted
            self.granted.append(epoch)
            self.durable_epoch = epoch
            client.owner = owner
            owner.__enter__()

    @rule(how=st.sampled_from(("release", "kill", "zombie", "silence")), more=st.data())
    def try_to_leave(self, how: str, more: st.DataObject) -> None:
        self.leave(how, more)

    def leave(self, how: str, more: st.DataObject) -> None:
        """End the work of the newest owner, or let nothing be heard of it."""
        client = self.claimants[self.epoch]
        if client.is_dead:
            return
        if how == "silence" and self.is_held():
            self.medium.age(owners.owner_key(self.epoch, "alive"), 100)
            self.aged += 100
            self.silent = True
        elif how == "release" and client.owner:
            owner, client.owner = client.owner, None
            fault = self.fault(more)
            is_done, _ = self.attempt(client, fault, lambda: owner.__exit__(None, None, None))
            # What it could not do at its end it logs, and the command ends as it would have.
            self.alive = {False} if is_done and fault is None else {True, False}
        elif how in {"kill", "zombie"}:
            self.end(client, is_reaped=how == "kill")

    @rule(
        how=st.sampled_from(("release", "kill", "zombie", "silence")),
        slot=SLOTS,
        take_over=st.booleans(),
        more=st.data(),
    )
    def hand_over(self, how: str, slot: int, take_over: bool, more: st.DataObject) -> None:
        self.leave(how, more)
        self.claim(slot, take_over, more)

    # Tasks.  Workers go on when their client has ended, so that any epoch may be theirs.

    def worker(self, data: st.DataObject) -> int:
        """Draw the epoch of a worker."""
        return data.draw(st.sampled_from([self.granted[-1]] * 3 + self.granted), "epoch")

    def report(self) -> dict[str, Any]:
        """Return what a task reports: something new each time, as the seconds that it took."""
        self.n_reports += 1
        return {"number": self.n_reports}

    def write_objects(self, draft: Draft, version: int, fault: Fault | None) -> bool:
        """Write what a task writes; return whether all is written."""
        values = contents(draft.task, version)
        before = {key: self.observe(key) for key in values}

        def write() -> None:
            for key, value in values.items():
                draft.write(key, value)

        is_done, _ = self.attempt(None, fault, write)
        for key, value in values.items():
            self.change(key, value, before[key], is_done=is_done)
        return is_done

    @rule(target=drafts, task=st.sampled_from(TASKS), version=st.sampled_from((0, 0, 0, 1)), data=st.data())
    def compute(self, task: TaskId, version: int, data: st.DataObject) -> Any:
        written = Written(Draft(task, self.objects), self.worker(data), self.report())
        return written if self.write_objects(written.draft, version, self.fault(data)) else multiple()

    @rule(written=drafts, data=st.data())
    def commit(self, written: Written, data: st.DataObject) -> None:
        task, digests = written.draft.task, written.draft.digests
        first, before = self.find(task), self.observe(commit_key(task))
        own = Commit(self.fingerprint, written.epoch, digests, written.metrics)
        is_stale = written.epoch != self.epoch

        def commit() -> Commit:
            return self.run.commit(digests, task, written.epoch, written.metrics)

        fault = self.fault(data)
        try:
            is_done, found = self.attempt(None, fault, commit)
        except StoreError:
            assert is_stale or (first and first.objects != digests)
            assert self.observe(commit_key(task)) == before
            return
        if first is None:
            self.change(commit_key(task), self.record(task, own), before, is_done=is_done)
        # A record that was created counts, though the answer was lost.
        assert is_done or before is not None or fault is None or fault.mode != "lost"
        if is_done:
            assert not is_stale
            assert found == (first or own)
            assert found.objects == digests

    @rule(task=st.sampled_from(TASKS), data=st.data())
    def do_once(self, task: TaskId, data: st.DataObject) -> None:
        """What is done is not done again."""
        first, before = self.find(task), self.observe(commit_key(task))
        epoch, metrics = self.worker(data), self.report()
        worked: list[Draft] = []

        def work(draft: Draft) -> dict[str, Any]:
            worked.append(draft)
            assert self.write_objects(draft, 0, None)
            return metrics

        try:
            found = self.run.once(task, epoch, work)
        except StoreError:
            assert first is None
            assert epoch != self.epoch
            assert self.observe(commit_key(task)) == before
            return
        assert bool(worked) == (first is None)
        assert found == (first.metrics if first else metrics)
        if worked:
            assert epoch == self.epoch
            own = Commit(self.fingerprint, epoch, worked[0].digests, metrics)
            self.change(commit_key(task), self.record(task, own), before, is_done=True)

    def damages(self) -> Iterator[DamageError]:
        """Yield what is not as it was committed, and see that nothing else is refused."""
        for task in TASKS:
            commit = self.find(task)
            assert self.run.commits.find(task) == commit
            for key, expected in (commit.objects if commit else {}).items():
                data = self.observe(key)
                if data is not None and digest(data) == expected:
                    assert self.run.commits.read(task, key) == data
                else:
                    with pytest.raises(DamageError) as damage:
                        self.run.commits.read(task, key)
                    assert (damage.value.stage, damage.value.item) == task
                    yield damage.value

    @rule(data=st.data())
    def try_to_resume(self, data: st.DataObject) -> None:
        self.resume(data)

    def resume(self, data: st.DataObject) -> None:
        """Take back a commit whose objects are damaged."""
        damage = next(self.damages(), None)
        if damage is None:
            return
        task, epoch = TaskId(damage.stage, damage.item), self.worker(data)
        before = self.observe(commit_key(task))
        try:
            is_done, _ = self.attempt(None, self.fault(data), lambda: take_back(self.run, damage, epoch))
        except StoreError:
            assert epoch != self.epoch
            assert self.observe(commit_key(task)) == before
            return
        assert epoch == self.epoch
        self.change(commit_key(task), None, before, is_done=is_done)

    # What always holds.

    @invariant()
    def objects_are_what_they_may_be(self) -> None:
        sizes, length = self.objects.sizes(), self.objects.lengths()
        assert not any(map(is_partial, sizes))
        assert {key for key in sizes if not key.startswith(owners.OWNERS_FOLDER)} <= self.values.keys()
        for key, values in self.values.items():
            assert sizes.get(key) in {None if value is None else len(value) for value in values}
            assert length(key) == sizes.get(key)

    @invariant()
    def damage_is_found_and_nothing_else(self) -> None:
        list(self.damages())

    @invariant()
    def who_holds_the_run_is_known(self) -> None:
        assert newest_epoch(self.objects) == self.epoch
        for client in self.clients:
            self.acting = client
            owner = self.claimants.get(self.epoch)
            is_gone = owner is None or (owner.is_dead and owner.host == client.host)
            assert (holder(self.objects) is not None) == (self.epoch > 0 and self.is_held() and not is_gone)


class LocalMachine(Machine):
    """On a disk."""

    def make_medium(self) -> Medium:
        return LocalMedium(Path(tempfile.gettempdir()))


class RemoteMachine(Machine):
    """In a store."""

    def make_medium(self) -> Medium:
        return RemoteMedium()


MACHINES = {"local": LocalMachine, "remote": RemoteMachine}
SETTINGS = settings(stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.sampled
@pytest.mark.parametrize("n_examples", [60, pytest.param(2_000, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", MACHINES)
def test_nothing_is_lost_no_damage_is_believed_and_one_client_owns(name: str, n_examples: int) -> None:
    run_state_machine_as_test(MACHINES[name], settings=settings(SETTINGS, max_examples=n_examples))


def overwrite(objects: Any, key: str, data: bytes) -> bool:
    """Create an object, although there may be one."""
    objects.write(key, data)
    return True


def read_unchecked(objects: Any, task: TaskId, key: str, expected: Digest | None) -> bytes:
    """Read an object of a task, whatever it is."""
    if key not in objects.sizes():
        raise DamageError.of(task, key, "is missing")
    data: bytes = objects.read(key)
    return data


def decode_unchecked(_task: TaskId, data: bytes) -> Commit:
    """Read a commit, whatever its checksum is, and of whatever task."""
    values = json.loads(data.partition(b"\n")[0])
    del values["task"]
    return Commit(objects={key: Digest(*pair) for key, pair in values.pop("objects").items()}, **values)


def read_own_clock(_objects: Any) -> float:
    """Read a clock that is not that of the store, but ahead of it."""
    return time.time() + 1_000


def look_by_the_calendar(pid: int) -> tuple[bool, float]:
    """Look at a process, and take its start from the clock, which moves."""
    process = psutil.Process(pid)
    return process.status() == psutil.STATUS_ZOMBIE, process.create_time()


BUGS: dict[str, tuple[str, object, str, object]] = {
    "creation overwrites, on a disk": ("local", LocalObjects, "create", overwrite),
    "creation overwrites, in a store": ("remote", RemoteObjects, "create", overwrite),
    "names are not synced": ("local", local, "_sync_folder", lambda folder: None),
    "damage is believed": ("remote", commits, "read_verified", read_unchecked),
    "a damaged commit counts": ("remote", commits, "_decode", decode_unchecked),
    "the last commit counts": ("remote", commits, "create_object", overwrite),
    "an old epoch may commit": ("local", runs, "check_epoch", lambda objects, epoch: None),
    "a lost answer is a refusal": ("remote", owners, "create_object", RemoteObjects.create),
    "a client that lives is succeeded": ("remote", owners, "state_of", lambda owner: State.DEAD),
    "a client that is dead is not": ("local", owners, "state_of", lambda owner: State.ALIVE),
    "starts are times of the calendar": ("local", processes, "_look", look_by_the_calendar),
    "silence is by the clock of the client": ("remote", owners, "_store_time", read_own_clock),
    "silence is believed without a look": ("local", owners, "_stays_silent", lambda *_: True),
}
"""Where a bug is planted: the machine that has to find it, and a name with what it stands for then."""
HARD = ("creation overwrites, in a store", "the last commit counts")
"""Those that take the most examples to find; others of their kind take few."""


@pytest.mark.sampled
@pytest.mark.parametrize(
    "bug", [pytest.param(bug, marks=pytest.mark.long) if bug in HARD else bug for bug in BUGS]
)
def test_bugs_would_be_found(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, owner, attribute, planted = BUGS[bug]
    monkeypatch.setattr(owner, attribute, planted)
    # The first failure is enough: it need not be a small one, nor another one tomorrow.
    once = settings(
        SETTINGS, max_examples=300, phases=[Phase.generate], database=None, derandomize=True, print_blob=False
    )
    with pytest.raises((AssertionError, StoreError, pytest.fail.Exception)):
        run_state_machine_as_test(MACHINES[name], settings=once)
