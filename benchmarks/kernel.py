"""The exact search of novelty_dask beside the other open exact ones, on one core.

    python benchmarks/kernel.py --rows 100000 --k 10 --output kernel.json

All get the same matrix (character 3-grams, sublinear TF-IDF, rows sorted by reversed host) and find the k
most similar other rows of each row.  Each runs in a fresh process with one thread.  CPU seconds are those of
the whole process from the matrix on, without compiling; peak memory is the system's high-water mark.

With `--queries` the others look only for the neighbors of so many rows, and their seconds are scaled up.
These rows go in one large batch: sp_matmul_rs cuts its second matrix into cache tiles only if
the first has at least two non-zeros for each row of the second, and is several times slower if not.
"""

import importlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import scipy.sparse as sp
from corpora import read_corpus
from numpy.typing import NDArray
from sklearn.feature_extraction.text import HashingVectorizer

from novelty_dask.kernels.bounds import order_columns
from novelty_dask.kernels.tfidf import document_frequency, inverse_document_frequency, renumber_columns, weigh
from novelty_dask.kernels.topk import Block, Neighbors, Work, prepare, search
from novelty_dask.kernels.urls import sort_key

BLOCK_ROWS = 65_536
OURS, PEERS = "novelty_dask", ("sp_matmul_rs", "sparse_dot_topn")
TOLERANCE = 2e-6
"""Differences of float32 sums in another order."""

Found = tuple[NDArray[np.float32], dict[str, Any]]
Find = Callable[[sp.csr_matrix, NDArray[np.int64], int], Found]


@click.command(help=__doc__)
@click.option("--rows", default=30_000, help="Rows of the corpus.")
@click.option("--k", default=10, help="Neighbors of a row.")
@click.option("--queries", type=int, help="Rows whose neighbors the others look for; all if not given.")
@click.option("--peer", "peers", multiple=True, default=PEERS, help="Others to run; repeat for several.")
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to write.")
@click.option("--measure", hidden=True, help="Measure one in this process and print JSON.")
@click.option("--matrix", type=click.Path(path_type=Path), hidden=True)
def main(**options: Any) -> None:
    """Measure one here, or all of them each in its own process."""
    if options["measure"]:
        click.echo(
            json.dumps(measure(options["measure"], options["matrix"], options["k"], options["queries"]))
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        matrix = Path(folder, "matrix.npz")
        sp.save_npz(matrix, make_matrix(options["rows"]), compressed=False)
        names = [OURS, *options["peers"]]
        results = {name: run(name, matrix, options["k"], options["queries"]) for name in names}
        check(matrix, names)
    show(results)
    if options["output"]:
        settings = {name: options[name] for name in ("rows", "k", "queries")}
        options["output"].write_text(json.dumps({**settings, "results": results}, indent=2) + "\n")


def make_matrix(rows: int) -> sp.csr_matrix:
    """Weighted rows of the corpus in sort order."""
    urls = sorted(read_corpus(rows), key=sort_key)
    vectorizer = HashingVectorizer(
        analyzer="char", ngram_range=(3, 3), norm=None, alternate_sign=False, dtype=np.float32
    )
    counts = vectorizer.transform(urls)
    return weigh(counts, inverse_document_frequency(document_frequency(counts), len(urls)))


def run(name: str, matrix: Path, k: int, queries: int | None) -> dict[str, Any]:
    """Measure one in a fresh process."""
    command = [sys.executable, __file__, "--measure", name, "--matrix", str(matrix), "--k", str(k)]
    command += ["--queries", str(queries)] if queries else []
    finished = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(finished.stdout)
    click.echo(f"{name}: {result['core_seconds']:.2f} core-s", err=True)
    return result


def measure(name: str, matrix: Path, k: int, queries: int | None) -> dict[str, Any]:
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
    """What finds the k-th similarities of some rows of a matrix, by name."""
    return ours if name == OURS else peer(name)


def ours(X: sp.csr_matrix, sample: NDArray[np.int64], k: int) -> Found:
    """The k-th similarity of each row by novelty_dask, block by block as in a run."""
    began = time.process_time()
    columns = order_columns(document_frequency(X))
    Y = renumber_columns(X, columns.rank, columns.document_frequency.size)
    starts = range(0, sample.size, BLOCK_ROWS)
    blocks = [prepare(Y[start : start + BLOCK_ROWS], columns.cuts) for start in starts]
    state = sum(block.nbytes for block in blocks if block.tiles) / sample.size
    details = {"prepare_seconds": time.process_time() - began, "state_bytes_per_row": state}
    work, kth = Work(), []
    for number in range(len(blocks)):
        neighbors, done = nearest_first(blocks, number, k)
        kth.append(neighbors.similarities[:, -1])
        work += done
    return np.concatenate(kth), {**details, **work._asdict()}


def nearest_first(blocks: list[Block], number: int, k: int) -> tuple[Neighbors, Work]:
    """Neighbors of the rows of one block."""
    neighbors, work = Neighbors.empty(blocks[number].n_rows, k), Work()
    for other in sorted(range(len(blocks)), key=lambda other: abs(other - number)):
        work += search(
            blocks[number],
            blocks[other],
            neighbors,
            row_start=number * BLOCK_ROWS,
            candidate_start=other * BLOCK_ROWS,
        )
    return neighbors, work


def peer(name: str) -> Find:
    """The k-th similarity of sampled rows by a library whose products keep the largest of each row."""
    product = importlib.import_module(name).sp_matmul_topn

    def find(X: sp.csr_matrix, sample: NDArray[np.int64], k: int) -> Found:
        began = time.process_time()
        transposed = X.T.tocsr()
        details = {"prepare_seconds": time.process_time() - began}
        found = product(X[sample], transposed, top_n=k + 1, sort=True, n_threads=1)
        return kth_besides_itself(found, k), details

    return find


def kth_besides_itself(found: sp.csr_matrix, k: int) -> NDArray[np.float32]:
    """The (k + 1)-th value of each row, which is the k-th once the row itself is left out."""
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


def show(results: dict[str, dict[str, Any]]) -> None:
    """Print a table."""
    least = results[OURS]["core_seconds"]
    click.echo(f"{'':16}{'core-s':>10}{'us/row':>10}{'peak MB':>10}{'ours ahead':>12}")
    for name, result in results.items():
        seconds, rows = result["core_seconds"], results[OURS]["measured_rows"]
        sampled = "" if result["measured_rows"] == rows else f"  from {result['measured_rows']:,} queries"
        click.echo(
            f"{name:16}{seconds:10.2f}{seconds / rows * 1e6:10.1f}{result['peak_bytes'] / 1e6:10.0f}"
            f"{seconds / least:11.1f}x{sampled}"
        )


if __name__ == "__main__":
    main()
