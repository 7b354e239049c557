"""The command that says why a URL is as novel as it is."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
from rich.cells import cell_len

import novelty_dask
from novelty_dask.cli import options
from novelty_dask.cli.commands import main
from novelty_dask.cli.documents import explanation_document, in_json
from novelty_dask.cli.marked import fit, mark
from novelty_dask.cli.streams import emit, is_terminal
from novelty_dask.cli.terminal import defang

if TYPE_CHECKING:
    from novelty_dask.results.explanation_text import Passage


@main.command()
@options.run
@click.argument("url")
@click.option(
    "-n",
    "n_features",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Features to print of those that add most.",
)
@options.by
@click.option("--defang", is_flag=True, help="Print URLs so that no program makes links of them.")
@click.option(
    "--redact", is_flag=True, help="Print … for user names, passwords, and values such as of token."
)
@options.as_json
@options.debug
def explain(run: str, url: str, *, by: str, as_json: bool, **flags: Any) -> None:
    """Print what makes a URL as novel as it is.

    The URL is one that the run holds, or a new one, which is compared with all rows of the run, as
    --against does it. No URL is visited.

    Printed are its columns; what no other row has, marked in the URL; each neighbor below the URL, what
    both share marked, and the n-grams that carry their similarity; and the features whose contributions
    add up to the column of --by. A terminal shows marks in red and underlined, other outputs have carets
    in the next line.
    """
    explanation = novelty_dask.open(run).explain(url, by=by)
    shown = explanation.redacted() if flags["redact"] else explanation
    if as_json:
        emit([in_json(explanation_document(shown, defanged=flags["defang"]))])
    else:
        passages = shown.passages(flags["n_features"])
        emit(line for passage in passages for line in _lines(passage, defanged=flags["defang"]))


def _lines(passage: "Passage", *, defanged: bool) -> Iterator[str]:
    """Yield a passage as lines of a terminal, or of a pipe, which shows no color."""
    cell = mark(passage.text, passage.parts, defang(passage.text) if defanged and passage.is_url else ())
    if is_terminal():
        yield f"{passage.label}{fit(cell, cell_len(cell.text))}".rstrip()
        return
    yield f"{passage.label}{cell.text}".rstrip()
    if any(cell.marks):
        carets = "".join("^" if is_marked else " " for is_marked in cell.marks)
        yield f"{' ' * len(passage.label)}{carets}".rstrip()
