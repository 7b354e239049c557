"""Preload of Dask's scheduler: a supervisor that takes up the jobs of the scheduler before it.

Start it as ``dask scheduler --preload novelty_dask.jobs.preload --novelty-jobs FOLDER``, where FOLDER is a
path or a URL that outlives the scheduler; the environment variable ``NOVELTY_JOBS`` names it, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from novelty_dask.jobs.supervisor import NAME, Supervisor

if TYPE_CHECKING:
    from distributed import Scheduler


@click.command()
@click.option("--novelty-jobs", "folder", envvar="NOVELTY_JOBS", metavar="FOLDER")
def dask_setup(scheduler: Scheduler, folder: str | None) -> None:
    """Add a supervisor to a scheduler that starts."""
    # Only added: the scheduler itself starts all plugins once its preloads are done.
    scheduler.add_plugin(Supervisor(folder), name=NAME)
