"""Answers line by line: how long each line of a stream waits, and what it takes.

    python benchmarks/stream.py --run known.zarr --known 200 --new 100

The run is made of the corpus if it is not there.  Lines that it holds and lines that it does not are answered
by `novelty score - --against RUN --stream`, one after the other.  A line waits from the moment at which it is
written until its answer is read; the CPU seconds are those of the process that answers, per line.
"""

import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil
from corpora import corpus_option, name_of, read_corpus
from results import Entry, add_entries

import novelty_dask
from novelty_dask.datasets import make_urls

KEY = ("rows", "known", "new")
COMMAND = [sys.executable, "-m", "novelty_dask"]


@click.command(help=__doc__)
@click.option("--run", type=click.Path(path_type=Path), help="Run to compare with; by default a new one.")
@click.option("--rows", default=20_000, help="Lines of a new run.")
@click.option("--known", default=200, help="Lines that the run holds.")
@click.option("--new", default=100, help="Lines that it does not hold.")
@corpus_option
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to add results to.")
def main(known: int, new: int, **options: Any) -> None:
    """Answer some lines, and print what they took."""
    with tempfile.TemporaryDirectory() as folder:
        run = options["run"] or make_run(Path(folder), options["rows"], options["corpus"])
        opened = novelty_dask.open(run)
        stored = np.asarray(opened.urls[:: max(len(opened) // known, 1)]).tolist()[:known]
        lines = [*stored, *(f"https://new.example/{url}" for url in make_urls(new, seed=1)[0])]
        entry = {"rows": len(opened), "known": known, "new": new, **answer(run, lines)}
    click.echo(
        f"{len(lines):,} lines against {entry['rows']:,} rows: ready after {entry['ready_seconds']:.1f} s; a "
        f"line waits {entry['median'] * 1e3:.0f} ms (median), {entry['longest'] * 1e3:.0f} ms at most, and "
        f"takes {entry['core_seconds'] * 1e3:.0f} ms of CPU; {entry['resident_bytes'] / 1e6:,.0f} MB resident"
    )
    add_entries(options["output"], name_of(options["corpus"]), [entry], KEY)


def make_run(folder: Path, rows: int, corpus: Path | None) -> Path:
    """Score the first lines of a corpus."""
    source, run = folder / "known.txt", folder / "known.zarr"
    lines = (f"{line}\n" for line in islice(read_corpus(rows, corpus), rows))
    source.write_text("".join(lines), encoding="utf-8")
    subprocess.run([*COMMAND, "score", str(source), "-o", str(run), "--quiet"], check=True)
    return run


def answer(run: Path, lines: list[str]) -> Entry:
    """Return how long lines wait, and what the process that answers takes."""
    command = [*COMMAND, "score", "-", "--against", str(run), "--stream"]
    pipe, began, waits = subprocess.PIPE, time.monotonic(), []
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stderr.readline()
        ready, measured = time.monotonic() - began, psutil.Process(process.pid)
        before = measured.cpu_times()
        for line in lines:
            began = time.perf_counter()
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            process.stdout.readline()
            waits.append(time.perf_counter() - began)
        after, resident = measured.cpu_times(), measured.memory_info().rss
        process.stdin.close()
    return {
        "ready_seconds": ready,
        "median": float(np.median(waits)),
        "longest": max(waits),
        "core_seconds": (after.user + after.system - before.user - before.system) / len(lines),
        "resident_bytes": resident,
    }


if __name__ == "__main__":
    main()
