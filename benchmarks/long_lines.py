"""Whole runs of near-identical lines of 8 kB, of short lines, and of both in one corpus: CPU time and memory.

    python benchmarks/long_lines.py --long 20000 --short 100000 --output long_lines.json

Bounds rule out none of the pairs of long lines that differ in a few characters.  They are compared by
their n-grams, as the features of URLs see one random token in each.  The *ratio* is the CPU time of the run
of both over that of the two runs alone.  Of each stage, the peak of a process stands beside its
projection.
"""

import string
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from corpora import corpus_option, name_of, read_corpus
from results import Entry, add_entries
from whole_run import observe

import novelty_dask

LENGTH, CHANGES = 7_993, 5
ALPHABET = string.ascii_lowercase + string.digits
PREFIX = "https://www.heavy.example/path?q="


@click.command(help=__doc__)
@click.option("--long", "n_long", default=2_000, help="Lines of 8 kB.")
@click.option("--short", "n_short", default=10_000, help="Lines of the corpus.")
@click.option("--workers", default=2, help="Worker processes.")
@corpus_option
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to add results to.")
def main(*, n_long: int, n_short: int, workers: int, corpus: Path | None, output: Path | None) -> None:
    """Run the three, and compare them."""
    short, long = read_corpus(n_short, corpus), list(make_long_lines(n_long))
    entries = []
    for name, lines in {"short": short, "long": long, "both": [*short, *long]}.items():
        entries.append(measure(name, lines, workers))
        show(entries[-1])
    of_short, of_long, of_both = (entry["core_seconds"] for entry in entries)
    click.echo(f"both over the two alone: {of_both / (of_short + of_long):.2f}")
    add_entries(output, name_of(corpus), entries, ("name", "lines"))


def make_long_lines(n_lines: int) -> Iterator[str]:
    """Yield lines that differ in a few characters."""
    rng = np.random.default_rng(1)
    base = rng.choice(list(ALPHABET), LENGTH - len(PREFIX))
    for _ in range(n_lines):
        line = base.copy()
        line[rng.choice(base.size, CHANGES, replace=False)] = rng.choice(list(ALPHABET), CHANGES)
        yield PREFIX + "".join(line)


def measure(name: str, lines: list[str], workers: int) -> Entry:
    """Score some lines in fresh processes."""
    with tempfile.TemporaryDirectory() as folder:
        source, run = Path(folder, "urls.txt"), Path(folder, "run.zarr")
        source.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        command = ["score", str(source), "-o", str(run), "--workers", str(workers), "--quiet"]
        command += ["--features", "ngrams"]
        observed = observe([sys.executable, "-m", "novelty_dask", *command])
        stages: dict[str, Any] = novelty_dask.open(run).manifest.stages
    return {
        "name": name,
        "lines": len(lines),
        "seconds": observed.seconds,
        "core_seconds": observed.core_seconds,
        "stages": stages,
    }


def show(entry: Entry) -> None:
    """Print a table of one run."""
    click.echo(
        f"\n{entry['name']}: {entry['lines']:,} lines, {entry['seconds']:.1f} s, "
        f"{entry['core_seconds']:.1f} core-s"
    )
    for name, stage in entry["stages"].items():
        click.echo(
            f"{name:10}{stage['tasks']:5} tasks{stage['core_seconds']:9.1f} core-s, peak "
            f"{stage['peak_bytes'] / 1e6:6.0f} of {stage['projected_bytes'] / 1e6:6.0f} MB"
        )


if __name__ == "__main__":
    main()
