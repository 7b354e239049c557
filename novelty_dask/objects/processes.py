"""Identity of processes, and whether they are alive, by nothing that a step of a clock changes.

A process is known by its number and its start.  On Linux the start is a count of ticks since the system was
booted.  Both mean something in one boot of one kernel, in one namespace of process numbers and of time; a
record of a process therefore names these, too, and one from elsewhere is not judged.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import time
import uuid
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any

import psutil

LINUX = sys.platform == "linux"
OUTERMOST = "pid:[4026531836]"
"""The namespace of process numbers outside of all containers, which has this name on every Linux."""
SAME_START_SECONDS = 1.0
"""Difference of two times of one start, where no ticks are to be had."""


class State(Enum):
    """State of a process, as far as it can be seen from here."""

    ALIVE = "alive"
    DEAD = "dead"
    DOUBTFUL = "doubtful"
    """Probably gone: its host was booted since, or its number may be another's."""
    UNSEEN = "unseen"
    """On another host, or in another container."""


def this_process() -> dict[str, Any]:
    """Return what identifies this process among all of all hosts and boots."""
    pid = own_pid()
    return {**_place(), "pid": pid, "started": _look(pid)[1]}


def own_pid() -> int:
    """Return the number of this process."""
    return os.getpid()


def state_of(record: dict[str, Any]) -> State:
    """Return the state of the process that a record identifies."""
    here = _place()
    there = {name: record.get(name) for name in here}
    if there != here or "" in here.values():
        # A machine that was booted since runs nothing from before.  But a copy of it may have the same name
        # and number, and be at work.
        is_restarted = there["boot"] != here["boot"] and _is_same_machine(there, here)
        return State.DOUBTFUL if is_restarted else State.UNSEEN
    try:
        return _state_here(int(record["pid"]), float(record["started"]))
    except (KeyError, TypeError, ValueError, OverflowError):
        # A damaged record proves nothing, so that its process counts as alive.
        return State.ALIVE


def describe(owner: dict[str, Any], heard: float | None) -> str:
    """Return the description of a process, and of the seconds since it was last heard of."""
    since = "an unknown time"
    with suppress(KeyError, OSError, OverflowError, TypeError, ValueError):
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(owner["since"])))
    last = "" if heard is None else f", last heard of {max(0.0, heard):,.0f} s ago"
    return f"process {owner.get('pid')} on {owner.get('host')} since {since}{last}"


def _state_here(pid: int, started: float) -> State:
    """Return the state of a process of this host."""
    try:
        # Signal 0 only asks.  It finds processes of other users where /proc hides them.
        os.kill(pid, 0)
    except ProcessLookupError:
        return State.DEAD
    except PermissionError:
        pass
    try:
        is_ended, now = _look(pid)
    except (OSError, psutil.Error):
        return State.DOUBTFUL
    if is_ended:
        return State.DEAD
    # The number of a dead process is given to another, which started later.
    if LINUX:
        return State.ALIVE if now == started else State.DEAD
    # A time of the calendar may have been corrected since, so that another start is no proof.
    return State.ALIVE if abs(now - started) <= SAME_START_SECONDS else State.DOUBTFUL


def _look(pid: int) -> tuple[bool, float]:
    """Return whether a process has ended, though nobody has asked for its exit code, and its start."""
    if not LINUX:
        process = psutil.Process(pid)
        return process.status() == psutil.STATUS_ZOMBIE, process.create_time()
    # See proc_pid_stat(5); the name, in parentheses, may hold anything.
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return fields[0] in (b"Z", b"X"), int(fields[19])


def _place() -> dict[str, str]:
    """Return where process numbers and starts mean what they mean here; what is not known is empty."""
    # Without /proc, the machine stands for its boot: a number that is given again has another start.
    boot = _read("/proc/sys/kernel/random/boot_id") if LINUX else f"{uuid.getnode():x}"
    return {
        "host": socket.gethostname(),
        "machine": hashlib.sha256(f"novelty_dask {_machine()}".encode()).hexdigest()[:16],
        "boot": boot,
        "namespace": _namespace() if LINUX else sys.platform,
    }


def _is_same_machine(there: dict[str, Any], here: dict[str, str]) -> bool:
    """Return whether two places are of one machine, outside of any container, by names that it keeps."""
    # Containers are left out: those made of one image have one name, on several machines.
    is_same = all(there[name] == here[name] for name in ("host", "machine", "namespace"))
    return is_same and bool(_machine()) and here["namespace"].startswith(OUTERMOST)


def _machine() -> str:
    """Return the name that a system keeps over its boots; empty if it has none, as in most containers."""
    # See machine-id(5): it is to be kept secret, so that only a digest of it is stored.
    return _read("/etc/machine-id") if LINUX else f"{uuid.getnode():x}"


def _namespace() -> str:
    """Return the namespaces in which process numbers and ticks count; empty if they can't be told."""
    with suppress(OSError):
        # Otherwise /proc is that of another namespace, and shows other processes under these numbers.
        if Path("/proc/self").readlink().name == str(os.getpid()):
            return " ".join(map(_linked, ("pid", "time")))
    return ""


def _linked(kind: str) -> str:
    """Return the name of a namespace of this process; empty where the kernel has none of its kind."""
    try:
        return str(Path(f"/proc/self/ns/{kind}").readlink())
    except FileNotFoundError:
        return "-"


def _read(path: str) -> str:
    """Return the text of a file of the system; empty if there is none."""
    with suppress(OSError):
        return Path(path).read_text(encoding="ascii").strip()
    return ""
