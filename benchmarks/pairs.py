"""All pairs of rows that are at least so similar: ours beside other open libraries, on one core.

    python benchmarks/pairs.py --rows 20000 --rows 100000 --output pairs.json

All get the same matrix (hashed n-grams, sublinear TF-IDF, rows sorted by reversed host) and find its pairs,
but for string_grouper, which makes its own from the same URLs.  Each runs in a fresh process with one thread.
CPU seconds are those of the process from the matrix on, without compiling; peak memory is the system's
high-water mark.  *Recall* is the share of all pairs that was found; what an exact library misses stops the
benchmark.  MinHash, of datasketch, gets the features of each row as a set, and its candidates are verified by
their similarity.

Multiply-adds are set beside those of the search of the k nearest, which must look further.

At `SAMPLED_ROWS` rows and more, the exact others look only for the pairs of some rows, spread evenly, and
their seconds are scaled up; those that are not exact are left out.
"""

import importlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import scipy.sparse as sp
from corpora import corpus_option, name_of, read_corpus
from kernel import is_installed
from matrices import BLOCK_ROWS, Corpus, in_order, make_matrix
from numpy.typing import NDArray
from results import Entry, add_entries

from novelty_dask.engines.threshold import Candidates, ThresholdEngine
from novelty_dask.kernels.search.topk import Neighbors, SearchCounts
from novelty_dask.kernels.text.urls import sort_key

OURS, EXACT, OTHERS = "novelty_dask", ("sp_matmul_rs", "sparse_dot_topn"), ("string_grouper", "datasketch")
KEY = ("features", "rows", "at_least", "name")
NEAREST = 10
"""Neighbors of the search that multiply-adds are compared with."""
SAMPLED_ROWS, QUERIES = 300_000, 10_000
TOLERANCE = 5e-6
"""Similarities so near the threshold may be on either side: float32 sums in another order."""
PERMUTATIONS = 128

Keys = NDArray[np.int64]
"""Pairs as numbers: row times rows plus other, of row < other, ascending."""
Find = Callable[[sp.csr_matrix, float], tuple[Keys, dict[str, Any]]]


@click.command(help=__doc__)
@click.option(
    "--rows", multiple=True, type=int, default=[20_000], help="Rows of the corpus; repeat for more."
)
@click.option("--at-least", default=0.8, help="Least similarity of a pair.")
@click.option("--features", default="char:3-3", help="char or word n-grams.")
@click.option("--jaccard", default=0.5, help="Threshold of MinHash, of the features of two rows as sets.")
@click.option("--alone", is_flag=True, help="Run none of the others.")
@corpus_option
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to add results to.")
@click.option("--measure", hidden=True, help="Measure one in this process and print JSON.")
@click.option("--folder", type=click.Path(path_type=Path), hidden=True)
def main(**options: Any) -> None:
    """Measure one here, or all of them each in its own process."""
    if options["measure"]:
        click.echo(json.dumps(measure(options["measure"], options["folder"], options)))
        return
    for rows in options["rows"]:
        names = [*EXACT, *(OTHERS if rows < SAMPLED_ROWS else ())]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            urls = sorted(read_corpus(rows, options["corpus"]), key=sort_key)
            folder.joinpath("urls.json").write_text(json.dumps(urls), encoding="utf-8")
            sp.save_npz(folder / "matrix.npz", make_matrix(urls, options["features"]), compressed=False)
            for each in [OURS, *([] if options["alone"] else filter(is_installed, names))]:
                entry = run(each, folder, options)
                show(entry)
                add_entries(options["output"], name_of(options["corpus"]), [entry], KEY)


def run(name: str, folder: Path, options: Entry) -> Entry:
    """Measure one in a fresh process."""
    settings = {key: options[key] for key in ("at_least", "features", "jaccard")}
    flags = [part for key, value in settings.items() for part in (f"--{key.replace('_', '-')}", str(value))]
    command = [sys.executable, __file__, "--measure", name, "--folder", str(folder), *flags]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    result: Entry = json.loads(finished.stdout)
    return {"name": name, "features": options["features"], "at_least": options["at_least"], **result}


def measure(name: str, folder: Path, options: Entry) -> Entry:
    """Find all pairs, or those of a sample, and compare them with ours."""
    X = sp.csr_matrix(sp.load_npz(folder / "matrix.npz"))
    n = X.shape[0]
    is_sampled = name in EXACT and n >= SAMPLED_ROWS
    sample = np.linspace(0, n - 1, QUERIES).astype(np.int64) if is_sampled else np.arange(n)
    find: Find = {
        OURS: ours,
        "datasketch": lambda X, least: minhash(X, least, options["jaccard"]),
        "string_grouper": lambda _, least: grouper(folder, least),
    }.get(name) or exact(name, sample)
    if name == OURS:
        find(X[:2_000], options["at_least"])  # compiles, or loads what was compiled
    began = time.process_time()
    keys, details = find(X, options["at_least"])
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if name == OURS:
        np.save(folder / "ours.npy", keys)
        details["nearest_counts"] = nearest(X)._asdict()
    all_keys = np.load(folder / "ours.npy")
    all_keys = all_keys[np.isin(all_keys // n, sample)]
    found = np.isin(all_keys, keys).mean() if all_keys.size else 1.0
    if name in EXACT:
        check(name, X, options["at_least"], np.setxor1d(all_keys, keys))
    return {
        "rows": n,
        "core_seconds": seconds * n / sample.size,
        "measured_rows": sample.size,
        "pairs": keys.size,
        # It weighs in another way, so its pairs are others.
        "recall": None if name == "string_grouper" else float(found),
        "peak_bytes": peak,
        **details,
    }


def ours(X: sp.csr_matrix, at_least: float) -> tuple[Keys, dict[str, Any]]:
    """Find all pairs block by block, as a command does."""
    Y, breakpoints = in_order(X.copy())
    engine, n, keys = ThresholdEngine(breakpoints, at_least), X.shape[0], []
    for b in range(0, n, BLOCK_ROWS):
        candidates = Candidates(Y[b : b + BLOCK_ROWS], engine)
        for a in range(0, b + 1, BLOCK_ROWS):
            rows = Y[a : a + BLOCK_ROWS]
            keys += [pairs.rows * n + pairs.others for pairs in engine.find(rows, candidates, (a, b))]
    return np.sort(np.concatenate([*keys, np.zeros(0, np.int64)])), {"counts": dict(engine.counts)}


def nearest(X: sp.csr_matrix) -> SearchCounts:
    """Return what the search of the nearest neighbors of all rows does."""
    corpus, work = Corpus.of(X.copy()), SearchCounts()
    for number, block in enumerate(corpus.blocks):
        work += corpus.search(block, number * corpus.block_rows, Neighbors.empty(block.n_rows, NEAREST))
    return work


def exact(name: str, sample: NDArray[np.int64]) -> Find:
    """Return a function that finds pairs by a library that multiplies and keeps what reaches a threshold."""

    def find(X: sp.csr_matrix, at_least: float) -> tuple[Keys, dict[str, Any]]:
        sp_matmul_topn = importlib.import_module(name).sp_matmul_topn
        n, transposed = X.shape[0], X.T.tocsr()
        found = sp_matmul_topn(X[sample], transposed, top_n=n, threshold=at_least, n_threads=1).tocoo()
        rows, others = sample[found.row].astype(np.int64), found.col.astype(np.int64)
        return np.unique((rows * n + others)[rows < others]), {}

    return find


def grouper(folder: Path, at_least: float) -> tuple[Keys, dict[str, Any]]:
    """Find pairs of URLs by string_grouper, which weighs n-grams in its own way."""
    match_strings = importlib.import_module("string_grouper").match_strings
    urls = pd.Series(json.loads(folder.joinpath("urls.json").read_text(encoding="utf-8")))
    as_they_are = {"regex": "", "ignore_case": False, "normalize_to_ascii": False}
    found = match_strings(
        urls, min_similarity=at_least, max_n_matches=len(urls), number_of_processes=1, **as_they_are
    )
    rows, others = (found[f"{side}_index"].to_numpy(np.int64) for side in ("left", "right"))
    return np.unique((rows * len(urls) + others)[rows < others]), {}


def minhash(X: sp.csr_matrix, at_least: float, jaccard: float) -> tuple[Keys, dict[str, Any]]:
    """Find pairs by MinHash with locality-sensitive hashing, and verify them."""
    datasketch = importlib.import_module("datasketch")
    n, index, keys = X.shape[0], datasketch.MinHashLSH(threshold=jaccard, num_perm=PERMUTATIONS), []
    sets = ([feature.tobytes() for feature in X.indices[a:b]] for a, b in pairwise(X.indptr))
    for row, hashed in enumerate(datasketch.MinHash.generator(sets, num_perm=PERMUTATIONS)):
        others = np.array(sorted(index.query(hashed)), np.int64)
        similarities = (X[others] @ X[row].T).toarray().ravel() if others.size else np.zeros(0)
        keys.append(others[similarities >= at_least] * n + row)
        index.insert(row, hashed, check_duplication=False)
    return np.sort(np.concatenate(keys)), {"jaccard": jaccard}


def check(name: str, X: sp.csr_matrix, at_least: float, differing: Keys) -> None:
    """Stop if a pair that only one of two found is not at the very threshold."""
    rows, others = np.divmod(differing, X.shape[0])
    similarities = np.asarray(X[rows].multiply(X[others]).sum(axis=1)).ravel()
    if np.abs(similarities - at_least).max(initial=0) > TOLERANCE:
        raise SystemExit(f"{name} and {OURS} differ in {differing.size:,} pairs.")


def show(entry: Entry) -> None:
    """Print what one took and found."""
    sampled = entry["measured_rows"] < entry["rows"]
    recall = "its own weights" if entry["recall"] is None else f"recall {entry['recall']:.4f}"
    click.echo(
        f"{entry['name']:16}{entry['rows']:>10,} rows {entry['core_seconds']:>9.2f} core-s "
        f"{entry['peak_bytes'] / 1e6:>7.0f} MB {entry['pairs']:>12,} pairs  {recall}{'  sampled' * sampled}"
    )
    if counts := entry.get("counts"):
        share = counts["multiply_adds"] / entry["nearest_counts"]["multiply_adds"]
        click.echo(f"{counts['multiply_adds']:,} multiply-adds, {share:.1%} of those of {NEAREST} nearest")


if __name__ == "__main__":
    main()
