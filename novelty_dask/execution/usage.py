"""What the processes at work use: CPU seconds and peak memory, stage by stage."""

import re
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class Usage(NamedTuple):
    """What one process has used.

    Parameters
    ----------
    cpu_seconds : float
        CPU time since it started.
    peak_bytes : int
        Most resident memory since it started, or on Linux since `forget_peak`.
    """

    cpu_seconds: float
    peak_bytes: int


def usage() -> Usage:
    """What this process has used."""
    return Usage(time.process_time(), _peak_bytes())


def forget_peak() -> Usage:
    """Measure this process, and from now on its peak memory anew, where the system can."""
    used = usage()
    if _CLEAR.exists():
        with suppress(OSError):  # A container may forbid it.
            _CLEAR.write_text("5")  # See clear_refs in proc_pid_clear_refs(5).
    return used


def _peak_bytes() -> int:
    """Most resident memory."""
    if _STATUS.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())):
        return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
