"""Cost of normal forms, beside that of counting n-grams, and the rows that are left.

    python benchmarks/normal_forms.py --rows 20000 --output normal_forms.json

Each form is computed of the same URLs, from a list of texts to another, as it is done before n-grams are
counted.  They take turns, so that what else the machine does strikes all of them, and the median of rounds
counts, in CPU time of all threads, without imports and compiling.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import get_args

import click
from corpora import corpus_option, name_of, read_corpus
from results import Entry, add_entries

from novelty_dask.kernels.choices import NormalForm
from novelty_dask.kernels.text.ngrams import count_ngrams
from novelty_dask.kernels.text.normal_forms import normalize_texts

COUNTING = "counting of 3-grams"
N_FEATURES = 2**20


@click.command(help=__doc__)
@click.option("--rows", default=20_000, help="URLs to normalize.")
@click.option("--rounds", default=5, help="How often each takes its turn.")
@corpus_option
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to add results to.")
def main(*, rows: int, rounds: int, corpus: Path | None, output: Path | None) -> None:
    """Measure all forms."""
    urls = read_corpus(rows, corpus)
    work: dict[str, Callable[[], object]] = {
        form: partial(normalize_texts, urls, form) for form in get_args(NormalForm)
    }
    work[COUNTING] = partial(count_ngrams, urls, (3, 3), N_FEATURES)
    seconds = measure(work, rounds)
    entries: list[Entry] = [
        {"name": name, "rows": rows, "us_per_row": each / rows * 1e6, "forms": count_forms(urls, name)}
        for name, each in seconds.items()
    ]
    show(entries)
    add_entries(output, name_of(corpus), entries, ("name", "rows"))


def measure(work: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median CPU seconds of each piece of work, done in turns after a first time."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(rounds + 1):
        for name, do in work.items():
            began = time.process_time()
            do()
            if turn:
                seconds[name].append(time.process_time() - began)
    return {name: median(each) for name, each in seconds.items()}


def count_forms(urls: list[str], name: str) -> int | None:
    """Return how many different forms URLs have; None where no form is measured."""
    return next(
        (len({*normalize_texts(urls, form)}) for form in get_args(NormalForm) if form == name),
        None,
    )


def show(entries: list[Entry]) -> None:
    """Print a table."""
    click.echo(f"{'':24}{'us a URL':>10}{'rows':>10}")
    for entry in entries:
        rows = "" if entry["forms"] is None else f"{entry['forms']:,}"
        click.echo(f"{entry['name']:24}{entry['us_per_row']:10.2f}{rows:>10}")


if __name__ == "__main__":
    main()
