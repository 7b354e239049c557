"""Progress of the task at work, reported by its loops, heard by the function that runs it.

A loop calls `advance` with its own counts.  A caller for whom it is one step of several puts `part`
around it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class TaskProgress:
    """The share of a task that is done.

    Parameters
    ----------
    tell : callable
        Takes the share, 0 to 1, whenever it grows.
    """

    def __init__(self, tell: Callable[[float], None]) -> None:
        self.tell = tell
        self.start, self.length = 0.0, 1.0


# A task runs in one thread, and other tasks in others: each thread has a value of its own.
_current: ContextVar[TaskProgress | None] = ContextVar("progress", default=None)


@contextmanager
def heard(tell: Callable[[float], None]) -> Iterator[None]:
    """Let a function hear the progress of the task that the block is.

    >>> shares = []
    >>> with heard(shares.append):
    ...     for number in range(2):
    ...         with part(number, 2):
    ...             advance(1, 4)
    >>> shares
    [0.125, 0.625]
    """
    token = _current.set(TaskProgress(tell))
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def part(number: int, n_parts: int) -> Iterator[None]:
    """Let the block be one of several equal parts of the task, or of the part around it."""
    progress = _current.get()
    if progress is None:
        yield
        return
    whole = progress.start, progress.length
    progress.start += progress.length * number / n_parts
    progress.length /= n_parts
    try:
        yield
    finally:
        progress.start, progress.length = whole


def advance(done: float, total: float) -> None:
    """Report how much is done of the task, or of the part that is at work; do nothing if nobody listens."""
    progress = _current.get()
    if progress is not None and total:
        progress.tell(progress.start + progress.length * min(done / total, 1.0))
