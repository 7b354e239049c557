"""Neighbors of vectors: ours beside other open libraries, exact and approximate, on one core.

    python benchmarks/neighbors.py --rows 20000 --rows 100000 --data clusters --output neighbors.json

All get the same float32 rows of unit length and find the 10 nearest others of each by cosine.  Each method
runs in a fresh process with one thread.  CPU seconds are those of the process, for building and for searching
apart; an index is built once and searched once for each value of its parameter.  All have searched some rows
before, so that nothing is loaded or compiled while the clock runs.  Peak memory is the system's high-water
mark of the whole process.

*Recall* is the share of the neighbors found that are as similar as the true ones, in float64, so that ties
harm nobody.  The true ones are ours; those of `CHECKED_ROWS` rows are compared with a plain loop in float64,
and the benchmark stops if they differ.  *Other rows* is the share of rows whose set of neighbors is another
than in float64: of exact libraries, too, as they compute in float32.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from corpora import corpus_option, name_of, read_corpus
from numpy.typing import NDArray
from peers import PEERS
from results import Entry, add_entries

import novelty_dask

OURS, NEAREST, COLUMNS = "novelty_dask", 10, 100
KEY = ("data", "rows", "columns", "name", "value")
CHECKED_ROWS, WARMING = 200, 2_000
CLUSTERS, NOISE = 200, 0.7
TOLERANCE = 1e-12
THREADS = ("OMP", "OPENBLAS", "MKL", "NUMBA", "BLIS", "VECLIB")
DATA = ("gaussian", "clusters", "urls")


@click.command(help=__doc__)
@click.option("--rows", multiple=True, type=int, default=[20_000], help="Rows; repeat for more.")
@click.option("--columns", default=COLUMNS, help="Columns.")
@click.option("--data", multiple=True, type=click.Choice(DATA), default=["clusters"], help="Repeat for more.")
@click.option("--method", multiple=True, type=click.Choice([*PEERS]), help="Only these beside ours.")
@corpus_option
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to add results to.")
@click.option("--measure", hidden=True, help="Measure one in this process and print JSON.")
@click.option("--folder", type=click.Path(path_type=Path), hidden=True)
def main(**options: Any) -> None:
    """Measure one here, or all of them each in its own process."""
    if options["measure"]:
        for entry in measure(options["measure"], options["folder"]):
            click.echo(json.dumps(entry))
        return
    for data in options["data"]:
        for rows in options["rows"]:
            with tempfile.TemporaryDirectory() as name:
                np.save(Path(name) / "rows.npy", make_rows(data, rows, options["columns"], options["corpus"]))
                measure_all(data, Path(name), rows, options)


def measure_all(data: str, folder: Path, rows: int, options: Entry) -> None:
    """Measure ours, and then those others that are installed."""
    for name in [OURS, *(options["method"] or PEERS)]:
        peer = PEERS.get(name)
        if peer and (rows > peer.most_rows or not peer.is_installed):
            continue
        for entry in run(name, folder):
            whole = {"data": data, "rows": rows, "columns": options["columns"], "name": name, **entry}
            show(whole)
            add_entries(options["output"], name_of(options["corpus"]), [whole], KEY)


def make_rows(data: str, n_rows: int, n_columns: int, corpus: Path | None) -> NDArray[np.float32]:
    """Return rows of unit length."""
    chance = np.random.default_rng(0)
    X = chance.normal(size=(n_rows, n_columns))
    if data == "clusters":
        X = chance.normal(size=(CLUSTERS, n_columns))[chance.integers(0, CLUSTERS, n_rows)] + NOISE * X
    elif data == "urls":
        X = reduced_urls(n_rows, n_columns, corpus)
    unit: NDArray[np.float32] = (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(np.float32)
    return unit


def reduced_urls(n_rows: int, n_columns: int, corpus: Path | None) -> NDArray[np.float64]:
    """Return the n-grams of URLs, reduced by a truncated singular value decomposition."""
    from sklearn.decomposition import TruncatedSVD  # noqa: PLC0415 - needed for this alone

    X = novelty_dask.UrlVectorizer("ngrams").fit_transform(read_corpus(n_rows, corpus))
    reduced: NDArray[np.float64] = TruncatedSVD(n_columns, random_state=0).fit_transform(X)
    return reduced


def run(name: str, folder: Path) -> Iterator[Entry]:
    """Measure one in a fresh process with one thread."""
    # Some machines name another processor to BLAS than they have, which makes it slow.
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS_")}
    environment = {**kept, **{f"{each}_NUM_THREADS": "1" for each in THREADS}}
    command = [sys.executable, __file__, "--measure", name, "--folder", str(folder)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        click.echo(f"{name} failed, and is left out.", err=True)
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def measure(name: str, folder: Path) -> Iterator[Entry]:
    """Build an index and search it for each value of its parameter."""
    X = np.load(folder / "rows.npy")
    if name == OURS:
        yield measure_ours(X, folder)
        return
    peer = PEERS[name]
    peer.search(peer.build(X[:WARMING], NEAREST + 1), X[:WARMING], NEAREST + 1, peer.values[0])
    began = time.process_time()
    index = peer.build(X, NEAREST + 1)
    building = time.process_time() - began
    for value in peer.values:
        began = time.process_time()
        ids = peer.search(index, X, NEAREST + 1, value)
        searching = time.process_time() - began
        yield {
            "value": value,
            "parameter": peer.parameter,
            **times(building, searching),
            **judge(ids, X, folder),
        }


def measure_ours(X: NDArray[np.float32], folder: Path) -> Entry:
    """Search by ours, whose result is then the truth."""
    novelty_dask.neighbors(X[:WARMING], n_neighbors=NEAREST)
    began = time.process_time()
    found = novelty_dask.neighbors(X, n_neighbors=NEAREST)
    searching = time.process_time() - began
    taken = times(0, searching)
    check(X, found.ids, found.similarities)
    np.save(folder / "ids.npy", found.ids)
    np.save(folder / "kth.npy", found.similarities[:, -1])
    return {"value": None, "parameter": "", **taken, "recall": 1.0, "other_rows": 0.0}


def peak() -> int:
    """Return the most bytes that this process had in memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def times(building: float, searching: float) -> Entry:
    """Return what a search took."""
    return {"build_seconds": building, "search_seconds": searching, "peak_bytes": peak()}


def scaled(X: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return rows of unit length in float64, by none of our code."""
    unit = X.astype(np.float64)
    unit /= np.sqrt((unit * unit).sum(axis=1))[:, None]
    return unit


def check(X: NDArray[np.float32], ids: NDArray[np.int64], similarities: NDArray[np.float64]) -> None:
    """Stop if neighbors are not those of a plain loop in float64."""
    unit = scaled(X)
    for row in np.linspace(0, len(X) - 1, CHECKED_ROWS).astype(np.int64):
        values = unit @ unit[row]
        values[row] = -np.inf
        best = np.sort(values)[::-1][:NEAREST]
        if row in ids[row] or np.abs(best - similarities[row]).max() > TOLERANCE:
            raise SystemExit(f"Row {row:,} has other neighbors than a plain loop finds.")


def judge(ids: NDArray[np.int64], X: NDArray[np.float32], folder: Path) -> Entry:
    """Return the share of neighbors as similar as the true ones, and of rows that have others."""
    truth, kth = np.load(folder / "ids.npy"), np.load(folder / "kth.npy")
    unit = scaled(X)
    n_found, n_other = 0, 0
    for row, found in enumerate(ids):
        # Itself is left out wherever it stands; who did not find it has one more, and loses the last.
        others = np.unique(found[(found != row) & (found >= 0)][: NEAREST if row not in found else None])
        similar = unit[others] @ unit[row] >= kth[row] - TOLERANCE
        n_found += min(int(similar.sum()), NEAREST)
        n_other += {*others.tolist()} != {*truth[row].tolist()}
    return {"recall": n_found / truth.size, "other_rows": n_other / len(truth)}


def show(entry: Entry) -> None:
    """Print what one took and found."""
    swept = f"{entry['parameter']} {entry['value']}" if entry["parameter"] else ""
    click.echo(
        f"{entry['data']:10}{entry['rows']:>10,} {entry['name']:22}{swept:16}"
        f"build {entry['build_seconds']:>8.2f}  search {entry['search_seconds']:>8.2f} core-s "
        f"{entry['peak_bytes'] / 1e6:>7.0f} MB  recall {entry['recall']:.4f}  other {entry['other_rows']:.3%}"
    )


if __name__ == "__main__":
    main()
