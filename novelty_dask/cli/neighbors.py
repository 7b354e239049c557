"""The command that finds the neighbors of vectors as a run."""

from typing import TYPE_CHECKING, Any, get_args

import click

import novelty_dask
from novelty_dask.cli import options
from novelty_dask.cli.commands import TOP_ROWS, finish, main, say, say_job, show
from novelty_dask.cli.documents import in_json, plan_document
from novelty_dask.cli.failures import RESUMABLE, RUN
from novelty_dask.cli.listeners import choose_listener
from novelty_dask.cli.streams import emit
from novelty_dask.errors import SettingsError, shell_quoted
from novelty_dask.kernels.choices import Metric

if TYPE_CHECKING:
    from novelty_dask.vector_run import VectorRun


@main.command()
@click.argument("source")
@options.new_run(help="Where to store the run.")
@click.option(
    "--metric",
    type=click.Choice(get_args(Metric)),
    default="cosine",
    show_default=True,
    help="Closest are the highest cosines, the shortest distances, or the highest products.",
)
@options.RESULT_OPTIONS[0]
@click.option(
    "--axis", type=click.Choice([0, 1]), default=0, show_default=True, help="1 for neighbors of columns."
)
@click.option("--column", help="Column of lists of a Parquet or Arrow file, or array of an .npz file.")
@click.option("--label-column", metavar="NAME", help="Column of labels, text or integers, to show with rows.")
@click.option(
    "--labels", metavar="FILE", help="Parquet, Arrow, .npy or .npz file of labels. [default: SOURCE]"
)
@options.WORK_OPTIONS[0]
@options.worker_options
@click.option("--submit", "is_job", is_flag=True, help="Hand the run to the Dask scheduler, and leave.")
@click.option("--plan", "is_plan", is_flag=True, help="Print what it would take, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --plan, print one document in JSON.")
@options.quiet
@options.debug
def neighbors(
    source: str, *, out: str | None, is_job: bool, is_plan: bool, as_json: bool, quiet: bool, **flags: Any
) -> None:
    """Find the exact nearest neighbors of all rows of a file of vectors.

    SOURCE is an .npy, .npz, Parquet or Arrow file, or an array of Zarr, of dense rows. It may be larger
    than memory, and the workers may be on a cluster. The run has the neighbors and the novelty of each
    row, by its number; top, export, verify, status and resume take it as they take any run.

    With --submit and --scheduler the command returns once the run and its job are in the store, as submit
    does; status, logs and cancel show and end the job.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    if is_plan:
        planned = novelty_dask.plan_vectors(source, **given)
        emit([in_json(plan_document(planned))] if as_json else [str(planned)])
        return
    if out is None:
        message = "Name the run with --out, or print with --plan what it would take."
        raise SettingsError(message)
    meta = click.get_current_context().meta
    meta[RUN] = out
    with choose_listener(quiet=quiet) as listener:
        if is_job:
            job = novelty_dask.submit_vectors(source, out, listener=listener, **given)
            if not quiet:
                say_job(job, out)
            return
        meta[RESUMABLE] = out
        run = novelty_dask.score_vectors(source, out, listener=listener, **given)
    if not quiet:
        _show(run, out)
    finish(run, quiet=quiet)


def _show(run: "VectorRun", out: str) -> None:
    """Print the most novel rows, where rows have a novelty, and what to do next."""
    if run.has_novelty:
        show(run, TOP_ROWS)
    say(f"Run   {out}\nMore  novelty export {shell_quoted(out)} -o neighbors.parquet")
