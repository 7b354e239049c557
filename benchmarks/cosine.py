"""Cosine similarity of small dense arrays: ours beside scikit-learn, NumPy and torch, on one thread.

    python benchmarks/cosine.py --output cosine.json

Each is called again and again in one process, and takes turns with the others; the least time counts, as all
else is the machine's.  Results are compared with those of scikit-learn first, within 1e-8.
"""

import os
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

# Before BLAS is loaded, which reads it.
os.environ |= {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}

import click
import numpy as np
from numpy.typing import NDArray
from results import Entry, add_entries
from sklearn.metrics import pairwise

from novelty_dask import cosine_similarity

Rows = NDArray[np.float64]
KEY = ("rows", "columns", "name")
SIZES = ((50, 64), (1_000, 100), (5_000, 512))
OURS, SECONDS, MOST_CALLS = "novelty_dask", 2.0, 2_000


def by_numpy(X: Rows) -> Any:
    """Scale rows and multiply."""
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    return unit @ unit.T


def by_torch(X: Rows) -> Any:
    """Scale rows and multiply, in torch."""
    torch = import_module("torch")
    unit = torch.nn.functional.normalize(torch.from_numpy(X))
    return (unit @ unit.T).numpy()


METHODS: dict[str, Callable[[Rows], Any]] = {
    OURS: cosine_similarity,
    "scikit-learn": pairwise.cosine_similarity,
    "NumPy": by_numpy,
    "torch": by_torch,
}


@click.command(help=__doc__)
@click.option("--seconds", default=SECONDS, help="About how long each is called.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to add results to.")
def main(seconds: float, output: Path | None) -> None:
    """Measure all that are installed."""
    for n_rows, n_columns in SIZES:
        X = np.random.default_rng(0).normal(size=(n_rows, n_columns))
        found = measure(X, seconds)
        entries = [
            {"rows": n_rows, "columns": n_columns, "name": name, "microseconds": 1e6 * took}
            for name, took in found.items()
        ]
        for entry in entries:
            show(entry)
        add_entries(output, "made", entries, KEY)


def measure(X: Rows, seconds: float) -> dict[str, float]:
    """Return the least seconds of a call of each."""
    least, expected = {}, pairwise.cosine_similarity(X)
    for name, method in METHODS.items():
        try:
            found = method(X)
        except ImportError:
            continue
        if np.abs(found - expected).max() > 1e-8:
            raise SystemExit(f"{name} has other similarities than scikit-learn.")
        least[name] = np.inf
    began, n_calls = time.perf_counter(), 0
    while time.perf_counter() - began < seconds * len(least) and n_calls < MOST_CALLS:
        n_calls += 1
        for name in least:
            start = time.perf_counter()
            METHODS[name](X)
            least[name] = min(least[name], time.perf_counter() - start)
    return least


def show(entry: Entry) -> None:
    """Print what one takes."""
    size = f"{entry['rows']:,} x {entry['columns']:,}"
    click.echo(f"{size:14}{entry['name']:16}{entry['microseconds']:>12,.0f} us")


if __name__ == "__main__":
    main()
