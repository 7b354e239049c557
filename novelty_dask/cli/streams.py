"""Standard streams that may be closed, full, or without a reader."""

import errno
import io
import os
import sys
from collections.abc import Iterable
from typing import cast


class DroppingIO(io.FileIO):
    """File descriptor that drops what can't be written to it."""

    def write(self, data: "bytes | memoryview") -> int:  # type: ignore[override]
        """Write, and return a length in any case."""
        try:
            # It is None for a terminal that takes nothing at the moment.
            return super().write(data) or len(data)
        except OSError:
            return len(data)


def guard_streams() -> None:
    """Open closed standard streams on nothing, and let standard error drop what it can't write.

    A result is worth more than the progress on the way to it.  Standard output stays what it is.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Otherwise the next file that is opened, such as a chunk of a run, would be standard output.
            os.open(os.devnull, os.O_RDWR)
    # Who has put another stream in its place wants what is written there.
    if sys.stderr is sys.__stderr__:
        raw = io.BufferedWriter(cast("io.RawIOBase", DroppingIO(2, "w", closefd=False)))
        sys.stderr = io.TextIOWrapper(raw, errors="backslashreplace", line_buffering=True)


def emit(lines: Iterable[str], *, at_once: bool = False) -> None:
    """Write lines to standard output, each at once if need be; stop silently if its reader has gone.

    Raises
    ------
    OSError
        It is full, or was closed before the program began.
    """
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper):
        # Otherwise a character of a URL that the encoding of the output lacks would end the command.
        out.reconfigure(errors="backslashreplace")
    try:
        for line in lines:
            if out is None:
                raise OSError(errno.EBADF, "Standard output is closed")
            out.write(f"{line}\n")
            if at_once:
                out.flush()
        if out is not None:
            out.flush()
    except BrokenPipeError:
        close_output()


def flush_output() -> None:
    """Write what is left of standard output, if it can be written."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        close_output()


def close_output() -> None:
    """Send the rest of standard output nowhere, as its reader has gone, or its disk is full."""
    # Otherwise Python would fail to flush its buffer when it exits, complain, and exit with 120.
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def is_terminal() -> bool:
    """Return whether standard output is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()
