"""Checks of a cluster before it gets a task: the same packages, and the same view of the run."""

import platform
import uuid
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from distributed import Client

from novelty_dask.errors import ClusterError, StoreError
from novelty_dask.execution.scheduler import Scheduler
from novelty_dask.objects.address import open_objects
from novelty_dask.storage.runs import WORK_FOLDER, StoredRun

PACKAGES = ("novelty-dask", "numba", "numpy", "scipy", "zarr")
"""Packages whose version can change the bytes of a result."""


def check_cluster(client: Client, run: StoredRun) -> None:
    """Refuse a scheduler that would take no task, and workers that would fail or compute other bytes.

    Parameters
    ----------
    client : distributed.Client
        Connected, with workers.
    run : StoredRun
        The run that they are to work on.

    Raises
    ------
    ClusterError
        The scheduler lacks the package, or a worker has other versions or does not see the run; it is named.
    """
    scheduler = Scheduler(client)
    _check_scheduler(scheduler)
    # A fresh token: an old probe, or one of another run under the same path, would prove nothing.
    token = uuid.uuid4().hex
    probe = f"{WORK_FOLDER}probe-{token}"
    run.objects.write(probe, token.encode())
    try:
        packages = scheduler.ask_workers(lambda: client.run(versions, on_error="return"))
        for worker, found in _present(packages):
            _check_versions(worker, found)
        views = scheduler.ask_workers(lambda: client.run(read_probe, run.url, probe, on_error="return"))
        # The path may exist on the worker and be another disk, so the content decides and not the name.
        for worker, seen in _present(views):
            if seen != token:
                message = (
                    f"Worker {worker} does not see {run.url!r}; put the run where all workers have it under "
                    "this name, and name it with --out."
                )
                raise ClusterError(message)
    finally:
        run.objects.remove(probe)


def _check_scheduler(scheduler: Scheduler) -> None:
    """Refuse a scheduler without this version of novelty_dask: it reads the functions of tasks."""

    def find_version() -> str:
        # The error is that of the scheduler, which looks for the function.
        with suppress(ImportError, AttributeError):
            return str(scheduler.client.run_on_scheduler(versions).get("novelty-dask", ""))
        return ""

    found, here = scheduler.ask(find_version), versions().get("novelty-dask", "")
    if found != here:
        theirs = f"novelty-dask {found}" if found else "no novelty_dask"
        message = f"The scheduler has {theirs} and not {here}; install the same there, too."
        raise ClusterError(message)


def versions() -> dict[str, str]:
    """Return the versions of Python and of `PACKAGES`, without packages that are missing."""
    found = {"Python": ".".join(platform.python_version_tuple()[:2])}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def read_probe(url: str, key: str) -> str:
    """Return the text that a worker reads where the client wrote a probe; empty if it can't be read."""
    try:
        return open_objects(url).read(key).decode()
    except (KeyError, OSError, StoreError, UnicodeDecodeError):
        return ""


def _present(answers: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield workers with their answers, without workers that have left meanwhile."""
    # A worker that left can't be asked, which Dask reports as an OSError; it gets no task either.
    return ((worker, answer) for worker, answer in answers.items() if not isinstance(answer, OSError))


def _check_versions(worker: str, found: Any) -> None:
    """Refuse a worker of other versions, or without novelty_dask."""
    if not isinstance(found, dict):
        message = (
            f"Worker {worker} can't import this version of novelty_dask; install the same on all workers."
        )
        raise ClusterError(message)
    here = versions()
    differing = [
        f"{name} {found.get(name, 'is missing')} and not {here[name]}"
        for name in here
        if found.get(name) != here[name]
    ]
    if differing:
        message = f"Worker {worker} has {', '.join(differing)}; install the same versions as here."
        raise ClusterError(message)
