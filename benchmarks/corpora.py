"""The corpora that benchmarks run on: a file, the real corpus if its folder is named, else a made one."""

import lzma
import os
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import click

from novelty_dask.datasets import make_urls

FOLDER = "NOVELTY_CORPORA"
FILE = "urls_1m.txt.xz"
MADE = "made"

corpus_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--corpus",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help=f"URLs in random order, plain or .xz. [default: {FILE} in ${FOLDER}, else a made corpus]",
)
"""The option of every benchmark that needs a corpus."""


def find_corpus(corpus: Path | None = None) -> Path | None:
    """Return the file of the real corpus, or None."""
    folder = os.environ.get(FOLDER)
    return corpus or (Path(folder, FILE) if folder else None)


def name_of(corpus: Path | None) -> str:
    """Return the name under which results keep the corpus they were measured on."""
    found = find_corpus(corpus)
    return found.name if found else MADE


def read_corpus(rows: int, corpus: Path | None = None) -> list[str]:
    """Return the first lines of the real corpus, which are a random sample of it, or as many made URLs.

    Raises
    ------
    SystemExit
        The corpus has fewer lines.
    """
    found = find_corpus(corpus)
    if found is None:
        click.echo(f"{FOLDER} is not set: a made corpus is used, on which figures differ", err=True)
        return make_urls(rows)[0]
    with open_corpus(found) as lines:
        urls = [line.rstrip("\n") for line in islice(lines, rows)]
    if len(urls) < rows:
        raise SystemExit(f"{found.name} has {len(urls):,} lines; ask for no more --rows.")
    return urls


def open_corpus(corpus: Path) -> TextIO:
    """Return a corpus, plain or compressed, open for reading."""
    if corpus.suffix == ".xz":
        return lzma.open(corpus, "rt", encoding="utf-8")
    return corpus.open(encoding="utf-8")


def write_corpus(path: Path, rows: int, corpus: Path | None = None) -> None:
    """Write the first lines of the corpus to a file."""
    path.write_text("".join(f"{url}\n" for url in read_corpus(rows, corpus)), encoding="utf-8")
