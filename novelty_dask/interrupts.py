"""Ctrl-C and SIGTERM, as the command takes them: each ends it, at whatever moment it comes.

While the program starts nothing was begun, so Ctrl-C ends it at once, without a word.  After that,
`Interruptible` makes exceptions of both signals.
"""

from __future__ import annotations

import os
import signal
import sys

# Not imported: until `end_quietly` was called, Ctrl-C ends in a traceback.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

INTERRUPTED = 130
IMPORT_FILE = "<frozen importlib._bootstrap>"
AGAIN_SECONDS = 0.05


class Terminated(BaseException):
    """Request to stop by SIGTERM, as KeyboardInterrupt is one by Ctrl-C."""


def end_quietly() -> None:
    """Let Ctrl-C end this process, unless it is ignored, as of a process in the background."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    """End this process."""
    # Not by an exception: while modules are imported, some are caught, and the others end in a traceback.
    os._exit(INTERRUPTED)


class Interruptible:
    """Context in which Ctrl-C raises KeyboardInterrupt and SIGTERM raises Terminated, in the main thread.

    A signal that comes where its exception would be lost comes again a moment later.
    """

    def __enter__(self) -> None:
        """Begin."""
        self._lost = signal.SIGINT
        self._hook, sys.unraisablehook = sys.unraisablehook, self._take_lost
        # An alarm is the signal that comes again.  To start a thread that sends it would not be safe here.
        # What is ignored stays so, as Ctrl-C is for a command in the background.
        self._before = {
            number: signal.signal(number, self._raise)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
            if signal.getsignal(number) is not signal.SIG_IGN
        }

    def __exit__(self, *_: object) -> None:
        """Take signals as before."""
        # First: without its handler, an alarm that is still to come would end the program.
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        sys.unraisablehook = self._hook

    def _raise(self, number: int, frame: FrameType | None) -> None:
        """Raise the exception of a signal, unless an import would be cut short."""
        if number != signal.SIGALRM:
            self._lost = signal.Signals(number)
        # Half of a module would stay behind, and the last words of the program may need a whole one.
        while frame is not None:
            if frame.f_code.co_filename == IMPORT_FILE:
                signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
                return
            frame = frame.f_back
        raise KeyboardInterrupt if self._lost == signal.SIGINT else Terminated

    def _take_lost(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Take an exception that Python drops, as it was raised in a finalizer or in a callback from C."""
        # The garbage collector calls one of Dask's again and again.
        if issubclass(unraisable.exc_type, KeyboardInterrupt | Terminated):
            signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
        else:
            self._hook(unraisable)


def hush() -> None:
    """Let nobody complain of what is half done when the program ends early."""
    # Stopping leaves calls that were never awaited, and may leave half of an event loop; the complaints of
    # asyncio and of finalizers would hide the last sentence.
    import logging  # noqa: PLC0415 - until the command has begun, Ctrl-C ends in a traceback
    import warnings  # noqa: PLC0415

    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore", RuntimeWarning)
    # A program around this one may have a hook of its own.
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = lambda _unraisable: None
