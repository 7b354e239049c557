"""One run, one owner: which client is at work, told by records that are created once.

Epochs are numbered from 1.  The owner of the newest is at work unless it has released it or its process is
dead.  A worker commits only while the epoch in which it was sent is the newest.
"""

import json
import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import psutil

from novelty_dask.errors import StoreError
from novelty_dask.objects.creation import create_object, make_token
from novelty_dask.objects.protocol import Objects

FOLDER = "owners/"
HEARTBEAT_SECONDS = 10.0
SILENT_SECONDS = 60.0
"""After so long without a heartbeat an owner elsewhere counts as silent."""


class Owner:
    """The right to work on a run, held until it is released; a context manager.

    Parameters
    ----------
    objects : Objects
        Of the run.
    epoch : int
        As it was claimed.
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
        # Also a full disk lets it be removed.
        self.objects.remove(_key(self.epoch, "alive"))

    def _beat(self) -> None:
        """Say every few seconds that this process lives."""
        while not self._ended.wait(HEARTBEAT_SECONDS):
            # What can't be said now may be said next time.
            with suppress(OSError):
                _say_alive(self.objects, self.epoch)


def claim(objects: Objects, name: str, *, take_over: bool = False) -> Owner:
    """Become the owner of a run.

    Parameters
    ----------
    objects : Objects
        Of the run.
    name : str
        The run, as the user knows it.
    take_over : bool
        Whether to succeed an owner on another host that has been silent for a minute.

    Raises
    ------
    StoreError
        Another client is at work, or may be.
    """
    newest = newest_epoch(objects)
    if newest:
        _check_free(objects, newest, name, take_over=take_over)
    me = json.dumps({**_process(os.getpid()), "since": time.time(), "token": make_token()}).encode()
    # First, so that nobody takes what is being claimed for released.
    _say_alive(objects, newest + 1)
    if not create_object(objects, _key(newest + 1, "json"), me):
        message = f"Another client has just begun to work on {name!r}; wait for it, or stop it."
        raise StoreError(message)
    for old in range(max(1, newest - 1), newest):
        for kind in ("alive", "json"):
            objects.remove(_key(old, kind))
    return Owner(objects, newest + 1)


def newest_epoch(objects: Objects) -> int:
    """The newest epoch of a run; 0 if there was none."""
    claims = [key for key in objects.sizes(FOLDER) if key.endswith(".json")]
    numbers = [key.removeprefix(FOLDER).partition(".")[0] for key in claims]
    return max((int(number) for number in numbers if number.isdecimal()), default=0)


def check_epoch(objects: Objects, epoch: int) -> None:
    """Refuse to go on where a newer client has taken over.

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
    """Who is at work on a run, or may be, in words; None if nobody is."""
    newest = newest_epoch(objects)
    if not newest or _released(objects, newest):
        return None
    owner = _record(objects, newest)
    return None if _is_dead(owner) else _described(objects, newest, owner)


def _check_free(objects: Objects, epoch: int, name: str, *, take_over: bool) -> None:
    """Refuse if the owner of an epoch is at work, or may be."""
    if _released(objects, epoch):
        return
    owner = _record(objects, epoch)
    if _is_dead(owner):
        return
    silent = not _is_here(owner) and _silence(objects, epoch, owner) > SILENT_SECONDS
    if silent and take_over:
        return
    hint = "if it is dead, `novelty resume --take-over` goes on" if silent else "wait for it, or stop it"
    message = f"{name!r} is being worked on by {_described(objects, epoch, owner)}; {hint}."
    raise StoreError(message)


def _is_dead(owner: dict[str, Any]) -> bool:
    """Whether an owner's process is seen to be gone: only on the same host, since the same start."""
    if not _is_here(owner):
        return False
    try:
        process = psutil.Process(int(owner["pid"]))
        reused = abs(process.create_time() - float(owner["started"])) > 1
        return bool(reused or process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
    except (KeyError, TypeError, ValueError):
        return False


def _is_here(owner: dict[str, Any]) -> bool:
    """Whether an owner's process would be seen here: on this host, and in this container."""
    here = _process(os.getpid())
    return (owner.get("host"), owner.get("namespace")) == (here["host"], here["namespace"])


def _process(pid: int) -> dict[str, Any]:
    """What tells a process of this host from every other."""
    namespace = ""
    with suppress(OSError):
        # Containers of one name may not see each other's processes.
        namespace = str(Path("/proc/self/ns/pid").readlink())
    started = psutil.Process(pid).create_time()
    return {"host": socket.gethostname(), "namespace": namespace, "pid": pid, "started": started}


def _described(objects: Objects, epoch: int, owner: dict[str, Any]) -> str:
    """An owner in words."""
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(float(owner.get("since", 0))))
    heard = _silence(objects, epoch, owner)
    return (
        f"process {owner.get('pid')} on {owner.get('host')} since {since}, last heard of {heard:,.0f} s ago"
    )


def _silence(objects: Objects, epoch: int, owner: dict[str, Any]) -> float:
    """Seconds since an owner was last heard of."""
    heard = float(owner.get("since", 0))
    with suppress(KeyError, ValueError):
        heard = float(objects.read(_key(epoch, "alive")))
    return max(0.0, time.time() - heard)


def _released(objects: Objects, epoch: int) -> bool:
    """Whether an epoch has ended as it should."""
    return _key(epoch, "alive") not in objects.sizes(FOLDER)


def _say_alive(objects: Objects, epoch: int) -> None:
    """Write down when an owner was heard of last."""
    objects.write(_key(epoch, "alive"), repr(time.time()).encode())


def _record(objects: Objects, epoch: int) -> dict[str, Any]:
    """Who claimed an epoch; nobody known if the record can't be read."""
    with suppress(KeyError, ValueError):
        owner = json.loads(objects.read(_key(epoch, "json")))
        if isinstance(owner, dict):
            return owner
    return {}


def _key(epoch: int, kind: str) -> str:
    """Where something about an epoch is kept."""
    return f"{FOLDER}{epoch:08d}.{kind}"
