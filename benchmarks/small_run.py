"""A small run from a cold shell to printed scores: CPU seconds of its parts, each time in a fresh process.

    python benchmarks/small_run.py --rows 10000 --repeats 7 --output small_run.json

Whole commands are measured as they are, and once more with the clock read at each import and stage
(`dissect`); medians count.  One run finds no compiled code, as `NUMBA_CACHE_DIR` is an empty folder.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import click
from corpora import corpus_option, name_of, write_corpus
from results import Entry, add_entries

LEAST_SECONDS = 0.02
"""CPU time from which an import is named in the table."""
DISSECT = Path(__file__).with_name("dissect.py")
NOVELTY = [sys.executable, "-m", "novelty_dask"]


@click.command(help=__doc__)
@click.option("--rows", default=10_000, help="Lines to score.")
@click.option("--repeats", default=7, help="Processes for each figure.")
@corpus_option
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to add results to.")
def main(*, rows: int, repeats: int, corpus: Path | None, output: Path | None) -> None:
    """Measure commands and parts, and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        source, run, cache = Path(folder, "urls.txt"), Path(folder, "run.zarr"), Path(folder, "cache")
        write_corpus(source, rows, corpus)
        score, top = ["score", str(source), "--quiet"], ["top", str(run)]
        compiling = measure([*NOVELTY, *score], {"NUMBA_CACHE_DIR": str(cache)})
        measure([*NOVELTY, *score, "--out", str(run)])
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "novelty score FILE": [*NOVELTY, *score],
            "novelty top RUN": [*NOVELTY, *top],
        }
        measured = [
            {name: measure(command) for name, command in commands.items()} | dissect(score, folder)
            for _ in range(repeats)
        ]
    names = list(dict.fromkeys(name for each in measured for name in each))
    entries = [
        entry("novelty score FILE, nothing compiled", rows, [compiling]),
        *(entry(name, rows, [each[name] for each in measured if name in each]) for name in names),
    ]
    show(entries)
    add_entries(output, name_of(corpus), entries, ("name", "rows"))


def measure(command: list[str], environment: Mapping[str, str] | None = None) -> list[float]:
    """Return the CPU seconds of a process with its children, and elapsed seconds."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env={**os.environ, **(environment or {})})
    elapsed, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return [after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, elapsed]


def dissect(command: list[str], folder: str) -> dict[str, list[float]]:
    """Return CPU seconds and elapsed seconds of the parts of a command."""
    result = Path(folder, "parts.json")
    measure([sys.executable, str(DISSECT), str(result), *command])
    parts: dict[str, list[float]] = json.loads(result.read_text(encoding="utf-8"))
    return parts


def entry(name: str, rows: int, times: list[list[float]]) -> Entry:
    """Return the medians of repeated measurements."""
    core_seconds, seconds = zip(*times, strict=True)
    return {
        "name": name,
        "rows": rows,
        "core_seconds": median(core_seconds),
        "seconds": median(seconds),
        "processes": len(times),
    }


def show(entries: list[Entry]) -> None:
    """Print a table, small imports added up."""
    named, small = [], 0.0
    for each in entries:
        if each["name"].startswith("import ") and each["core_seconds"] < LEAST_SECONDS:
            small += each["core_seconds"]
        else:
            named.append(each)
    click.echo(f"{'':40}{'core-s':>8}{'seconds':>9}")
    for each in named:
        click.echo(f"{each['name']:40}{each['core_seconds']:8.3f}{each['seconds']:9.3f}")
    click.echo(f"{'all other imports':40}{small:8.3f}")


if __name__ == "__main__":
    main()
