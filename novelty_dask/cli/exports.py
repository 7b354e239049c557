"""Commands that give a run to people and other programs: its rows, a page, its sites and its templates."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

import novelty_dask
from novelty_dask.cli import options
from novelty_dask.cli.commands import main, read_dismissed, say, say_dismissed, say_undiscovered
from novelty_dask.cli.documents import in_json
from novelty_dask.cli.listeners import choose_listener
from novelty_dask.cli.streams import close_output, emit
from novelty_dask.cli.terminal import Column, defang, number, table
from novelty_dask.kernels.text.secrets import redact as hide_secrets
from novelty_dask.private_files import is_stream

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN_ROWS = 20
NOVELTIES = ("mean_novelty", "top_novelty", "share_above")
TEXTS = ("site", "template", "url")


@main.command()
@options.run
@click.option(
    "-o",
    "--out",
    metavar="FILE",
    required=True,
    help="A .csv, .tsv, .jsonl (also .gz, .zst), .parquet, .arrow, .feather or .npz file, or - for "
    "standard output.",
)
@click.option(
    "--format",
    type=click.Choice(["csv", "tsv", "jsonl", "parquet", "arrow", "npz"]),
    help="Format; by default what FILE ends with, and CSV for -.",
)
@options.order
@options.selection_options
@click.option(
    "--force", "overwrite", is_flag=True, help="Replace FILE if it exists; its owner and mode stay."
)
@options.columns
@click.option(
    "--every-line",
    is_flag=True,
    help="Write each record of the sources, duplicates and rejected ones too, with its row's columns.",
)
@click.option("--raw", is_flag=True, help="CSV and TSV: write URLs as they are, for programs.")
@click.option(
    "--mark",
    nargs=2,
    metavar="BEFORE BEHIND",
    help="Add a column, marked_url, with these around what none of the neighbors has.",
)
@options.debug
def export(run: str, *, out: str, **keywords: Any) -> None:
    """Write the rows of a run to a file, or with -o - to standard output.

    Columns are position (line of the first occurrence, from 0), url, count, spellings (URLs of
    one normal form), novelty, nearest_url and nearest_similarity; in Parquet, Arrow and JSON lines
    also neighbor_urls and neighbor_similarities; then novelty_nearest, novelty_kth, uncovered and lof;
    with --mark also marked_url, which takes about two milliseconds for each row. An npz file holds
    arrays in the order of the run.

    With --every-line the sources, which must be as they were, are read once more. Position, url, source,
    line and what is kept are then those of each record; reason says why it was rejected. It can't be
    combined with --order, --min-novelty, --per-site, --per-template, --least, --ignore and npz.

    In CSV and TSV an apostrophe precedes text that a spreadsheet would take for a formula; --raw leaves
    it out.
    """
    keywords["ignore"] = dismissed = read_dismissed(keywords["ignore"])
    # Of a file alone: rows on a screen are not to be mixed with progress.
    is_quiet = not keywords["every_line"] or is_stream(out)
    try:
        with choose_listener(quiet=is_quiet, brief=True) as listener:
            novelty_dask.export(run, out, listener=listener, **keywords)
    except BrokenPipeError:
        close_output()
    say_dismissed(dismissed)
    if keywords["fdr"] is not None:
        say_undiscovered(novelty_dask.open(run), keywords["fdr"])


@main.command()
@options.run
@click.option(
    "-o",
    "--out",
    metavar="FILE",
    default="report.html",
    show_default=True,
    help="A file, or - for standard output.",
)
@click.option(
    "--rows",
    type=click.IntRange(0, 2_000),
    default=100,
    show_default=True,
    help="Rows to show of the most novel ones.",
)
@click.option(
    "--groups",
    type=float,
    metavar="S",
    help="Show groups of rows that pairs at least so similar connect, such as 0.8; may take long.",
)
@click.option("--links", is_flag=True, help="Make links of URLs with http and https.")
@click.option("--redact", is_flag=True, help="Show … for user names, passwords, and values such as of token.")
@click.option(
    "--force", "overwrite", is_flag=True, help="Replace FILE if it exists; its owner and mode stay."
)
@options.debug
def report(run: str, *, out: str, **keywords: Any) -> None:
    """Write a page on a run, in one file of HTML that loads nothing.

    It says what stands out, and shows the distribution of novelty, the most novel rows with their
    neighbors, sites, templates, rejected lines, how the run was made and what it took; with a reference
    what is new, with times when rows were first seen, with --groups which rows are alike. URLs are
    written so that no program makes links of them, as http[://]a[.]example; --links makes links.
    """
    try:
        with choose_listener(quiet=is_stream(out) or keywords["groups"] is None) as listener:
            novelty_dask.open(run).report(out, listener=listener, **keywords)
    except BrokenPipeError:
        close_output()
    if not is_stream(out):
        say(f"The page is {out}.")


def summary_options(*columns: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what adds the options of a summary that can be ordered by some columns, the default first."""
    added = (
        options.run,
        click.option(
            "-n", "n_rows", type=click.IntRange(min=1), help="How many. [default: 20; with --out, all]"
        ),
        click.option(
            "--by",
            type=click.Choice(columns),
            default=columns[0],
            show_default=True,
            help="Column whose highest values come first.",
        ),
        click.option(
            "--above",
            type=float,
            default=0.5,
            show_default=True,
            metavar="X",
            help="Novelty from which on rows count for share_above.",
        ),
        click.option("-o", "--out", metavar="FILE", help="A file as of exports; - is standard output."),
        click.option("--force", is_flag=True, help="Replace FILE if it exists; its owner and mode stay."),
        click.option("--defang", is_flag=True, help="Print URLs so that no program makes links of them."),
        click.option(
            "--redact", is_flag=True, help="Print … for user names, passwords, and values such as of token."
        ),
        options.as_json,
        options.debug,
    )

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(added):
            command = option(command)
        return command

    return add


@main.command()
@summary_options("top_novelty", "mean_novelty", "share_above", "rows", "count", "templates")
def sites(run: str, **flags: Any) -> None:
    """Print the sites of a run, those with the most novel row first.

    A site is a registered domain by the public suffix list. Columns are site, rows, count (their
    lines), mean_novelty, top_novelty, share_above (share of the rows with a novelty of --above or
    more) and templates. A pipe receives them separated by TAB.
    """
    _summarize("site", run, **flags)


@main.command()
@summary_options("rows", "count", "top_novelty", "mean_novelty", "share_above")
def templates(run: str, **flags: Any) -> None:
    """Print the templates of a run, those with the most rows first.

    A template is a page without its numbers and random tokens, for which {digits}, {hex}, {uuid}
    and {mixed} stand. Columns are template, rows, count (their lines), mean_novelty, top_novelty,
    share_above (share of the rows with a novelty of --above or more) and url, the first of its
    rows. A pipe receives them separated by TAB.
    """
    _summarize("template", run, **flags)


def _summarize(
    group: str, run: str, *, n_rows: int | None, by: str, above: float, out: str | None, **flags: Any
) -> None:
    """Print the groups of a run, or write them to a file."""
    options.check_printed(out, defang=flags["defang"], json=flags["as_json"])
    opened = novelty_dask.open(run)
    if out is not None:
        from novelty_dask.results.export import write_summary  # noqa: PLC0415 - Arrow takes long to import

        # All of them, where a person need not look at each.
        rows = opened.summary_table(group, n_rows, by=by, above=above)
        try:
            write_summary(opened, rows, out, overwrite=flags["force"], redact=flags["redact"])
        except BrokenPipeError:
            close_output()
        return
    rows = opened.summary_table(group, n_rows or SHOWN_ROWS, by=by, above=above)
    shown = _shown(rows, redact=flags["redact"], defanged=flags["defang"])
    if flags["as_json"]:
        emit([in_json({"by": by, "above": above, "rows": shown})])
    else:
        columns = [Column(name, is_text=name in TEXTS) for name in rows.column_names]
        emit(table(columns, [[_cell(name, row[name]) for name in rows.column_names] for row in shown]))


def _shown(rows: "pa.Table", *, redact: bool, defanged: bool) -> list[dict[str, Any]]:
    """Return groups as they are printed."""
    # A site has no user, but may be taken for a link.
    shown: list[dict[str, Any]] = rows.to_pylist()
    for row in shown:
        for name in TEXTS:
            if name in row and redact:
                row[name] = hide_secrets(row[name])
            if name in row and defanged:
                row[name] = "".join(defang(row[name]))
    return shown


def _cell(name: str, value: Any) -> str:
    """Return a value as text."""
    return number(value) if name in NOVELTIES else str(value)
