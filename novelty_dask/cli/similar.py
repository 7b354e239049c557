"""Commands that find which rows of a run are alike."""

from collections.abc import Callable
from typing import Any

import click

import novelty_dask
from novelty_dask.cli import options
from novelty_dask.cli.commands import main
from novelty_dask.cli.documents import in_json
from novelty_dask.cli.failures import REPEATABLE
from novelty_dask.cli.listeners import choose_listener
from novelty_dask.cli.streams import close_output, emit
from novelty_dask.cli.terminal import Column, defang, number, table
from novelty_dask.errors import SettingsError
from novelty_dask.kernels.text.secrets import redact as hide_secrets
from novelty_dask.private_files import is_stream


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
    _note_tiles(out, keywords["tiles"])
    try:
        with choose_listener(quiet=quiet or is_stream(out)) as listener:
            novelty_dask.pairs(run, out, listener=listener, **keywords)
    except BrokenPipeError:
        close_output()


@main.command()
@alike_options
@click.option("-o", "--out", metavar="FILE", help="A file as of pairs; - is standard output.")
@click.option(
    "-n", "n_groups", type=click.IntRange(min=1), default=20, show_default=True, help="Groups to print."
)
@click.option("--members", is_flag=True, help="Write the rows of all groups, with -o.")
@click.option("--defang", is_flag=True, help="Print URLs so that no program makes links of them.")
@options.as_json
def groups(
    run: str, *, out: str | None, n_groups: int, members: bool, as_json: bool, quiet: bool, **keywords: Any
) -> None:
    """Print the groups of a run, the largest first: rows that pairs at least so similar connect.

    Columns are group, size, pairs, least_similarity (the highest threshold at which the group would
    hold together), and row and url of its representative, which is in most of its pairs. With -o all
    are written to a file; with --members the rows of all groups: group, row and url.
    """
    if members and out is None:
        message = "--members needs a file: name it with -o."
        raise SettingsError(message)
    is_defanged = keywords.pop("defang")
    options.check_printed(out, defang=is_defanged, json=as_json)
    _note_tiles(out, keywords["tiles"])
    # Rows on a screen are not to be mixed with progress.
    is_quiet = quiet or (out is not None and is_stream(out))
    try:
        with choose_listener(quiet=is_quiet) as listener:
            found = novelty_dask.groups(run, out, members=members, listener=listener, **keywords)
    except BrokenPipeError:
        close_output()
        return
    if found is None:
        return
    # In as few digits as identify a number in single precision.
    shown = found.head(n_groups).astype({"least_similarity": str}).to_dict("records")
    for row in shown:
        row["least_similarity"] = float(row["least_similarity"])
        row["url"] = hide_secrets(row["url"]) if keywords["redact"] else row["url"]
        row["url"] = "".join(defang(row["url"])) if is_defanged else row["url"]
    if as_json:
        emit([in_json({"at_least": keywords["at_least"], "groups": len(found), "rows": shown})])
        return
    columns = [Column(name, is_text=name == "url") for name in found.columns]
    emit(table(columns, [[_cell(name, row[name]) for name in found.columns] for row in shown]))


def _note_tiles(out: str | None, tiles: str | None) -> None:
    """Note whether what was found is kept if the command is stopped."""
    is_kept = tiles is not None or (out is not None and not is_stream(out))
    click.get_current_context().meta[REPEATABLE] = is_kept


def _cell(name: str, value: Any) -> str:
    """Return a value of a group as text."""
    return number(value) if name == "least_similarity" else str(value)
