"""What ends a command early, as one sentence and an exit code."""

import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import click

from novelty_dask.errors import ClusterError, NoveltyError
from novelty_dask.terminal import escape

EXIT_CODES = """\b
Exit codes:
  0    done, also if the reader of a pipe has gone
  1    something else failed; --debug shows where
  2    wrong usage, settings, sources or paths, or too little memory;
       nothing was overwritten
  3    the Dask scheduler or its workers failed; `novelty resume RUN` goes on
  4    not whole: tasks were given up, so that some scores are missing, or
       data are damaged; `novelty resume RUN` tries them again
  130  stopped by Ctrl-C
  143  stopped by SIGTERM
"""
UNWHOLE = 4
DEBUG, RESUMABLE = f"{__name__}.debug", f"{__name__}.resumable"


class Terminated(BaseException):
    """SIGTERM came."""


class Commands(click.Group):
    """A group of commands; what goes wrong in one becomes a sentence and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            with _terminable():
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - it ends the program
            if ctx.meta.get(DEBUG):
                traceback.print_exception(error)
            message, code = verdict(error, ctx.meta.get(RESUMABLE))
        click.echo(escape(message), err=True)
        return ctx.exit(code)


def verdict(error: BaseException, run: str | None = None) -> tuple[str, int]:
    """What to say of an error, and the exit code.

    Parameters
    ----------
    error : BaseException
        What ended a command.
    run : str, optional
        The run that it was at work on.
    """
    if isinstance(error, KeyboardInterrupt | Terminated):
        hint = f"`novelty resume {run}` goes on" if run else "nothing was stored"
        return f"Stopped; {hint}.", 143 if isinstance(error, Terminated) else 130
    if isinstance(error, NoveltyError):
        hint = f" `novelty resume {run}` goes on." if run and isinstance(error, ClusterError) else ""
        return f"Error: {error}{hint}", 3 if isinstance(error, ClusterError) else 2
    reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":. ")
    return f"Error: {reason}; --debug shows where.", 1


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM stop a command as Ctrl-C does, so that workers end and nothing half-made remains."""
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    """Stop the command."""
    raise Terminated
