"""What ends a command early, as one sentence and an exit code."""

import logging
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import click

from novelty_dask.cli.terminal import escape
from novelty_dask.errors import ClusterError, DiskFullError, NoveltyError, without_secrets

EXIT_CODES = """\b
Exit codes:
  0    done, also if the reader of a pipe has gone
  1    something else failed; --debug shows where
  2    wrong usage, settings, sources or paths, or too little memory;
       nothing was overwritten
  3    the Dask scheduler, its workers or a disk failed; `novelty resume RUN`
       goes on
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
        except click.UsageError as error:
            # Click repeats arguments as they are, and a glob may have put names of files among them.
            raise click.UsageError(escape(error.format_message()), error.ctx) from None
        except (click.ClickException, click.exceptions.Exit, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - it ends the program
            # What a stop leaves behind of calls that were not awaited to their end is no news.
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)
            if ctx.meta.get(DEBUG):
                for line in "".join(traceback.format_exception(error)).rstrip().split("\n"):
                    click.echo(escape(line), err=True)
            message, code = verdict(error, _begun(ctx.meta.get(RESUMABLE)))
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
    resume = f"`novelty resume {run}` goes on" if run else ""
    if isinstance(error, KeyboardInterrupt | Terminated):
        return f"Stopped; {resume or 'nothing was stored'}.", 143 if isinstance(error, Terminated) else 130
    if isinstance(error, NoveltyError):
        may_pass = isinstance(error, ClusterError | DiskFullError)
        return f"Error: {error}" + f" {resume}." * bool(run and may_pass), 3 if may_pass else 2
    if isinstance(error, OSError) and error.strerror:
        path = error.filename2 or error.filename
        said = error.strerror + (f" at {str(path)!r}" if path else "")
        return f"Error: {without_secrets(said)}; when that is mended {resume or 'repeat the command'}.", 3
    reason = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":. ")
    return f"Error: {reason}; --debug shows where.", 1


def _begun(run: str | None) -> str | None:
    """The run that a command is to make, if it has been begun."""
    if run is None:
        return None
    from novelty_dask.storage.runs import find_run  # noqa: PLC0415 - Zarr takes long to import

    try:
        return run if find_run(run) else None
    except Exception:  # noqa: BLE001 - there is something, though it can't be read now
        return run


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
