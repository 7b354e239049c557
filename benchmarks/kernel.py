"""The exact search of novelty_dask beside other open exact ones, on one core.

    python benchmarks/kernel.py --rows 10000 --rows 100000 --k 1 --k 10 --output kernel.json

All get the same matrix (hashed n-grams, sublinear TF-IDF, rows sorted by reversed host) and find the k most
similar other rows of each row.  Each runs in a fresh process with one thread.  CPU seconds are those of
the whole process from the matrix on, without compiling; peak memory is the system's high-water mark.
The k-th similarities are compared, so that nothing inexact is timed.

At `SAMPLED_ROWS` rows and more, the others look only for the neighbors of some rows, spread evenly, and their
seconds are scaled up.  These rows go in one large batch: sp_matmul_rs cuts its second matrix into cache
tiles only if the first has at least two non-zeros for each row of the second, and is several times slower if
not.  `--queries` sets their number instead.

Results are added to the file, so that a long series can be measured in pieces.
"""

import importlib
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, product
from math import log
from pathlib import Path
from typing import Any

import click
import numpy as np
import scipy.sparse as sp
from corpora import corpus_option, name_of, read_corpus
from matrices import Corpus, make_matrix
from numpy.typing import NDArray
from results import Entry, add_entries

from novelty_dask.kernels.search.topk import Neighbors, SearchCounts

OURS, PEERS = "novelty_dask", ("sp_matmul_rs", "sparse_dot_topn")
KEY = ("features", "rows", "k", "name")
TOLERANCE = 5e-6
"""Differences of float32 sums in another order."""
SAMPLED_ROWS = 300_000
"""Rows from which on the others are measured by a sample."""
LARGE_ROWS = 100_000
"""Rows from which on the growth is summed up."""
LEAST_QUERIES = 10_000
"""Rows that a sample has at least."""
TILING = 2.1
"""Non-zeros of a sample for each column: just above 2, from which on sp_matmul_rs works in tiles."""

Found = tuple[NDArray[np.float32], dict[str, Any]]
Find = Callable[[sp.csr_matrix, NDArray[np.int64], int], Found]


@click.command(help=__doc__)
@click.option(
    "--rows", multiple=True, type=int, default=[30_000], help="Rows of the corpus; repeat for more."
)
@click.option("--k", "ks", multiple=True, type=int, default=[10], help="Neighbors of a row; repeat for more.")
@click.option(
    "--features", multiple=True, default=["char:3-3"], help="char or word n-grams; repeat for more."
)
@click.option("--queries", type=int, help="Rows whose neighbors the others look for.")
@click.option("--peer", "peers", multiple=True, default=PEERS, help="Others to run; repeat for several.")
@click.option("--alone", is_flag=True, help="Run none of the others.")
@click.option("--repeats", default=1, help="Processes for each, in turn; the median counts.")
@corpus_option
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to add results to.")
@click.option("--measure", hidden=True, help="Measure one in this process and print JSON.")
@click.option("--matrix", type=click.Path(path_type=Path), hidden=True)
def main(**options: Any) -> None:
    """Measure one here, or all of them each in its own process."""
    if options["measure"]:
        [k] = options["ks"]
        found = measure(options["measure"], options["matrix"], k, options["queries"])
        click.echo(json.dumps(found))
        return
    names = [OURS, *([] if options["alone"] else filter(is_installed, options["peers"]))]
    entries: list[Entry] = []
    for features, rows in product(options["features"], options["rows"]):
        urls = read_corpus(rows, options["corpus"])
        for entry in compare(urls, features, names, options):
            add_entries(options["output"], name_of(options["corpus"]), [entry], KEY)
            entries.append(entry)
    show(entries)


def is_installed(name: str) -> bool:
    """Return whether another library can be run; print a message if not."""
    found = importlib.util.find_spec(name) is not None
    if not found:
        click.echo(f"{name} is not installed: pip install -e '.[benchmark]'", err=True)
    return found


def compare(urls: list[str], features: str, names: Sequence[str], options: Entry) -> Iterator[Entry]:
    """Measure everything on one matrix."""
    with tempfile.TemporaryDirectory() as folder:
        matrix = Path(folder, "matrix.npz")
        X = make_matrix(urls, features)
        sp.save_npz(matrix, X, compressed=False)
        about = {"features": features, "rows": X.shape[0], "nonzeros_per_row": X.nnz / X.shape[0]}
        queries = {name: options["queries"] or choose_queries(name, X) for name in names}
        del X
        for k in options["ks"]:
            yield from (
                {**about, "k": k, **result} for result in run_all(matrix, k, queries, options["repeats"])
            )


def choose_queries(name: str, X: sp.csr_matrix) -> int | None:
    """Return the number of rows whose neighbors a library looks for: a sample of many rows, None for all."""
    if name == OURS or X.shape[0] < SAMPLED_ROWS:
        return None
    tiling = int(TILING * X.shape[1] * X.shape[0] / X.nnz) if name == "sp_matmul_rs" else 0
    return min(X.shape[0], max(LEAST_QUERIES, tiling))


def run_all(matrix: Path, k: int, queries: dict[str, int | None], repeats: int) -> Iterator[Entry]:
    """Measure each in fresh processes, one after the other, as often as asked."""
    found: dict[str, list[Entry]] = {name: [] for name in queries}
    for _, name in product(range(repeats), queries):
        found[name].append(run(name, matrix, k, queries[name]))
    check(matrix, list(queries))
    for name, results in found.items():
        seconds = [result["core_seconds"] for result in results]
        yield {**results[-1], "name": name, "core_seconds": statistics.median(seconds), "repeats": seconds}


def run(name: str, matrix: Path, k: int, queries: int | None) -> Entry:
    """Measure one in a fresh process."""
    command = [sys.executable, __file__, "--measure", name, "--matrix", str(matrix), "--k", str(k)]
    command += ["--queries", str(queries)] if queries else []
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: Entry = json.loads(finished.stdout)
    click.echo(f"{name}: {result['core_seconds']:.2f} core-s", err=True)
    return result


def measure(name: str, matrix: Path, k: int, queries: int | None) -> Entry:
    """Find the neighbors of all rows, or of a sample; leave the k-th similarities beside the matrix."""
    X, find = sp.csr_matrix(sp.load_npz(matrix)), finder(name)
    sample = np.arange(X.shape[0])
    if name == OURS:
        find(X[:2000], sample[:2000], k)  # compiles, or loads what was compiled
    elif queries:
        sample = np.linspace(0, X.shape[0] - 1, queries).astype(np.int64)
    began = time.process_time()
    kth, details = find(X, sample, k)
    seconds = time.process_time() - began
    np.savez(matrix.with_name(f"{name}.npz"), rows=sample, kth=kth)
    once = details["prepare_seconds"]
    return {
        "core_seconds": once + (seconds - once) * X.shape[0] / sample.size,
        "measured_rows": sample.size,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        **details,
    }


def finder(name: str) -> Find:
    """Return the function, by name, that finds the k-th similarities of some rows of a matrix."""
    return ours if name == OURS else peer(name)


def ours(X: sp.csr_matrix, sample: NDArray[np.int64], k: int) -> Found:
    """Return the k-th similarity of each row by novelty_dask, block by block as in a run."""
    corpus = Corpus.of(X)
    state = sum(block.nbytes for block in corpus.blocks) / sample.size
    work, kth = SearchCounts(), []
    for number, block in enumerate(corpus.blocks):
        neighbors = Neighbors.empty(block.n_rows, k)
        work += corpus.search(block, number * corpus.block_rows, neighbors)
        kth.append(neighbors.similarities[:, -1])
    details = {"prepare_seconds": corpus.prepare_seconds, "state_bytes_per_row": state}
    return np.concatenate(kth), {**details, "counts": work._asdict()}


def peer(name: str) -> Find:
    """Return a function that finds k-th similarities by a library that keeps each row's largest products."""
    sp_matmul_topn = importlib.import_module(name).sp_matmul_topn

    def find(X: sp.csr_matrix, sample: NDArray[np.int64], k: int) -> Found:
        began = time.process_time()
        transposed = X.T.tocsr()
        details = {"prepare_seconds": time.process_time() - began}
        found = sp_matmul_topn(X[sample], transposed, top_n=k + 1, sort=True, n_threads=1)
        return kth_besides_itself(found, k), details

    return find


def kth_besides_itself(found: sp.csr_matrix, k: int) -> NDArray[np.float32]:
    """Return the (k + 1)-th value of each row, which is the k-th once the row itself is left out."""
    rows = zip(found.indptr[:-1], found.indptr[1:], strict=True)
    return np.array([found.data[a:b].min() if b - a > k else 0 for a, b in rows], np.float32)


def check(matrix: Path, names: list[str]) -> None:
    """Stop if any two don't agree on the k-th similarities."""
    ours_kth = np.load(matrix.with_name(f"{OURS}.npz"))["kth"]
    for name in names[1:]:
        theirs = np.load(matrix.with_name(f"{name}.npz"))
        difference = np.abs(theirs["kth"] - ours_kth[theirs["rows"]]).max(initial=0)
        if difference > TOLERANCE:
            raise SystemExit(f"{name} and {OURS} differ by {difference:.1e} in a k-th similarity.")
        click.echo(f"{name}: largest difference of a k-th similarity {difference:.1e}", err=True)


def show(entries: list[Entry]) -> None:
    """Print a table, and how the cost of each grows with the rows."""
    least = {entry_case(entry): entry["core_seconds"] for entry in entries if entry["name"] == OURS}
    header = f"{'features':10}{'rows':>10}{'k':>4}  {'':16}{'core-s':>10}{'us/row':>10}{'peak MB':>9}"
    click.echo(f"{header}{'times ours':>12}")
    for entry in entries:
        seconds, rows = entry["core_seconds"], entry["rows"]
        sampled = "" if entry["measured_rows"] == rows else f"  from {entry['measured_rows']:,} queries"
        click.echo(
            f"{entry['features']:10}{rows:10,}{entry['k']:4}  {entry['name']:16}{seconds:10.2f}"
            f"{seconds / rows * 1e6:10.1f}{entry['peak_bytes'] / 1e6:9.0f}"
            f"{seconds / least[entry_case(entry)]:11.1f}x{sampled}"
        )
    for entry, larger, exponent in growth(entries):
        click.echo(
            f"{entry['name']}, {entry['features']}, k = {entry['k']}: core-seconds grow with rows to the "
            f"power {exponent:.2f} from {entry['rows']:,} to {larger['rows']:,}"
        )


def entry_case(entry: Entry) -> tuple[str, int, int]:
    """Return the case that an entry is of, whichever library it measures."""
    return entry["features"], entry["rows"], entry["k"]


def growth(entries: list[Entry]) -> Iterator[tuple[Entry, Entry, float]]:
    """Yield pairs of sizes, and the power of the rows with which the cost grows from one to the other.

    Each size and the next; then, if it is no such pair, `LARGE_ROWS` and the largest.
    """
    series: dict[tuple[str, str, int], list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: int(entry["rows"])):
        series.setdefault((entry["name"], entry["features"], entry["k"]), []).append(entry)
    for sizes in series.values():
        pairs = list(pairwise(sizes))
        large = [entry for entry in sizes if entry["rows"] >= LARGE_ROWS]
        for smaller, larger in [*pairs, *([(large[0], large[-1])] if len(large) > 2 else [])]:
            cost = log(larger["core_seconds"] / smaller["core_seconds"])
            yield smaller, larger, cost / log(larger["rows"] / smaller["rows"])


if __name__ == "__main__":
    main()
