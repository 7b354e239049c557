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
    shared : int
        Bytes that they share, so that fewer could use more each; 0 where the limit was given.
    """

    workers: int
    threads: int
    memory_limit: int
    shared: int = 0


def local_resources(
    n_bytes: int, workers: int | None = None, threads: int = 1, memory_limit: int | None = None
) -> Resources:
    """Return the workers for a corpus of some bytes of text; the user's choices take precedence."""
    if workers is None:
        workers = 0 if n_bytes <= SMALL_BYTES else default_workers(threads)
    shared = 0 if memory_limit else int(0.8 * psutil.virtual_memory().available)
    # This process itself runs one task at a time, whatever was asked for.
    return Resources(
        workers, threads if workers else 1, memory_limit or shared // max(workers, 1), shared=shared
    )


def default_workers(threads: int) -> int:
    """Return the number of workers of some threads that keep all cores busy."""
    return max(1, available_cores() // threads)


def available_cores() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
