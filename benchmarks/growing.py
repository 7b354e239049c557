"""What it costs to add new rows to a run, beside scoring all rows together.

    python benchmarks/growing.py --known 200000 --new 2000 --output growing.json

The first lines of the corpus are scored, those that follow are added to that run, and all are scored
together, each by one command in one fresh process.  The *share* is that of the steps of adding to sums.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from against import COUNTS
from corpora import corpus_option, name_of, read_corpus
from results import Entry, add_entries
from whole_run import observe

import novelty_dask

KEY = ("known", "new")


@click.command(help=__doc__)
@click.option("--known", default=20_000, help="Lines of the run.")
@click.option("--new", default=200, help="Lines to add to it.")
@click.option("--memory-limit", default="2 GB", help="What the process may use.")
@corpus_option
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to add results to.")
def main(*, known: int, new: int, memory_limit: str, corpus: Path | None, output: Path | None) -> None:
    """Add lines to a run, and score all of them together."""
    with tempfile.TemporaryDirectory() as folder:
        lines = [f"{line}\n" for line in read_corpus(known + new, corpus)]
        first, more = Path(folder, "known.txt"), Path(folder, "new.txt")
        first.write_text("".join(lines[:known]), encoding="utf-8")
        more.write_text("".join(lines[known:]), encoding="utf-8")
        run, together = Path(folder, "run.zarr"), Path(folder, "together.zarr")
        flags = ["--memory-limit", memory_limit, "--workers", "0", "--quiet"]
        call("score", str(first), "-o", str(run), *flags)
        entry: Entry = {"known": known, "new": new}
        entry["whole_core_seconds"] = call("add", str(more), "--to", str(run), *flags)
        entry["whole_core_seconds_together"] = call(
            "score", str(first), str(more), "-o", str(together), *flags
        )
        entry |= {"counts": count(run), "counts_together": count(together)}
        entry["share"] = entry["counts"]["multiply_adds"] / entry["counts_together"]["multiply_adds"]
        click.echo(
            f"{new:,} lines added to {known:,}: {entry['share']:.1%} of the steps of adding of all together; "
            f"the whole command {entry['whole_core_seconds']:.1f} core-s instead of "
            f"{entry['whole_core_seconds_together']:.1f}"
        )
        add_entries(output, name_of(corpus), [entry], KEY)


def call(*arguments: str) -> float:
    """Run a command of the package; return its core-seconds."""
    return observe([sys.executable, "-m", "novelty_dask", *arguments]).core_seconds


def count(run: Path) -> dict[str, Any]:
    """Return the counts of the searches of a run: where rows are compared, and where they are merged."""
    stages = novelty_dask.open(run).manifest.stages
    return {name: sum(stages[stage].get(name, 0) for stage in ("compare", "merge")) for name in COUNTS}


if __name__ == "__main__":
    main()
