"""Commands that score, print and export, one function each."""

import os
import re
import sys
from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import novelty_dask
from novelty_dask.cli import options
from novelty_dask.cli.corpus import write_corpus
from novelty_dask.cli.documents import in_json, plan_document, top_document
from novelty_dask.cli.failures import RESUMABLE, RUN, Commands, ExitCode, exit_code_help
from novelty_dask.cli.line_by_line import check_stream
from novelty_dask.cli.listeners import choose_listener
from novelty_dask.cli.output import choose_columns, failure_line, novelty_table, undefined_line
from novelty_dask.cli.streams import emit, is_terminal
from novelty_dask.cli.terminal import escape, number
from novelty_dask.counts import count_line, counted, refusal_line, wrapped_line
from novelty_dask.errors import StoreError, shell_quoted
from novelty_dask.kernels.choices import VECTORIZER

if TYPE_CHECKING:
    from novelty_dask.jobs.job import Job
    from novelty_dask.results.dismissed import Dismissed
    from novelty_dask.run import Run
    from novelty_dask.settings import Settings
    from novelty_dask.storage.manifest import Manifest

TOP_ROWS = 10
MOST_PLAIN_LINES = 100
"""Lines for each that holds a URL inside other text, above which that is not worth a word."""
DEMO_RUN = "novelty-demo/run.zarr"
DEMO_CORPUS = "urls.txt"
UNDISCOVERED = (
    "--fdr is for runs that were scored with --against: within one run p-values are ranks, and no row "
    "is chosen at a rate below 1."
)
UNCHOSEN = "No row is in this selection; leave out an option, or lower --min-novelty."


@click.group(
    "novelty", cls=Commands, epilog=exit_code_help(), context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="novelty-dask", message="novelty %(version)s")
def main() -> None:
    """Score how unlike all others each URL is, with its nearest neighbors as evidence."""


@main.command()
@options.sources
@options.new_run(help="Where to store the run; without it all rows are printed.")
@options.against
@options.stream
@options.as_json_lines
@options.settings_options
@options.quiet
@options.debug
def score(
    sources: tuple[str, ...],
    *,
    out: str | None,
    against: tuple[str, ...],
    stream: bool,
    as_json: bool,
    quiet: bool,
    **flags: Any,
) -> None:
    r"""Score the novelty of each distinct URL.

    SOURCE is a file with one URL a line, or in another format, compressed or not, a glob, a
    folder, any of them in an object store (s3://bucket/crawl/), or - for standard input, which is
    also read if none is named. No URL is visited: to score one, pipe it in.

    With --out the run is stored, and its most novel rows are printed. A stopped run is resumed;
    a complete one is opened.

    Without --out all rows are printed as novelty, TAB and URL, most novel first. Ties are in the
    order of hosts; undefined novelty is nan and comes last. Characters that are not printable
    are written as \xNN or \uNNNN.

    With --stream each line of standard input is answered as it comes, by one line, in order.
    A line that can't be scored is answered by rejected, TAB, the line, TAB and the reason.
    """
    if stream or as_json:
        given = _chosen(flags)
        check_stream(sources, out, against, given, is_chosen=stream)
        chosen = {name: flags[name] for name in ("memory_limit", "since")}
        settings = options.read_settings(config=None, **chosen)
        _answer(against[0], given, settings, as_json=as_json, quiet=quiet)
        return
    if "-" in sources and not quiet and sys.stdin is not None and sys.stdin.isatty():
        say("Type or paste URLs, one a line; Ctrl-D ends them.")
    if flags["remote"]:
        for host in filter(None, map(_host, sources)):
            say(f"One request goes to {host}, for a list.")
    run = _score(sources, out, quiet=quiet, settings=options.read_settings(**flags), against=against)
    if out is None:
        from novelty_dask.results.export import most_novel_first  # noqa: PLC0415 - Arrow takes long to import

        rows = most_novel_first(run)
        first = next(rows)
        emit(f"{number(novelty)}\t{escape(url)}" for novelty, url in chain([first], rows))
        # Undefined novelty comes last: if the first row's is, all are.
        if number(first[0]) == "nan" and not quiet:
            say(undefined_line(run.manifest))
    elif not quiet:
        show(run, TOP_ROWS)
        say(f"Run   {out}\nMore  novelty export {shell_quoted(out)} -o {_free_name()}")
    _exit_if_partial(run)


@main.command()
@options.run
@click.option(
    "-n", "n_rows", type=click.IntRange(min=1), default=20, show_default=True, help="Number of rows."
)
@click.option(
    "--defang", is_flag=True, help="Write URLs so that no program makes links of them: http[://]a[.]example."
)
@options.by
@options.columns
@options.selection_options
@options.as_json
@options.debug
def top(
    run: str,
    *,
    n_rows: int,
    by: str,
    columns: Sequence[str] | None,
    as_json: bool,
    redact: bool,
    **choice: Any,
) -> None:
    """Print the most novel rows of a run, or the first of a selection.

    Novelty is 1 minus the mean similarity of the neighbors. With --by other columns decide:
    novelty_nearest and novelty_kth, 1 minus the similarity of the nearest and of the last;
    uncovered, the share of the URL that no neighbor has; lof, the local outlier factor.

    A terminal shows a table that fits its width, with the nearest neighbor of each row. In the
    URL, what none of its neighbors has is red and underlined. A pipe
    receives lines of novelty, or of the column chosen, URL, similarity and nearest URL in full,
    separated by TAB. With --columns these are shown instead, which are those of exports.
    """
    opened = novelty_dask.open(run)
    choice["ignore"] = dismissed = read_dismissed(choice["ignore"])
    defang = choice.pop("defang")
    choice["calibrate"] = "p_value" in (columns or ())
    if as_json:
        from novelty_dask.results.formats import to_objects  # noqa: PLC0415 - Arrow takes long to import

        # With all neighbors: a program has no terminal whose width would limit the evidence.
        found = opened.top_table(n_rows, by=by, lists=True, redact=redact, **choice)
        chosen = found.select(choose_columns(columns, found.column_names))
        rows = [row for batch in chosen.to_batches() for row in to_objects(batch)]
        emit([in_json(top_document(rows, by, defanged=defang))])
    else:
        show(opened, n_rows, by, columns=columns, defanged=defang, redacted=redact, **choice)
    say_undiscovered(opened, choice["fdr"])
    say_dismissed(dismissed)


@main.command()
@options.sources
@options.against
@options.settings_options
@options.as_json
@options.debug
def plan(sources: tuple[str, ...], *, against: tuple[str, ...], as_json: bool, **flags: Any) -> None:
    """Estimate what scoring would take, from a sample of the sources."""
    with choose_listener() as listener:
        planned = novelty_dask.plan(
            sources, against=against, listener=listener, settings=options.read_settings(**flags)
        )
    emit([in_json(plan_document(planned))] if as_json else [str(planned)])


@main.command()
@options.new_run(default=DEMO_RUN, show_default=True, help="Where to store it.")
@click.option(
    "--n-rows", type=click.IntRange(2, 10**6), default=10_000, show_default=True, help="Lines to make."
)
@options.quiet
@options.debug
def demo(*, out: str, n_rows: int, quiet: bool) -> None:
    """Make a corpus with some novel URLs, and find them.

    The corpus is the file urls.txt beside the run. A second time, the demo opens its run.
    """
    if "://" in out:
        message = f"The demo stores its corpus beside its run, and {out!r} is no path; name a folder here."
        raise StoreError(message)
    urls, planted = novelty_dask.datasets.make_urls(n_rows)
    corpus = Path(out).with_name(DEMO_CORPUS)
    write_corpus(corpus, "".join(f"{url}\n" for url in urls).encode())
    run = _score([str(corpus)], out, quiet=quiet)
    # A position is a line, and the corpus has the URLs line by line.
    found = run.top(len(planted)).position.isin(planted).sum()
    show(run, TOP_ROWS)
    emit([f"{found} of the {len(planted)} planted URLs are among the {len(planted)} most novel."])
    if not quiet:
        say(f"Lines  {corpus}\nRun    {out}\nMore   novelty top {shell_quoted(out)} -n 50")


def _chosen(flags: dict[str, Any]) -> list[str]:
    """Return the names of the settings that are given."""
    # An option that may be repeated is an empty tuple where it is not given.
    return [name for name, value in flags.items() if value not in (None, ())]


def _answer(against: str, given: list[str], settings: "Settings", *, as_json: bool, quiet: bool) -> None:
    """Answer standard input line by line."""
    from novelty_dask.cli.answering import answer_input, make_answerer  # noqa: PLC0415 - Numba takes long

    answerer = make_answerer(against, given, settings.memory_limit, settings.since_time)
    if not quiet:
        say(f"Ready: each line is compared with {counted(answerer.n_rows, 'row')}.")
    answer_input(answerer, as_json=as_json)


def _score(
    sources: Sequence[str], out: str | None, *, quiet: bool, settings: "Settings | None" = None, **more: Any
) -> "Run":
    """Score sources; print the progress and a summary of their lines."""
    meta = click.get_current_context().meta
    meta[RESUMABLE] = meta[RUN] = out
    with choose_listener(quiet=quiet) as listener:
        run = novelty_dask.score(sources, out, listener=listener, settings=settings, **more)
    _say_totals(run, quiet=quiet)
    return run


def read_dismissed(path: str | None) -> "Dismissed | None":
    """Return what a file dismisses, if one is named."""
    if path is None:
        return None
    from novelty_dask.results.dismissed import Dismissed  # noqa: PLC0415 - Arrow takes long to import

    return Dismissed.read(path)


def say_dismissed(dismissed: "Dismissed | None") -> None:
    """Print how many rows were left out, if any could be."""
    if dismissed:
        say(f"{counted(dismissed.n_left_out, 'row')} left out, as --ignore lists them.")


def say_undiscovered(run: "Run", fdr: float | None) -> None:
    """Print why a false discovery rate chooses nothing in a run without a reference."""
    if fdr is not None and run.reference is None:
        say(UNDISCOVERED)


def show(
    run: "Run",
    n_rows: int,
    by: str = "novelty",
    *,
    columns: Sequence[str] | None = None,
    defanged: bool = False,
    redacted: bool = False,
    **choice: Any,
) -> None:
    """Print the most novel rows of a run by a column, or those that are chosen; say why there are none."""
    # For a terminal alone: a program gets URLs as they are.
    has_marks = is_terminal() and has_texts(run.manifest)
    rows = run.top(n_rows, by=by, lists=has_marks, **choice)
    marks = run.find_marks(rows) if has_marks else ()
    emit(novelty_table(rows, columns or by, marks, defanged=defanged, redacted=redacted))
    if rows.empty:
        say(UNCHOSEN if any(choice.values()) else undefined_line(run.manifest))


def has_texts(manifest: "Manifest") -> bool:
    """Return whether features of a run are parts of its lines, which can be marked."""
    return manifest.identity.matrix is None and not manifest.settings.features.startswith(VECTORIZER)


def _host(name: str) -> str:
    """Return the host of a URL of the web, nothing for other names."""
    found = re.match(r"https?://(?:[^/?#]*@)?([^/?#]+)", name, re.IGNORECASE)
    return found[1] if found else ""


def _free_name() -> str:
    """Return the name of a file that does not exist here, so that the command that is printed works."""
    names = chain(["rows.csv"], (f"rows-{number}.csv" for number in count(2)))
    return next(name for name in names if not os.path.lexists(name))


def finish(run: "Run", *, quiet: bool) -> None:
    """Print a summary of a run; exit with a code of its own if tasks were given up."""
    _say_totals(run, quiet=quiet)
    _exit_if_partial(run)


def _exit_if_partial(run: "Run") -> None:
    """Exit with a code of its own if tasks were given up."""
    if run.manifest.is_partial:
        say(failure_line(run.manifest.failures, run.url))
        click.get_current_context().exit(ExitCode.PARTIAL)


def _say_totals(run: "Run", *, quiet: bool) -> None:
    """Print a summary of the lines of a run; if quiet, only that lines are missing from it."""
    totals = run.manifest.totals
    assert totals
    summary = refusal_line(totals) if quiet else count_line(totals, run.manifest.settings.normal_form)
    if summary:
        say(summary)
    # A few URLs of any list end in a full stop or a comma.
    is_wrapped = totals.wrapped * MOST_PLAIN_LINES >= totals.lines
    if totals.wrapped and is_wrapped and not quiet and run.manifest.settings.features == "url":
        say(wrapped_line(totals))


def say_job(job: "Job", out: str) -> None:
    """Print which job of a run it is, and the commands that watch and end it."""
    now, shown = job.status(), shell_quoted(out)
    say(f"Job     {now.number} of {out}, {now.state}")
    say(f"Watch   novelty status {shown} --watch\nLog     novelty logs {shown} --follow")
    say(f"Cancel  novelty cancel {shown}")


def say(message: str) -> None:
    """Print lines to standard error."""
    # Line by line, as a line break is no printable character either.
    for line in message.split("\n"):
        click.echo(escape(line), err=True)
