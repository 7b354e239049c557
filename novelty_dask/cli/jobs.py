"""Commands on jobs: runs that a cluster does without the command that ordered them."""

from typing import Any

import click

import novelty_dask
from novelty_dask.cli import options
from novelty_dask.cli.commands import main, say_job
from novelty_dask.cli.failures import RUN
from novelty_dask.cli.listeners import choose_listener
from novelty_dask.cli.streams import emit
from novelty_dask.cli.terminal import escape
from novelty_dask.errors import shell_quoted


@main.command()
@options.sources
@options.new_run(required=True, help="Where to store the run, under a name that all machines know.")
@options.against
@options.settings_options
@options.quiet
@options.debug
def submit(
    sources: tuple[str, ...], *, out: str, against: tuple[str, ...], quiet: bool, **flags: Any
) -> None:
    """Hand the scoring of sources to a Dask scheduler, and leave.

    SOURCE and all options are as of score; --scheduler is needed. When the command returns, the run and its
    job are in the store. A driver on a worker does the run, and a supervisor in the scheduler starts
    another when it dies. Repeated, the command goes on with the job, or with a new one if that is over.
    """
    click.get_current_context().meta[RUN] = out
    settings = options.read_settings(**flags)
    with choose_listener(quiet=quiet) as listener:
        job = novelty_dask.submit(sources, out, listener=listener, settings=settings, against=against)
    if not quiet:
        say_job(job, out)


@main.command()
@options.run
@options.debug
def cancel(run: str) -> None:
    """Cancel the job of a run; what is done is kept.

    It needs no scheduler: the wish is stored with the run, and the driver ends within seconds.
    """
    job = novelty_dask.Job(run)
    before = job.status()
    job.cancel()
    if before.is_over:
        emit([f"Job {before.number} is over already: {before.state}."])
    else:
        emit([f"Job {before.number} is cancelled; `novelty resume {shell_quoted(run)}` would go on."])


@main.command()
@options.run
@click.option("--follow", is_flag=True, help="Print what comes, too, until the job is over.")
@options.debug
def logs(run: str, *, follow: bool) -> None:
    """Print what the last drivers of the job of a run have said."""
    job = novelty_dask.Job(run)
    emit(map(escape, job.follow() if follow else job.logs()))
