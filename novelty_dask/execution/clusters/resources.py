"""Workers of this machine: how many, with how many threads and how much memory, by default."""

import os
from typing import NamedTuple

import psutil

SMALL_BYTES = 4 * 10**6
"""Sources up to this size are done before worker processes would have started."""


class Resources(NamedTuple):
    """Number and size of the workers.

    Parameters
    ----------
    workers : int
        Worker processes; 0 means this process itself.
    threads : int
        Tasks that each runs at once.
    memory_limit : int
        Bytes that each may use.
    """

    workers: int
    threads: int
    memory_limit: int


def local_resources(
    n_bytes: int, workers: int | None = None, threads: int = 1, memory_limit: int | None = None
) -> Resources:
    """Return the workers for a corpus of some bytes of text; the user's choices take precedence."""
    if workers is None:
        workers = 0 if n_bytes <= SMALL_BYTES else max(1, available_cores() // threads)
    if memory_limit is None:
        memory_limit = int(0.8 * psutil.virtual_memory().available) // max(workers, 1)
    # This process itself runs one task at a time, whatever was asked for.
    return Resources(workers, threads if workers else 1, memory_limit)


def available_cores() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
