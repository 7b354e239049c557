"""Ctrl-C while the program starts: nothing was begun, so it ends at once, without a word."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False

if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

INTERRUPTED = 130


def end_quietly() -> None:
    """Let Ctrl-C end this process, unless it is ignored, as of a process in the background."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def interrupt_again() -> None:
    """Let Ctrl-C raise KeyboardInterrupt as before, now that somebody expects it."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    """End this process."""
    # Not by an exception: while modules are imported, some are caught, and the others end in a traceback.
    os._exit(INTERRUPTED)
