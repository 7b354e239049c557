"""Errors that end a command, each as one sentence and an exit code."""

import re
import sys
import textwrap
import traceback
from enum import IntEnum
from typing import Any

import click

from novelty_dask.cli.streams import flush_output, guard_streams
from novelty_dask.cli.terminal import escape
from novelty_dask.errors import (
    ClusterError,
    DamageError,
    DiskFullError,
    NoveltyError,
    UnreachableError,
    reason,
    shell_quoted,
    without_secrets,
)
from novelty_dask.interrupts import INTERRUPTED, Interruptible, Terminated, hush


class ExitCode(IntEnum):
    """Exit codes of the command; `MEANINGS` explains each."""

    DONE = 0
    FAULT = 1
    REFUSED = 2
    FAILED = 3
    PARTIAL = 4
    INTERRUPTED = INTERRUPTED
    TERMINATED = 143


MEANINGS = {
    ExitCode.DONE: "done, also if the reader of a pipe has gone",
    ExitCode.FAULT: "a fault of the program; `--debug` shows where",
    ExitCode.REFUSED: (
        "wrong usage, settings, sources or paths, or too little memory; nothing was overwritten"
    ),
    ExitCode.FAILED: "the Dask scheduler, its workers or a disk failed; `novelty resume RUN` goes on",
    ExitCode.PARTIAL: (
        "tasks were given up, so that scores are missing, or data are damaged; "
        "`novelty resume RUN` tries again"
    ),
    ExitCode.INTERRUPTED: "stopped by Ctrl-C",
    ExitCode.TERMINATED: "stopped by SIGTERM",
}
"""The table of exit codes, as help and the README show it."""
BARE_RESUME = re.compile("`(novelty resume(?: --take-over)?)`")
OPTIONS = {
    "overwrite=True": "--force",
    "insecure=True": "--insecure",
    "(certs)": "(--certs)",
    **{f"({name.replace('-', '_')})": f"(--{name})" for name in ("order", "columns", "max-p", "fdr")},
}
"""Options by the keyword that messages of the package name."""
DEBUG, RESUMABLE, RUN = f"{__name__}.debug", f"{__name__}.resumable", f"{__name__}.run"
REPEATABLE = f"{__name__}.repeatable"
"""Whether a command that is stopped keeps what it has done, and goes on when it is repeated."""


EXIT_CODES: dict[type[BaseException], ExitCode] = {
    KeyboardInterrupt: ExitCode.INTERRUPTED,
    Terminated: ExitCode.TERMINATED,
    NoveltyError: ExitCode.REFUSED,
    DamageError: ExitCode.PARTIAL,
    DiskFullError: ExitCode.FAILED,
    UnreachableError: ExitCode.FAILED,
    ClusterError: ExitCode.FAILED,
    OSError: ExitCode.FAILED,
    BaseException: ExitCode.FAULT,
}
"""Exit codes of errors; the most derived class counts."""


def exit_code(error: BaseException) -> ExitCode:
    """Return the exit code of an error, which is that of its most derived class in the table.

    >>> exit_code(DamageError("It is damaged."))
    <ExitCode.PARTIAL: 4>
    """
    # Errors of a store are errors of the system, too, but NoveltyError is the first of their bases.
    return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)


def exit_code_help() -> str:
    """Return the table of exit codes as the end of a help page; click keeps its lines as they are."""
    rows = (
        textwrap.fill(text, 74, initial_indent=f"  {code:<5d}", subsequent_indent=" " * 7)
        for code, text in MEANINGS.items()
    )
    return "\n".join(["\b", "Exit codes:", *rows])


class Commands(click.Group):
    """Group of commands, whose errors become a sentence and an exit code."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program."""
        guard_streams()
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            # Of what Click prints itself, such as the help, before it knows the command.
            message, code = verdict(error)
        flush_output()
        click.echo(escape(message), err=True)
        sys.exit(code)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        # Again, as a command of Dask is not run by `main`.
        guard_streams()
        try:
            with Interruptible():
                return super().invoke(ctx)
        except click.UsageError as error:
            # Click repeats arguments as they are; with a glob, the shell puts names of files among them.
            raise click.UsageError(escape(error.format_message()), error.ctx) from None
        except (click.ClickException, click.exceptions.Exit, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - it ends the program
            hush()
            if ctx.meta.get(DEBUG):
                for line in "".join(traceback.format_exception(error)).rstrip().split("\n"):
                    click.echo(escape(line), err=True)
            is_kept = bool(ctx.meta.get(REPEATABLE))
            message, code = verdict(error, _existing_run(ctx.meta.get(RESUMABLE), error), is_kept=is_kept)
            flush_output()
        click.echo(escape(with_run(message, ctx.meta.get(RUN))), err=True)
        return ctx.exit(code)


def verdict(error: BaseException, run: str | None = None, *, is_kept: bool = False) -> tuple[str, ExitCode]:
    """Return the sentence to print for an error, and the exit code.

    Parameters
    ----------
    error : BaseException
        The error that ended a command.
    run : str, optional
        The run that it was working on.
    is_kept : bool
        True if what it has done is kept for the same command.
    """
    code, resume = exit_code(error), f"`novelty resume {shell_quoted(run)}` goes on" if run else ""
    if isinstance(error, KeyboardInterrupt | Terminated):
        otherwise = "the same command goes on" if is_kept else "nothing was stored"
        return f"Stopped; {resume or otherwise}.", code
    if isinstance(error, NoveltyError):
        return f"Error: {error}" + f" {resume}." * bool(run and code == ExitCode.FAILED), code
    if isinstance(error, OSError):
        # Of a rename the second name is the one that the user knows, and the first that of a partial file.
        path = error.filename2 or error.filename
        problem = (error.strerror or reason(error)) + (f" at {str(path)!r}" if path else "")
        return (
            f"Error: {without_secrets(problem)}; once that is fixed, {resume or 'repeat the command'}.",
            code,
        )
    fault = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":. ")
    return f"Error: {fault}; --debug shows where.", ExitCode.FAULT


def with_run(message: str, run: str | None) -> str:
    """Return a message of the package in the words of the command line: with options and whole commands.

    >>> with_run("It exists (overwrite=True); `novelty resume` goes on.", "a b.zarr")
    "It exists (--force); `novelty resume 'a b.zarr'` goes on."
    """
    for keyword, option in OPTIONS.items():
        message = message.replace(keyword, option)
    if run is None:
        return message
    # A function, as a backslash in a name would mean something in a template.
    return BARE_RESUME.sub(lambda match: f"`{match[1]} {shell_quoted(run)}`", message)


def _existing_run(run: str | None, error: BaseException) -> str | None:
    """Return the run that a command was to make, if it has been begun and can be resumed."""
    if run is None or isinstance(error, UnreachableError):
        # To look for it would take as long again as it took to see that the store is out of reach.
        return run if getattr(error, "has_run", False) else None
    from novelty_dask.storage.runs import find_run  # noqa: PLC0415 - Zarr takes long to import

    try:
        found = find_run(run)
        if found and found.manifest.is_complete and type(error) is OSError:
            # It is the output that failed, and the same command prints it again.
            return None
        return run if found and not found.manifest.lacks_copy else None
    except Exception:  # noqa: BLE001 - something exists, even if it can't be read now
        return run
