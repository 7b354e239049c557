"""How well the columns of runs find what is new: labelled sets, through the commands that people use.

    python benchmarks/quality_by_commands.py --rows 20000 --queries 1500 --output quality_by_commands.json

Lists go through `novelty score REFERENCE` and `novelty score LIST --against RUN`, and dated URLs through
`novelty score FEED --time-column`, each with the settings that are the default.  The measures and the sets
are those of `quality.py`; queries that are one row of a run count once, as the first of them does.  Of dated
URLs the rows of the first fifth are left out, as little was before them.  A row without a value is last.
"""

import csv
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from quality import name_of_corpora
from quality_measures import Scores, measure
from quality_pool import Sizes, is_first
from quality_sets import BATCHES, FIRST_BATCH, SETS, LabelledSet, read_dated
from quality_urls import style_strata
from results import Entry, add_entries

from novelty_dask.kernels.choices import VIEWS

KEY = ("set", "rows", "queries", "column")
DATED = "dated"
MEASURES = {
    "average_precision": "AP",
    "auc": "AUC",
    "auc_within_strata": "in style",
    "precision_at_100": "P@100",
}


@click.command(help=__doc__)
@click.option(
    "--set", "sets", multiple=True, type=click.Choice([*SETS]), default=[*SETS], help="Repeat for several."
)
@click.option("--rows", default=20_000, help="Rows of a reference; of the dated URLs, all rows.")
@click.option("--queries", default=1_500, help="Queries of each kind; of the dated URLs, all rows.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to add results to.")
def main(sets: Sequence[str], rows: int, queries: int, output: Path | None) -> None:
    """Measure the columns of runs on all sets."""
    sizes = Sizes(rows, queries)
    for name in sets:
        with tempfile.TemporaryDirectory() as folder:
            found = measure_in_time(sizes, Path(folder)) if name == DATED else None
            entries = [*(found or measure_against(SETS[name](sizes), Path(folder)))]
        entries = [{**sizes._asdict(), **entry} for entry in entries]
        add_entries(output, name_of_corpora(), entries, KEY)
        show(entries)


def measure_against(labelled: LabelledSet, folder: Path) -> Iterator[Entry]:
    """Yield the measures of each column of queries that are scored against a reference."""
    [part], [(truth, labels)] = labelled.parts, labelled.truths.items()
    run_command("score", write(folder / "known.txt", part.reference), "-o", folder / "known.zarr")
    command = ("score", write(folder / "new.txt", part.queries), "--against", folder / "known.zarr")
    run_command(*command, "-o", folder / "new.zarr")
    rows, columns = read_columns(folder / "new.zarr", first_line=1)
    yield from measure_columns(truth, labels[rows], part.queries, rows, columns)


def measure_in_time(sizes: Sizes, folder: Path) -> Iterator[Entry]:
    """Yield the measures of each column of URLs that are compared with those that were seen before them."""
    times, pool = read_dated(sizes)
    lines = [f"{time}\t{url}" for time, url in zip(times, pool.urls, strict=True)]
    feed = write(folder / "feed.tsv", ["first_seen\turl", *lines])
    run_command("score", feed, "--column", "url", "--time-column", "first_seen", "-o", folder / "feed.zarr")
    rows, columns = read_columns(folder / "feed.zarr", first_line=2)
    late = rows >= len(pool.urls) * FIRST_BATCH // BATCHES
    columns = {name: scores[late] for name, scores in columns.items()}
    for truth, values in (("first of domain", pool.domains), ("first of template", pool.patterns)):
        labels = is_first(values)[rows[late]]
        yield from measure_columns(truth, labels, pool.urls, rows[late], columns)


def measure_columns(
    truth: str,
    labels: NDArray[np.bool_],
    lines: Sequence[str],
    rows: NDArray[np.int64],
    columns: dict[str, Scores],
) -> Iterator[Entry]:
    """Yield the measures of each column of rows, which are some lines."""
    strata = style_strata([lines[row] for row in rows])
    for name, scores in columns.items():
        yield {"set": truth, "column": name, **measure(labels, scores, strata)}


def write(path: Path, lines: Sequence[str]) -> Path:
    """Write lines to a file; return its path."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def run_command(*arguments: object) -> None:
    """Run a command of novelty to its end."""
    command = [sys.executable, "-m", "novelty_dask", *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)


def read_columns(run: Path, first_line: int) -> tuple[NDArray[np.int64], dict[str, Scores]]:
    """Return the number of the first line of each row of a run, and the columns by which rows are ordered.

    The first line that is no header has the number 0.
    """
    out = run.with_suffix(".csv")
    run_command("export", run, "-o", out, "--columns", ",".join(["line", *VIEWS]))
    with out.open(encoding="utf-8", newline="") as file:
        records = [*csv.DictReader(file)]
    rows = np.array([int(record["line"]) - first_line for record in records])
    columns: dict[str, Any] = {name: [record[name] or "0" for record in records] for name in VIEWS}
    return rows, {name: np.array(values, np.float64) for name, values in columns.items()}


def show(entries: Sequence[Entry]) -> None:
    """Print all measures, set by set."""
    for entry in entries:
        if entry["column"] == VIEWS[0]:
            click.echo(f"\n{entry['set']}: {entry['novel']:,} novel and {entry['known']:,} known rows")
            click.echo("".join([" " * 20, *(f"{title:>10}" for title in MEASURES.values())]))
        click.echo("".join([f"{entry['column']:20}", *(f"{entry[name]:10.3f}" for name in MEASURES)]))


if __name__ == "__main__":
    main()
