"""Commands that maintain a run, one function each."""

import time
from typing import Any

import click

import novelty_dask
from novelty_dask.cli import options
from novelty_dask.cli.commands import finish, main, say
from novelty_dask.cli.documents import in_json, status_document, verification_document
from novelty_dask.cli.failures import REPEATABLE, RESUMABLE, ExitCode, with_run
from novelty_dask.cli.listeners import choose_listener
from novelty_dask.cli.output import (
    check_lines,
    clean_line,
    rejected_lines,
    status_lines,
    verification_line,
)
from novelty_dask.cli.streams import emit
from novelty_dask.counts import counted
from novelty_dask.events import VERIFY, Event, StageStarted

WATCH_SECONDS = 2.0

take_over = click.option(
    "--take-over",
    is_flag=True,
    help="Go on although a client on another host, silent for a minute, has not released the run.",
)


@main.command()
@options.run
@click.option(
    "--watch", is_flag=True, help="Print it again whenever it has changed, until nobody works on it."
)
@options.as_json
@options.debug
def status(run: str, *, watch: bool, as_json: bool) -> None:
    """Show the progress of a run by stage, its job, and tasks that were given up.

    It also works while another process is working on the run, and names it.
    """
    shown: list[str] = []
    first = 0 if as_json else 1
    while True:
        found, ordered = novelty_dask.status(run), novelty_dask.Job.find(run)
        job = ordered.status() if ordered else None
        lines = [in_json(status_document(found, job))] if as_json else [*status_lines(found, job)]
        # How long ago the owner was last heard of changes with every look.
        if lines[first:] != shown[first:] or not shown:
            emit(lines)
            shown = lines
        is_over = job.is_over if job else found.state != "running"
        if is_over or not watch:
            return
        time.sleep(WATCH_SECONDS)


@main.command()
@options.run
@click.option("-n", "n_lines", type=click.IntRange(min=1), help="Number of lines. [default: all]")
@click.option("--json", "as_json", is_flag=True, help="Print an object in JSON for each line, for programs.")
@options.debug
def rejected(run: str, *, n_lines: int | None, as_json: bool) -> None:
    """List the lines of the sources that were rejected.

    Each is printed as source:line, TAB, reason, TAB and its first 80 bytes, escaped.
    """
    opened = novelty_dask.open(run)
    emit(rejected_lines(opened.stream_rejected(n_lines), as_json=as_json))
    if opened.manifest.totals and not opened.manifest.totals.n_rejected:
        say("No line was rejected.")


@main.command()
@options.run
@take_over
@options.work_options
@options.quiet
@options.debug
def resume(run: str, *, quiet: bool, take_over: bool, **flags: Any) -> None:
    """Complete a run: do what is missing or damaged.

    Finished tasks are not repeated. Of a complete run every byte is read first, and what is damaged
    is computed again.
    """
    click.get_current_context().meta[RESUMABLE] = run
    given = {name: value for name, value in flags.items() if value is not None}
    begun: list[Event] = []
    with choose_listener(quiet=quiet) as listener:

        def listen(event: Event) -> None:
            # All bytes of a complete run are read in any case, which is nothing that was missing.
            if isinstance(event, StageStarted) and event.stage != VERIFY:
                begun.append(event)
            listener(event)

        resumed = novelty_dask.resume(run, listener=listen, take_over=take_over, **given)
    finish(resumed, quiet=quiet)
    if not begun and not quiet:
        say(f"{run} is complete already, and every byte as it was written; nothing to do.")


@main.command()
@options.sources
@click.option("--to", "run", metavar="RUN", required=True, help="The run, complete and on a disk.")
@click.option(
    "--refresh",
    is_flag=True,
    help="Compute the weights anew, of all rows, which compares all of them again.",
)
@take_over
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
    click.get_current_context().meta[REPEATABLE] = True
    before = novelty_dask.status(run).totals
    given = {name: value for name, value in flags.items() if value is not None}
    with choose_listener(quiet=quiet) as listener:
        grown = novelty_dask.add(sources, run, listener=listener, **given)
    finish(grown, quiet=quiet)
    if before and not quiet:
        n_new = len(grown) - before.rows
        say(f"{counted(n_new, 'row')} added to {run}, which has {len(grown):,} now.")


@main.command()
@options.run
@click.option(
    "--recompute",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Also compute N random blocks of rows again.",
)
@options.quiet
@options.as_json
@options.debug
def verify(run: str, *, recompute: int, quiet: bool, as_json: bool) -> None:
    """Read every byte of a run and compare it with what was written."""
    with choose_listener(quiet=quiet, brief=True) as listener:
        verification = novelty_dask.verify(run, recompute_blocks=recompute, listener=listener)
    for damage in verification.damages:
        say(with_run(f"Damage: {damage}", run))
    if as_json:
        emit([in_json(verification_document(verification))])
    else:
        emit([verification_line(verification, was_recomputed=recompute > 0)])
    if verification.damages:
        click.get_current_context().exit(ExitCode.PARTIAL)


@main.command()
@options.run
@options.debug
def clean(run: str) -> None:
    """Remove what killed processes left behind in a run."""
    emit([clean_line(novelty_dask.clean(run))])


@main.command()
@click.argument("sources", metavar="[SOURCE]...", nargs=-1)
@options.against
@options.settings_options
@click.option(
    "--store",
    metavar="URL",
    help="Where runs are to be stored; with a cluster, each worker tries it.",
)
@options.as_json
@options.debug
def doctor(
    sources: tuple[str, ...], *, against: tuple[str, ...], store: str | None, as_json: bool, **flags: Any
) -> None:
    """Check the installation and this machine, and say what to do about problems.

    With a scheduler or a cluster, its workers are checked: their versions, memory, cores and clocks,
    and whether strangers are refused. With SOURCE and the options of score, their memory must suffice
    for a run of these.

    A warning concerns some runs, as large ones, a problem most runs. With a problem the exit code
    is 2, else 0. Report the output with a bug.
    """
    checks = novelty_dask.doctor.examine()
    settings = options.read_settings(**flags)
    if settings.scheduler or settings.scheduler_file or settings.cluster:
        from novelty_dask.checkup import examine_cluster  # noqa: PLC0415 - Distributed takes long to import

        checks += examine_cluster(settings, store, sources, against)
    elif sources or store is not None:
        given = "SOURCE is planned for, and --store is tried by, the workers of a cluster"
        message = f"{given}; name one with --scheduler or --cluster, or see novelty plan."
        raise novelty_dask.errors.SettingsError(message)
    if as_json:
        emit([in_json([check._asdict() for check in checks])])
    else:
        emit(check_lines(checks))
    if any(check.state == novelty_dask.doctor.PROBLEM for check in checks):
        click.get_current_context().exit(ExitCode.REFUSED)
