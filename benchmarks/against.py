"""New rows against a reference: what they cost beside it, stage by stage.

    python benchmarks/against.py --known 300000 --new 3000 --output against.json

The first lines of the corpus are scored as the reference, and those that follow them against it, each by
`novelty score` in one fresh process, so that nothing but the work is counted.  The *share* is the
core-seconds of the stages of the new run over those of the reference; start-up is in neither.
"""

import sys
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

import click
from corpora import corpus_option, name_of, read_corpus
from results import Entry, add_entries
from whole_run import observe

import novelty_dask

KEY = ("known", "new", "features")
COUNTS = ("multiply_adds", "slots", "finished", "adjacent")


@click.command(help=__doc__)
@click.option("--known", default=20_000, help="Lines of the reference.")
@click.option("--new", multiple=True, default=[200], help="Lines to score against it; repeat for more.")
@click.option("--features", default="url", help="Features to compare by.")
@click.option("--memory-limit", default="2 GB", help="What the process may use.")
@corpus_option
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to add results to.")
def main(**options: Any) -> None:
    """Score a reference, and lists of some sizes against it."""
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder, "known.zarr")
        lines = iter(read_corpus(options["known"] + sum(options["new"]), options["corpus"]))
        flags = ["--memory-limit", options["memory_limit"], "--workers", "0", "--quiet"]
        score(lines, options["known"], reference, [*flags, "--features", options["features"]])
        for number, new in enumerate(options["new"]):
            run = Path(folder, f"{number}.zarr")
            whole = score(lines, new, run, [*flags, "--against", str(reference)])
            entry = {"known": options["known"], "new": new, "features": options["features"]}
            entry |= {"whole_core_seconds": whole, **compare(reference, run)}
            show(entry)
            add_entries(options["output"], name_of(options["corpus"]), [entry], KEY)


def score(lines: Any, n: int, run: Path, flags: list[str]) -> float:
    """Score the next lines; return the core-seconds of the whole command."""
    source = run.with_suffix(".txt")
    source.write_text("".join(f"{line}\n" for line in islice(lines, n)), encoding="utf-8")
    command = [sys.executable, "-m", "novelty_dask", "score", str(source), "-o", str(run), *flags]
    return observe(command).core_seconds


def compare(reference: Path, run: Path) -> Entry:
    """Return the core-seconds of the stages of two runs, and the counts of their searches."""
    known, new = (novelty_dask.open(path).manifest.stages for path in (reference, run))
    seconds = {name: stage["core_seconds"] for name, stage in new.items()}
    total = sum(stage["core_seconds"] for stage in known.values())
    return {
        "stages": seconds,
        "known_core_seconds": total,
        "core_seconds": sum(seconds.values()),
        "share": sum(seconds.values()) / total,
        "counts": {name: new["compare"][name] for name in COUNTS},
        "known_counts": {name: known["compare"][name] for name in COUNTS},
    }


def show(entry: Entry) -> None:
    """Print what a list took."""
    for name, seconds in entry["stages"].items():
        click.echo(f"{name:<12}{seconds:8.2f} core-s")
    click.echo(
        f"{entry['new']:,} new against {entry['known']:,} known: {entry['core_seconds']:.1f} core-s in all "
        f"stages, {entry['share']:.1%} of the {entry['known_core_seconds']:.1f} of the reference; "
        f"the whole command {entry['whole_core_seconds']:.1f} core-s"
    )


if __name__ == "__main__":
    main()
