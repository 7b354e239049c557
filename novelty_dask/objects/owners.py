"""Ownership of a run by one client at a time, by records that are created once.

Epochs are numbered from 1.  The owner of the newest epoch is active unless it has released it or its process
is dead.  A worker commits only while the epoch in which its task was sent is the newest.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil

from novelty_dask.errors import StoreError
from novelty_dask.objects.creation import create_object, make_token

if TYPE_CHECKING:
    from novelty_dask.objects.protocol import Objects

OWNERS_FOLDER = "owners/"
HEARTBEAT_SECONDS = 10.0
SILENT_SECONDS = 60.0
"""Time without a heartbeat after which an owner on another host counts as silent."""


class Owner:
    """Right to work on a run, held until it is released; a context manager.

    Parameters
    ----------
    objects : Objects
        Of the run.
    epoch : int
        The epoch that was claimed.
    """

    def __init__(self, objects: Objects, epoch: int) -> None:
        self.objects = objects
        self.epoch = epoch
        self._ended = threading.Event()
        self._beating = threading.Thread(target=self._beat, name="novelty-heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._beating.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._beating.join()
        # A removal, not a record of the release: it succeeds on a full disk, too.
        self.objects.remove(_key(self.epoch, "alive"))

    def _beat(self) -> None:
        """Record every few seconds that this process is alive."""
        while not self._ended.wait(HEARTBEAT_SECONDS):
            # A heartbeat that fails may succeed next time; one missing makes nobody silent.
            with suppress(OSError):
                _record_alive(self.objects, self.epoch)


def claim(objects: Objects, name: str, *, take_over: bool = False) -> Owner:
    """Become the owner of a run.

    Parameters
    ----------
    objects : Objects
        Of the run.
    name : str
        The run, as the user knows it.
    take_over : bool
        True to succeed an owner on another host that has been silent for a minute.

    Raises
    ------
    StoreError
        Another client is active, or may be.
    """
    newest = newest_epoch(objects)
    if newest:
        _check_free(objects, newest, name, take_over=take_over)
    me = json.dumps({**_process(os.getpid()), "since": time.time(), "token": make_token()}).encode()
    # The heartbeat comes first: an epoch without one counts as released.
    _record_alive(objects, newest + 1)
    if not create_object(objects, _key(newest + 1, "json"), me):
        message = f"Another client has just begun to work on {name!r}; wait for it, or stop it."
        raise StoreError(message)
    # The record right before the new one stays.  Were it removed, a client that looked before it existed
    # could create it anew, and take itself for the owner.
    for old in range(max(1, newest - 1), newest):
        for kind in ("alive", "json"):
            objects.remove(_key(old, kind))
    return Owner(objects, newest + 1)


def newest_epoch(objects: Objects) -> int:
    """Return the newest epoch of a run; 0 if there was none."""
    claims = [key for key in objects.sizes(OWNERS_FOLDER) if key.endswith(".json")]
    numbers = [key.removeprefix(OWNERS_FOLDER).partition(".")[0] for key in claims]
    return max((int(number) for number in numbers if number.isdecimal()), default=0)


def check_epoch(objects: Objects, epoch: int) -> None:
    """Refuse to continue after a newer client has taken over.

    Raises
    ------
    StoreError
        It has.
    """
    newest = newest_epoch(objects)
    if newest != epoch:
        message = f"Another client, of epoch {newest}, has taken over from epoch {epoch}; this one stops."
        raise StoreError(message)


def holder(objects: Objects) -> str | None:
    """Return a description of the client that is active on a run, or may be; None if there is none."""
    newest = newest_epoch(objects)
    if not newest or _released(objects, newest):
        return None
    owner = _record(objects, newest)
    return None if _is_dead(owner) else _described(objects, newest, owner)


def _check_free(objects: Objects, epoch: int, name: str, *, take_over: bool) -> None:
    """Refuse if the owner of an epoch is active, or may be."""
    if _released(objects, epoch):
        return
    owner = _record(objects, epoch)
    if _is_dead(owner):
        return
    # The state of a process on another host can't be seen, and a silent one may only be slow: somebody who
    # knows that it is dead has to say so.
    silent = not _is_here(owner) and _silence(objects, epoch, owner) > SILENT_SECONDS
    if silent and take_over:
        return
    hint = "if it is dead, `novelty resume --take-over` goes on" if silent else "wait for it, or stop it"
    message = f"{name!r} is being worked on by {_described(objects, epoch, owner)}; {hint}."
    raise StoreError(message)


def _is_dead(owner: dict[str, Any]) -> bool:
    """Return whether an owner's process is known to be gone, which only its own host can tell."""
    if not _is_here(owner):
        return False
    try:
        process = psutil.Process(int(owner["pid"]))
        # The number of a dead process is reused; the start tells it from its successor.
        reused = abs(process.create_time() - float(owner["started"])) > 1
        return bool(reused or process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
    except (KeyError, TypeError, ValueError):
        # A damaged record proves nothing, so that its owner counts as alive.
        return False


def _is_here(owner: dict[str, Any]) -> bool:
    """Return whether an owner's process would be visible here: on this host, in this container."""
    here = _process(os.getpid())
    return (owner.get("host"), owner.get("namespace")) == (here["host"], here["namespace"])


def _process(pid: int) -> dict[str, Any]:
    """Return what identifies a process among all of all hosts."""
    namespace = ""
    with suppress(OSError):
        # Containers may share a host name without seeing each other's processes.
        namespace = str(Path("/proc/self/ns/pid").readlink())
    started = psutil.Process(pid).create_time()
    return {"host": socket.gethostname(), "namespace": namespace, "pid": pid, "started": started}


def _described(objects: Objects, epoch: int, owner: dict[str, Any]) -> str:
    """Return the description of an owner."""
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(owner.get("since", 0))))
    heard = _silence(objects, epoch, owner)
    return (
        f"process {owner.get('pid')} on {owner.get('host')} since {since}, last heard of {heard:,.0f} s ago"
    )


def _silence(objects: Objects, epoch: int, owner: dict[str, Any]) -> float:
    """Return the seconds since the last heartbeat of an owner."""
    heard = float(owner.get("since", 0))
    with suppress(KeyError, ValueError):
        heard = float(objects.read(_key(epoch, "alive")))
    return max(0.0, time.time() - heard)


def _released(objects: Objects, epoch: int) -> bool:
    """Return whether an epoch was released."""
    return _key(epoch, "alive") not in objects.sizes(OWNERS_FOLDER)


def _record_alive(objects: Objects, epoch: int) -> None:
    """Store the time of a heartbeat."""
    objects.write(_key(epoch, "alive"), repr(time.time()).encode())


def _record(objects: Objects, epoch: int) -> dict[str, Any]:
    """Return the record of the owner of an epoch; an empty one if it can't be read."""
    with suppress(KeyError, ValueError):
        owner = json.loads(objects.read(_key(epoch, "json")))
        if isinstance(owner, dict):
            return owner
    return {}


def _key(epoch: int, kind: str) -> str:
    """Return the key of a record about an epoch."""
    return f"{OWNERS_FOLDER}{epoch:08d}.{kind}"
