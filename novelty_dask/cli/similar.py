"""Commands that find which rows of a run are alike."""

from collections.abc import Callable
from typing import Any

import click

import novelty_dask
from novelty_dask.cli import options
from novelty_dask.cli.commands import main
from novelty_dask.cli.listeners import choose_listener
from novelty_dask.cli.streams import close_output


def alike_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a command that finds pairs."""
    added = (
        options.run,
        click.option(
            "--at-least",
            type=float,
            required=True,
            metavar="S",
            help="Least similarity of a pair, above 0 and at most 1, such as 0.8.",
        ),
        click.option("--force", "overwrite", is_flag=True, help="Replace FILE; its owner and mode stay."),
        click.option(
            "--redact", is_flag=True, help="Write … for user names, passwords, and values such as of token."
        ),
        click.option(
            "--tiles",
            metavar="FOLDER",
            help="Where to keep what was found until all is written. [default: FILE.tiles]",
        ),
        *options.WORKER_OPTIONS,
        options.quiet,
        options.debug,
    )
    for option in reversed(added):
        command = option(command)
    return command


@main.command()
@alike_options
@click.option(
    "-o",
    "--out",
    metavar="FILE",
    required=True,
    help="A .parquet, .arrow, .csv, .tsv or .jsonl file, or - for standard output, as CSV.",
)
def pairs(run: str, *, out: str, quiet: bool, **keywords: Any) -> None:
    """Write all pairs of rows that are at least so similar, exactly.

    Columns are row and other (numbers of rows in the run), url, other_url and similarity, in the
    order of the rows. Each pair is there once. A command that was stopped goes on when it is repeated.
    """
    try:
        with choose_listener(quiet=quiet or out.startswith(("-", "/dev/", "/proc/"))) as listener:
            novelty_dask.pairs(run, out, listener=listener, **keywords)
    except BrokenPipeError:
        close_output()
