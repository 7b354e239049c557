"""Executors: the protocol of what runs tasks, and the simplest one, which runs them here in order.

`SerialExecutor` defines what any other means.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import dask
from dask.base import compute
from dask.local import get_sync

from novelty_dask.errors import NoveltyError
from novelty_dask.execution import usage
from novelty_dask.execution.temporary import check_free, temporary_folder
from novelty_dask.objects.commits import Metrics

if TYPE_CHECKING:
    from collections import deque

    from novelty_dask.execution.usage import Usage

ATTEMPTS = 3
"""How often a task is tried that raises an error."""

MEMORY_BYTES = 10**9
"""What a shuffle in one process keeps in memory before it writes files (partd.Buffer)."""

Perform = Callable[[str], Metrics]
"""Does the task of an item."""


class Outcome(NamedTuple):
    """The end of a task: with metrics, or after all attempts with an error."""

    item: str
    metrics: Metrics
    error: Exception | None = None


class Executor(Protocol):
    """Runs tasks and computes Dask collections; what its generators have begun ends when they are closed."""

    def map(self, stage: str, perform: Perform, ready: deque[str]) -> Generator[Outcome, None, None]:
        """Perform the tasks of items in about their order; yield how each ended, in any order.

        Items may be added to `ready` until the generator ends.  An error that novelty_dask raises on
        purpose ends the whole; any other ends its task, after some attempts.
        """
        ...

    def compute(self, collection: Any) -> Generator[Any, None, None]:
        """Compute a Dask collection; yield each partition as it comes, in any order."""
        ...

    def reserve(self, n_bytes: int) -> None:
        """Refuse to move more bytes by temporary files than are free where these are."""
        ...

    def usage(self, *, forget_peak: bool = False) -> list[Usage]:
        """Return what each process at work has used; then measure peaks anew if asked to."""
        ...

    def settle(self) -> None:
        """Wait until no worker is at a task any more that was dropped."""
        ...


class SerialExecutor:
    """Runs everything in this thread, one after the other."""

    def map(self, stage: str, perform: Perform, ready: deque[str]) -> Generator[Outcome, None, None]:
        """Perform tasks in their order."""
        while ready:
            yield self._perform(perform, ready.popleft())

    def _perform(self, perform: Perform, item: str) -> Outcome:
        """Perform one task, several times if need be."""
        failure: Exception | None = None
        for _ in range(ATTEMPTS):
            try:
                return Outcome(item, perform(item))
            except NoveltyError:
                # Raised on purpose: to try again would not help, nor would the other tasks succeed.
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the rest goes on
                failure = error
        return Outcome(item, {}, failure)

    def compute(self, collection: Any) -> Generator[Any, None, None]:
        """Compute a Dask collection with the synchronous scheduler."""
        # By name, Dask would import Distributed to look for the scheduler.
        with dask.config.set({"dataframe.shuffle.method": "disk"}):
            yield from compute(*collection.to_delayed(), scheduler=get_sync)

    def reserve(self, n_bytes: int) -> None:
        """Refuse what does not fit on the disk; the first of it is kept in memory."""
        check_free([temporary_folder()], n_bytes - MEMORY_BYTES)

    def usage(self, *, forget_peak: bool = False) -> list[Usage]:
        """Return what this process has used."""
        return [usage.forget_peak() if forget_peak else usage.usage()]

    def settle(self) -> None:
        """Do nothing: what was dropped here has ended."""
