"""Clocks of the calendar that are set forward or back, for one process."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest

DAY, HOUR, MOMENT = 86_400.0, 3_600.0, 2.0
STEPS = [sign * size for size in (MOMENT, HOUR, DAY) for sign in (1, -1)]


def later(clock: Callable[..., float], seconds: float) -> Callable[..., float]:
    """Return a clock that is so far ahead of another."""
    return lambda *arguments: clock(*arguments) + seconds


@contextmanager
def clock_of(clock: Callable[[], float]) -> Iterator[None]:
    """Let this thread, and those that begin now, see another time of the calendar."""
    # The others keep theirs.  Else the event loops of a Dask cluster in this process, if they happen to send
    # something meanwhile, would wait for the time of one clock by that of the other, for hours.
    before, this = time.time, threading.get_ident()
    others = {thread.ident for thread in threading.enumerate()} - {this}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: before() if threading.get_ident() in others else clock())
        yield


@contextmanager
def stepped(seconds: float) -> Iterator[None]:
    """Set the clock of this process, as far as it can see, and with it the times of all that began before."""
    # The time at which the system was booted, and from it the starts of processes, is computed backwards from
    # the present time; so each step moves all of them.
    with pytest.MonkeyPatch.context() as patch, clock_of(later(time.time, seconds)):
        patch.setattr(psutil, "boot_time", later(psutil.boot_time, seconds))
        patch.setattr(psutil.Process, "create_time", later(psutil.Process.create_time, seconds))
        yield
