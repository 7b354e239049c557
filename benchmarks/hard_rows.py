"""Cost of single rows: the share of the time that the costliest take, and the cost by novelty.

    python benchmarks/hard_rows.py --rows 100000 --output hard_rows.json

The search works on blocks, and the clock is too coarse for one row among them; but its counts are as exact
for one row as for many.  So stretches of consecutive rows are searched against all blocks with a clock beside
the counts, and a linear model is fitted to these times: nanoseconds for each count, and for each row that
meets an inverted tile.  Then single rows of the same stretches are searched alone, from the same starting
neighbors as in a run, and the model turns their counts into time.  Two ratios show how far this can be
trusted: the counts of the single rows over those of the stretches, and the modeled time over the measured
one.

CPU seconds are those of one thread.  The k-th similarity of a row is the threshold that a candidate has to
beat in the end.
"""

import time
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from corpora import corpus_option, name_of, read_corpus
from matrices import Corpus, make_matrix
from numpy.typing import NDArray
from results import Entry, add_entries
from scipy.optimize import nnls

from novelty_dask.kernels.search.topk import Neighbors, SearchCounts

KEY = ("features", "rows", "k")
SHARES = (0.01, 0.05, 0.1, 0.25, 0.5)
PERCENTILES = (1, 10, 25, 50, 75, 90, 99, 99.9)
EDGES = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Ranges of the k-th similarity."""
PER_CALL, PER_VISIT = "calls", "visits"
"""What is counted besides SearchCounts: tiles met by a stretch, and tiles met by a row."""


class Sample(NamedTuple):
    """Single rows and what they cost.

    Parameters
    ----------
    counts : ndarray of shape (rows, counts)
        Of each row: tiles met, then the fields of SearchCounts.
    kth : ndarray of shape (rows,)
        Similarity of the last neighbor.
    mean : ndarray of shape (rows,)
        Mean similarity of the neighbors.
    """

    counts: NDArray[np.float64]
    kth: NDArray[np.float32]
    mean: NDArray[np.float32]


@click.command(help=__doc__)
@click.option(
    "--rows", multiple=True, type=int, default=[30_000], help="Rows of the corpus; repeat for more."
)
@click.option("--k", default=10, help="Neighbors of a row.")
@click.option("--features", default="char:3-3", help="char or word n-grams.")
@click.option("--chunks", default=96, help="Stretches of consecutive rows.")
@click.option("--chunk-rows", default=512, help="Rows of a stretch.")
@click.option("--every", default=8, help="Of these rows, each how-manieth is looked at alone.")
@corpus_option
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to add results to.")
def main(**options: Any) -> None:
    """Measure every size."""
    for rows in options["rows"]:
        entry = measure(read_corpus(rows, options["corpus"]), options)
        show(entry)
        add_entries(options["output"], name_of(options["corpus"]), [entry], KEY)


def measure(urls: list[str], options: Entry) -> Entry:
    """Time stretches, fit the model, and price single rows with it."""
    corpus, k = Corpus.of(make_matrix(urls, options["features"])), options["k"]
    chunks = corpus.chunks(options["chunks"], options["chunk_rows"])
    starts = [corpus.seed(chunk, k) for chunk in chunks]
    times, counts = time_chunks(corpus, chunks, starts)
    prices = fit(times, counts)
    sample = count_rows(corpus, chunks, starts, options["every"])
    rows = sum(map(len, chunks))
    of_rows = sample.counts.mean(axis=0) * rows
    costs = sample.counts @ prices[1:]
    names = [PER_CALL, PER_VISIT, *SearchCounts._fields]
    return {
        "features": options["features"],
        "rows": corpus.n_rows,
        "k": k,
        "timed_rows": rows,
        "single_rows": costs.size,
        "nanoseconds": dict(zip(names, (prices * 1e9).tolist(), strict=True)),
        "counts_of_single_over_timed": dict(
            zip(names[1:], (of_rows / np.maximum(counts.sum(axis=0)[1:], 1)).tolist(), strict=True)
        ),
        "modeled_over_measured": float(costs.mean() * rows / (times.sum() - prices[0] * counts[:, 0].sum())),
        "unexplained": unexplained(times, counts, prices),
        "core_seconds": float(times.sum() / rows * corpus.n_rows),
        **describe(costs, sample),
    }


def time_chunks(
    corpus: Corpus, chunks: list[range], starts: list[Neighbors]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the CPU seconds and counts of each stretch with each block: calls, visits, the search's."""
    times, counts = [], []
    for chunk, start in zip(chunks, starts, strict=True):
        rows, neighbors = corpus.cut(chunk), copied(start)
        for block in corpus.nearest_first(chunk.start):
            began = time.thread_time()
            work = corpus.meet(rows, chunk.start, block, neighbors)
            times.append(time.thread_time() - began)
            tiles = len(corpus.blocks[block].tiles)
            counts.append((tiles, tiles * len(chunk), *work))
    return np.array(times), np.array(counts, float)


def copied(neighbors: Neighbors) -> Neighbors:
    """Return a copy of neighbors, which may be updated."""
    return Neighbors(neighbors.ids.copy(), neighbors.similarities.copy())


def fit(times: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the seconds for each count, none negative; long times weigh less than in proportion."""
    weights = 1 / np.sqrt(np.maximum(times, 1e-6))
    scales = np.maximum(counts.max(axis=0), 1)
    prices, _ = nnls(counts / scales * weights[:, None], times * weights)
    return np.asarray(prices / scales)


def unexplained(
    times: NDArray[np.float64], counts: NDArray[np.float64], prices: NDArray[np.float64]
) -> float:
    """Return the share of the variance of the times that the model does not explain."""
    return float(np.var(times - counts @ prices) / np.var(times))


def count_rows(corpus: Corpus, chunks: list[range], starts: list[Neighbors], every: int) -> Sample:
    """Search single rows, each from where it would start in a run."""
    counts, kth, mean = [], [], []
    for chunk, start in zip(chunks, starts, strict=True):
        for at in range(0, len(chunk), every):
            neighbors = copied(Neighbors(start.ids[at : at + 1], start.similarities[at : at + 1]))
            row = chunk[at]
            work = corpus.search(corpus.cut(range(row, row + 1)), row, neighbors)
            counts.append((corpus.n_tiles, *work))
            kth.append(neighbors.similarities[0, -1])
            mean.append(neighbors.similarities[0].mean())
    return Sample(np.array(counts, float), np.array(kth), np.array(mean))


def describe(costs: NDArray[np.float64], sample: Sample) -> Entry:
    """Return percentiles of the cost, shares of the costliest, and the cost by similarity and by novelty."""
    falling = np.sort(costs)[::-1]
    held = np.cumsum(falling) / falling.sum()
    return {
        "mean_us": float(costs.mean() * 1e6),
        "percentiles_us": {str(p): float(np.percentile(costs, p) * 1e6) for p in PERCENTILES},
        "share_of_costliest": {str(s): float(held[max(1, round(s * costs.size)) - 1]) for s in SHARES},
        "by_kth_similarity": by_range(costs, sample.kth),
        "by_novelty": by_range(costs, 1 - sample.mean),
        "curve": [float(held[round(p * (costs.size - 1) / 100)]) for p in range(101)],
    }


def by_range(costs: NDArray[np.float64], values: NDArray[np.float32]) -> list[Entry]:
    """Return rows, cost and share of the time for each range of a value."""
    found = []
    for low, high in pairwise(EDGES):
        within = costs[(values >= low) & ((values < high) | (high == EDGES[-1]))]
        if within.size:
            found.append(
                {
                    "from": low,
                    "to": high,
                    "share_of_rows": within.size / costs.size,
                    "share_of_time": float(within.sum() / costs.sum()),
                    "mean_us": float(within.mean() * 1e6),
                    "p99_us": float(np.percentile(within, 99) * 1e6),
                }
            )
    return found


def show(entry: Entry) -> None:
    """Print tables of one size."""
    click.echo(
        f"\n{entry['rows']:,} rows, k = {entry['k']}, {entry['features']}: "
        f"{entry['core_seconds']:.1f} core-s from {entry['timed_rows']:,} rows; "
        f"{entry['single_rows']:,} single rows, model over measured "
        f"{entry['modeled_over_measured']:.3f}, variance unexplained {entry['unexplained']:.3f}"
    )
    prices = ", ".join(f"{value:.2f} x {name}" for name, value in entry["nanoseconds"].items())
    click.echo(f"ns: {prices}")
    over = entry["counts_of_single_over_timed"].items()
    click.echo("counts, single over timed: " + ", ".join(f"{name} {value:.3f}" for name, value in over))
    costs = ", ".join(f"p{name} {value:.0f}" for name, value in entry["percentiles_us"].items())
    click.echo(f"us a row: mean {entry['mean_us']:.0f}, {costs}")
    shares = ", ".join(f"{float(s):.0%}: {value:.0%}" for s, value in entry["share_of_costliest"].items())
    click.echo(f"share of the time that the costliest rows take: {shares}")
    for name in ("by_kth_similarity", "by_novelty"):
        click.echo(f"{name:18}{'rows':>8}{'time':>8}{'us/row':>9}{'p99 us':>9}")
        for part in entry[name]:
            click.echo(
                f"{part['from']:.1f} to {part['to']:.1f}{'':8}{part['share_of_rows']:8.1%}"
                f"{part['share_of_time']:8.1%}{part['mean_us']:9.0f}{part['p99_us']:9.0f}"
            )


if __name__ == "__main__":
    main()
