"""Executors run tasks: their protocol, and the simplest one, which runs tasks in this process in order.

`SerialExecutor` defines what any other means.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import dask
from dask.base import compute
from dask.local import get_sync

from novelty_dask.errors import NoveltyError, UnreachableError
from novelty_dask.execution import usage
from novelty_dask.execution.temporary import check_free, temporary_folder
from novelty_dask.objects.commits import Metrics

if TYPE_CHECKING:
    from collections import deque

    from novelty_dask.execution.usage import Usage
    from novelty_dask.planning.stages import Stage

TASK_ATTEMPTS = 3
"""Number of times that a task which raises errors is tried."""

MEMORY_BYTES = 10**9
"""Bytes that a shuffle in one process keeps in memory before it writes files (partd.Buffer)."""

Perform = Callable[[str], Metrics]
"""Function that does the task of an item."""


def is_final(error: NoveltyError, attempt: int) -> bool:
    """Return whether an error that a task raised on purpose ends all tasks.

    To try again would not help, nor would the other tasks succeed, as with a full disk or a lost claim.  Only
    a store that could not be reached may be back.
    """
    return not isinstance(error, UnreachableError) or attempt >= TASK_ATTEMPTS


class Outcome(NamedTuple):
    """The end of a task: with metrics, or after all attempts with an error."""

    item: str
    metrics: Metrics
    error: Exception | None = None
    attempts: int = 1


class Executor(Protocol):
    """Runner of tasks and of Dask collections; closing one of its generators ends the work begun by it."""

    def announce(self, stage: Stage, needed: set[str]) -> None:
        """Say to whoever watches which tasks of a stage come next."""
        ...

    def map(self, stage: str, perform: Perform, ready: deque[str]) -> Generator[Outcome, None, None]:
        """Perform the tasks of items in about their order; yield how each ended, in any order.

        Items may be added to `ready` until the generator ends.  A `NoveltyError` ends the generator; any
        other error ends its task alone, after some attempts.
        """
        ...

    def compute(self, collection: Any) -> Generator[Any, None, None]:
        """Compute a Dask collection; yield each partition as it comes, in any order."""
        ...

    def reserve(self, n_bytes: int) -> None:
        """Refuse to move more bytes by temporary files than are free on their disks."""
        ...

    def usage(self, *, forget_peak: bool = False) -> list[Usage]:
        """Return the usage of each process that runs tasks; then measure peaks anew if asked to."""
        ...

    def count_deaths(self) -> int:
        """Return how many processes that run tasks have died so far, of this run or of others."""
        ...

    def settle(self) -> None:
        """Wait until no worker runs a dropped task any more."""
        ...


class SerialExecutor:
    """Executor in this thread, which does one thing after the other."""

    def announce(self, stage: Stage, needed: set[str]) -> None:
        """Do nothing: there is no scheduler that shows it."""

    def map(self, stage: str, perform: Perform, ready: deque[str]) -> Generator[Outcome, None, None]:
        """Perform tasks in their order."""
        while ready:
            yield self._perform(perform, ready.popleft())

    def _perform(self, perform: Perform, item: str) -> Outcome:
        """Perform one task, again if it raises an error."""
        failure: Exception | None = None
        for attempt in range(1, TASK_ATTEMPTS + 1):
            try:
                return Outcome(item, perform(item), attempts=attempt)
            except NoveltyError as error:
                if is_final(error, attempt):
                    raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the rest goes on
                failure = error
        return Outcome(item, {}, failure, TASK_ATTEMPTS)

    def compute(self, collection: Any) -> Generator[Any, None, None]:
        """Compute a Dask collection with the synchronous scheduler."""
        # By name, Dask would import Distributed to look for the scheduler.
        with dask.config.set({"dataframe.shuffle.method": "disk"}):
            yield from compute(*collection.to_delayed(), scheduler=get_sync)

    def reserve(self, n_bytes: int) -> None:
        """Refuse to move more bytes than fit in memory and on the disk."""
        check_free([temporary_folder()], n_bytes - MEMORY_BYTES)

    def usage(self, *, forget_peak: bool = False) -> list[Usage]:
        """Return the usage of this process."""
        return [usage.forget_peak() if forget_peak else usage.usage()]

    def count_deaths(self) -> int:
        """Return 0: with this process all ends."""
        return 0

    def settle(self) -> None:
        """Do nothing: a generator that is closed here has no task running."""
