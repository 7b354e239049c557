"""An event loop that does everything in the thread that calls it, for Zarr's coroutines about one chunk.

Zarr hands each coroutine to a thread of its own, and that one hands each step of it to others.  For a single
chunk, where nothing can be done side by side, this takes as long as the work.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import closing
from typing import TYPE_CHECKING, Any

import zarr

if TYPE_CHECKING:
    from collections.abc import Coroutine


USUAL_THREADS, MOST_USUAL_THREADS = 4, 32
"""Threads of a pool of Python besides one for each processor, and at most, where no number is set."""


def requests_at_once() -> int:
    """Return how many requests of all threads of a process Zarr lets be in flight."""
    usual = min(MOST_USUAL_THREADS, (os.cpu_count() or 1) + USUAL_THREADS)
    return int(zarr.config.get("threading.max_workers") or usual)


class DirectLoop(asyncio.BaseEventLoop):
    """Event loop for one coroutine, which waits for nothing but functions.

    It has no selector, which would take files of the process.
    """

    def _run_once(self) -> None:
        """Take the next step of the coroutine; BaseEventLoop calls this again and again."""
        step: asyncio.Handle = self._ready.popleft()  # type: ignore[attr-defined]
        step._run()  # noqa: SLF001 - as BaseEventLoop does

    def run_in_executor(self, _executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Call a function here and now."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - the coroutine gets it, whatever it is
            future.set_exception(error)
        return future

    def call_exception_handler(self, context: Any) -> None:
        """Do nothing: what Ctrl-C leaves of a coroutine is no error."""


def is_without_loop() -> bool:
    """Return whether no event loop runs in this thread, as one does in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


def run_here(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in this thread, in which no other event loop may run; return its result."""
    with closing(DirectLoop()) as loop:
        return loop.run_until_complete(coroutine)
