"""Checks of a cluster before it gets a task: the same packages, and the same view of the run."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from novelty_dask.errors import ClusterError, StoreError
from novelty_dask.objects.address import open_objects
from novelty_dask.objects.owners import newest_epoch, owner_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from novelty_dask.execution.scheduler import Scheduler
    from novelty_dask.storage.runs import StoredRun

PACKAGES = ("novelty-dask", "numba", "numpy", "scipy", "zarr")
"""Packages whose version can change the bytes of a result."""


class Fitness(NamedTuple):
    """Fitness of a worker for a run: the packages that it must have, and what it must see.

    Parameters
    ----------
    versions : dict of str to str
        As of `versions`, of the client.
    url : str
        The run.
    key, text : str
        An object of the run, and what it holds.
    """

    versions: dict[str, str]
    url: str
    key: str
    text: str

    @classmethod
    def of(cls, run: StoredRun) -> Self:
        """Return what a run needs that this client has claimed."""
        # The record of the claim: what an earlier client has left, or one of another run under the same path,
        # would prove nothing.
        key = owner_key(newest_epoch(run.objects), "json")
        return cls(versions(), run.url, key, run.objects.read(key).decode())

    def version_problem(self, found: Any) -> str:
        """Return what is wrong with what a worker answered about its versions; empty if nothing is."""
        if not isinstance(found, dict):
            return "can't import this version of novelty_dask; install the same on all workers"
        differing = [
            f"{name} {found.get(name, 'is missing')} and not {needed}"
            for name, needed in self.versions.items()
            if found.get(name) != needed
        ]
        return f"has {', '.join(differing)}; install the same versions as here" if differing else ""

    def view_problem(self, seen: Any) -> str:
        """Return what is wrong with what a worker reads of the run; empty if nothing is."""
        # The path may exist on the worker and be another disk, so the content decides and not the name.
        if seen == self.text:
            return ""
        return (
            f"does not see {self.url!r}; put the run where all workers have it under this name, and name it "
            "with --out"
        )


def check_workers(scheduler: Scheduler, fitness: Fitness) -> None:
    """Refuse workers that would fail or compute other bytes.

    Raises
    ------
    ClusterError
        A worker has other versions or does not see the run; it is named.
    """
    client = scheduler.client
    packages = scheduler.ask_workers(lambda: client.run(versions, on_error="return"))
    _refuse(packages, fitness.version_problem)
    where = fitness.url, fitness.key
    views = scheduler.ask_workers(lambda: client.run(read_object, *where, on_error="return"))
    _refuse(views, fitness.view_problem)


def _refuse(answers: dict[str, Any], find_problem: Callable[[Any], str]) -> None:
    """Refuse the first worker whose answer shows a problem."""
    for worker, answer in answers.items():
        # A worker that left can't be asked, which Dask reports as an OSError; it gets no task either.
        if not isinstance(answer, OSError) and (problem := find_problem(answer)):
            message = f"Worker {worker} {problem}."
            raise ClusterError(message)


def check_scheduler(scheduler: Scheduler) -> None:
    """Refuse a scheduler without this version of novelty_dask: it reads the functions of tasks.

    Raises
    ------
    ClusterError
        It has another version, or none.
    """

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


def read_object(url: str, key: str) -> str:
    """Return the text of an object of a run; empty if it can't be read."""
    try:
        return open_objects(url).read(key).decode()
    except (KeyError, OSError, StoreError, UnicodeDecodeError):
        return ""
