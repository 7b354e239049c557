"""Records of clusters that were started apart from a run: who holds each, and where its scheduler is."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from novelty_dask.errors import ClusterError
from novelty_dask.objects.processes import State, state_of, this_process

STOP_SECONDS = 45
"""Time between SIGTERM and SIGKILL for the process that holds a cluster: it ends all workers meanwhile."""
POLL_SECONDS = 0.1


def record_file(name: str) -> Path:
    """Return the file that tells where the cluster of a file is; it is a scheduler file of Dask, too.

    >>> record_file("cluster/local/cluster.yaml").as_posix()
    'cluster/local/cluster.scheduler.json'
    """
    return Path(name).with_suffix(".scheduler.json")


def find_started(name: str) -> str | None:
    """Return the address of the scheduler of a cluster that is started, if it is."""
    record = _read(name)
    return str(record["address"]) if record and state_of(record["process"]) is not State.DEAD else None


@contextmanager
def kept(name: str, address: str) -> Iterator[None]:
    """Record that this process holds the cluster of a file, as long as the block lasts.

    Raises
    ------
    ClusterError
        Another process does.
    """
    path = record_file(name)
    if other := find_started(name):
        raise ClusterError(_there(name, other))
    path.unlink(missing_ok=True)
    content = {"address": address, "process": this_process(), "host": socket.gethostname()}
    draft = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(content, file)
        # Unlike a renaming, a link is refused where another process was first.
        path.hardlink_to(draft)
    except FileExistsError:
        raise ClusterError(_there(name, "another process")) from None
    finally:
        draft.unlink(missing_ok=True)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _there(name: str, where: str) -> str:
    """Return the message that a cluster is started already."""
    return f"The cluster of {name!r} is started already ({where}); stop it first: `novelty cluster stop`."


def stop(name: str) -> bool:
    """End the process that holds the cluster of a file; return whether there was one.

    Raises
    ------
    ClusterError
        It is on another machine, or does not end.
    """
    record = _read(name)
    if record is None:
        return False
    process, state = record["process"], state_of(record["process"])
    if state in (State.UNSEEN, State.DOUBTFUL):
        host = record.get("host")
        message = (
            f"The cluster of {name!r} was started on {host}; stop it there, or remove {record_file(name)}."
        )
        raise ClusterError(message)
    is_alive = state is State.ALIVE
    for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5)):
        deadline = time.monotonic() + seconds
        with suppress(ProcessLookupError):
            if state_of(process) is State.ALIVE:
                os.kill(process["pid"], number)
        while state_of(process) is State.ALIVE and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    record_file(name).unlink(missing_ok=True)
    return is_alive


def _read(name: str) -> dict[str, Any] | None:
    """Return the record of a cluster, if there is one that can be read."""
    try:
        record = json.loads(record_file(name).read_bytes())
        return record if isinstance(record["process"], dict) and record["address"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
