"""The command that adds sources to a run."""

from typing import Any

import click

import novelty_dask
from novelty_dask.cli import options
from novelty_dask.cli.commands import finish, main, say
from novelty_dask.cli.listeners import choose_listener
from novelty_dask.counts import counted


@main.command()
@options.sources
@click.option("--to", "run", metavar="RUN", required=True, help="The run, complete and on a disk.")
@click.option(
    "--refresh",
    is_flag=True,
    help="Compute the weights anew, of all rows, which compares all of them again.",
)
@click.option(
    "--take-over",
    is_flag=True,
    help="Go on although a client on another host, silent for a minute, has not released the run.",
)
@options.work_options
@options.quiet
@options.debug
def add(sources: tuple[str, ...], *, run: str, quiet: bool, **flags: Any) -> None:
    """Add sources to a run, which then has the rows of all of them.

    SOURCE is as of score, and is read with the settings of the run. New rows alone are compared, with
    all others and with each other; the weights are those that the run has. Sources that the run has
    already are left out. Until all is done the run stays as it is; a command that was stopped goes on
    when it is repeated.
    """
    before = novelty_dask.status(run).totals
    given = {name: value for name, value in flags.items() if value is not None}
    with choose_listener(quiet=quiet) as listener:
        grown = novelty_dask.add(sources, run, listener=listener, **given)
    finish(grown, quiet=quiet)
    if before and not quiet:
        n_new = len(grown) - before.rows
        say(f"{counted(n_new, 'row')} added to {run}, which has {len(grown):,} now.")
