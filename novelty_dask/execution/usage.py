"""Usage of processes: CPU seconds and peak memory, by task and by stage."""

import ctypes
import re
import resource
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

USAGE = "usage"
"""The metric of a task that names its process, its time, its CPU seconds, and its memory."""

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_PROCESS = uuid.uuid4().hex[:12]
"""Name of this process, which no other process of any run has: process numbers are used again."""


class Usage(NamedTuple):
    """CPU time and memory of one process.

    Parameters
    ----------
    cpu_seconds : float
        CPU time since it started.
    peak_bytes : int
        Most resident memory since it started, or on Linux since `forget_peak`.
    process : str
        Name of the process.
    """

    cpu_seconds: float
    peak_bytes: int
    process: str = ""


def usage() -> Usage:
    """Return the usage of this process."""
    return Usage(time.process_time(), _peak_bytes(), _PROCESS)


def measured(work: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Call a function; return its metrics, and its usage among them."""
    # Wall time by the clock of the calendar, as only that can be compared between processes and hosts.
    clock, cpu_seconds = time.time(), time.process_time()
    metrics = work(*arguments)
    used = usage()
    took = {
        "process": used.process,
        "clock": [clock, time.time()],
        "cpu": [cpu_seconds, used.cpu_seconds],
        "peak_bytes": used.peak_bytes,
    }
    return {**metrics, USAGE: took}


def core_seconds(before: Iterable[Usage], after: Iterable[Usage]) -> float:
    """Return the CPU seconds that processes spent between two measurements; those that ended don't count.

    >>> core_seconds([Usage(5, 0, "a"), Usage(9, 0, "b")], [Usage(6, 0, "a"), Usage(2, 0, "c")])
    3
    """
    known = {used.process: used.cpu_seconds for used in before}
    return sum(used.cpu_seconds - known.get(used.process, 0) for used in after)


def forget_peak() -> Usage:
    """Return the usage of this process; from now on measure its peak memory anew, where the system can."""
    used = usage()
    _release_memory()
    if _CLEAR.exists():
        with suppress(OSError):  # A container may forbid it.
            _CLEAR.write_text("5")  # See clear_refs in proc_pid_clear_refs(5).
    return used


def _release_memory() -> None:
    """Give back to the system what allocators keep of memory that earlier tasks have freed."""
    # Long lines leave hundreds of megabytes, which would come on top of what the next stage is projected to
    # need.  It takes milliseconds, once a stage.
    if pyarrow := sys.modules.get("pyarrow"):
        pyarrow.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):  # Only the GNU C library has it.
        ctypes.CDLL(None).malloc_trim(0)


def _peak_bytes() -> int:
    """Return the most resident memory of this process."""
    if _STATUS.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())):
        return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
