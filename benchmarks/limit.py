"""Distance of the search from the least cost of its accesses, and from perfect thresholds.

    python benchmarks/limit.py --rows 100000 --output limit.json

Stretches of consecutive rows, evenly spread, are searched against all blocks twice: as in a run, and once
more with their final neighbors as the start.  The second has the best possible thresholds, so its counts are
the least that this way of searching needs.

The floor is worked out from those counts, with multiply-adds split by kind.  `TOUCHES` gives, for each count,
the least bytes that are read and the operation that is done; `rates` measures how fast this machine reads
from each level of its memory and does each operation in a loop of its own.  Bytes over bytes a second is the
floor of memory traffic, operations over operations a second that of arithmetic.  Neither includes what comes
between: choosing prefixes, loading rows, mispredicted branches, and waiting for data that is in no near cache
yet.

CPU seconds are those of one thread, scaled up from the sampled rows to all.
"""

import time
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from corpora import corpus_option, name_of, read_corpus
from hard_rows import copied
from matrices import Corpus, make_matrix
from numpy.typing import NDArray
from rates import LIST_LENGTHS, Rates, measure_rates
from results import Entry, add_entries

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.search.coarse import MOST_TILES
from novelty_dask.kernels.search.finish import Comparison
from novelty_dask.kernels.search.lists import Lists as GroupLists
from novelty_dask.kernels.search.scan import NO_MARKS
from novelty_dask.kernels.search.scratch import Scratch, allocate_scratch, fit_scratch
from novelty_dask.kernels.search.survivors import choose_vectors, open_lists
from novelty_dask.kernels.search.topk import (
    NO_GROUPS,
    Neighbors,
    SearchCounts,
    _by_level,
    _sort_tiles,
    _survey,
)

KEY = ("features", "rows", "k")


class Touch(NamedTuple):
    """Least cost of one unit of a count.

    Parameters
    ----------
    read : float
        Bytes.
    level : str
        Nearest memory in which they can all lie: L1, L2, L3 or memory.
    operation : str
        What is done with them, by its name among the rates; for entries of lists, with the length left open.
    of_a_row : bool
        Bytes and operations are for each non-zero of a row.
    """

    read: float
    level: str
    operation: str
    of_a_row: bool = False


TOUCHES = {
    # Start and end of a list, and the weight of its steps.
    "lists": Touch(12, "L2", "find_list"),
    # Group and maximum of an entry; its sum is in the first-level cache.
    "maxima": Touch(3, "L2", "add_to_group_{}"),
    # Maxima of sixteen groups; their sums are in the first-level cache.
    "dense": Touch(16, "L2", "add_dense"),
    # Group and sixteen weights of an entry, megabytes in a tile; sums are in the first-level cache.
    "vectors": Touch(18, "L3", "add_to_rows_{}"),
    # A sum, and a step of a norm.
    "slots": Touch(3, "L1", "compare_sum"),
    # Column and weight of each non-zero of a candidate somewhere in its block.
    "finished": Touch(8, "L3", "multiply_gathered", of_a_row=True),
    # The same of a row that was read a moment ago.
    "adjacent": Touch(8, "L2", "multiply_gathered", of_a_row=True),
}
"""For each count.  Multiply-adds are split into `maxima` and `dense` of groups, and `vectors` of rows."""

FLOORS = ("operations", "traffic")


@click.command(help=__doc__)
@click.option(
    "--rows", multiple=True, type=int, default=[30_000], help="Rows of the corpus; repeat for more."
)
@click.option("--k", default=10, help="Neighbors of a row.")
@click.option("--features", default="char:3-3", help="char or word n-grams.")
@click.option("--chunks", default=64, help="Stretches of consecutive rows.")
@click.option("--chunk-rows", default=512, help="Rows of a stretch.")
@corpus_option
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to add results to.")
def main(**options: Any) -> None:
    """Measure the rates once, and every size."""
    rates = measure_rates()
    show_rates(rates)
    for rows in options["rows"]:
        entry = measure(read_corpus(rows, options["corpus"]), rates, options)
        show(entry)
        add_entries(options["output"], name_of(options["corpus"]), [entry], KEY)


def measure(urls: list[str], rates: Rates, options: Entry) -> Entry:
    """Search as in a run and with final thresholds; work out the floor of the latter."""
    corpus = Corpus.of(make_matrix(urls, options["features"]))
    chunks = corpus.chunks(options["chunks"], options["chunk_rows"])
    n_sampled = sum(map(len, chunks))
    found = [search_chunk(corpus, chunk, corpus.seed(chunk, options["k"])) for chunk in chunks]
    known = [search_chunk(corpus, chunk, each[2]) for chunk, each in zip(chunks, found, strict=True)]
    nonzeros = corpus.X.nnz / corpus.n_rows
    counts = {"as_it_is": per_row(found, n_sampled), "thresholds_known": per_row(known, n_sampled)}
    visited = [count_lists(corpus, chunk, each[2]) for chunk, each in zip(chunks, found, strict=True)]
    of_lists = Lists(*(sum(each) / n_sampled for each in zip(*visited, strict=True)))
    floors = floor(told_apart(counts["thresholds_known"], of_lists), rates, nonzeros)
    least = {name: sum(part[f"{name}_us"] for part in floors.values()) / 1e6 for name in FLOORS}
    return {
        "features": options["features"],
        "rows": corpus.n_rows,
        "k": options["k"],
        "sampled_rows": n_sampled,
        "nonzeros_per_row": nonzeros,
        "counts_per_row": counts,
        "core_seconds": {
            "as_it_is": seconds_of(found, n_sampled) * corpus.n_rows,
            "thresholds_known": seconds_of(known, n_sampled) * corpus.n_rows,
            **{f"floor_of_{name}": seconds * corpus.n_rows for name, seconds in least.items()},
        },
        "floor_per_row": floors,
        "rates": rates,
    }


Searched = tuple[float, SearchCounts, Neighbors]


class Lists(NamedTuple):
    """Cost of adding maxima: lists looked up, entries, and steps of 16 groups in lists that are dense."""

    lists: float
    maxima: float
    dense: float


def search_chunk(corpus: Corpus, chunk: range, start: Neighbors) -> Searched:
    """Return CPU seconds, counts and neighbors of a stretch of rows."""
    rows, neighbors = corpus.cut(chunk), copied(start)
    began = time.thread_time()
    work = corpus.search(rows, chunk.start, neighbors)
    return time.thread_time() - began, work, neighbors


def per_row(searched: list[Searched], n_rows: int) -> dict[str, float]:
    """Return the counts of one row, on average."""
    total = sum((work for _, work, _ in searched), SearchCounts())
    return {name: count / n_rows for name, count in total._asdict().items()}


def seconds_of(searched: list[Searched], n_rows: int) -> float:
    """Return the CPU seconds of one row, on average."""
    return sum(seconds for seconds, _, _ in searched) / n_rows


def count_lists(corpus: Corpus, chunk: range, neighbors: Neighbors) -> Lists:
    """Return the cost of adding maxima for a stretch of rows whose thresholds don't change."""
    rows, visited = corpus.cut(chunk), []
    of_rows = np.arange(rows.n_rows, dtype=np.int32)
    for number, block in enumerate(corpus.blocks):
        start = number * corpus.block_rows
        comparison = Comparison(rows.rows, block.rows, neighbors, chunk.start, start, 0, *NO_GROUPS)
        [stretch] = rows.distinct
        of_tiles = [tile.lists for tile in block.tiles]
        most = max(lists.n_groups for lists in (*of_tiles, *block.levels))
        scratch = allocate_scratch(rows.rows, rows.n_columns, most)
        near, far = _sort_tiles(comparison, stretch, block.tiles)
        visits = [(of_tiles[tile], of_rows, NO_MARKS) for tile in near]
        for level, some in _by_level(far).items():
            marks, _ = _survey(comparison, of_rows, block, level, len(some), scratch)
            if marks.size:
                visits.append((block.levels[level], of_rows, NO_MARKS))
            for tile in some:
                left = marks[tile % MOST_TILES] != 0 if marks.size else slice(None)
                visits.append((of_tiles[tile], of_rows[left], marks[tile % MOST_TILES][left]))
        for lists, some_rows, marked in visits:
            part = fit_scratch(scratch, lists.n_groups)
            visited.append(_visit(comparison, some_rows, lists, marked, part))
    return Lists(*map(sum, zip(*visited, strict=True)))


@compiled_loop
def _visit(
    comparison: Comparison,
    rows: NDArray[np.int32],
    lists: GroupLists,
    marks: NDArray[np.uint64],
    scratch: Scratch,
) -> tuple[int, int, int]:
    """Return lists, entries and steps of the prefixes of some rows in the lists of a tile."""
    opened = entries = steps = 0
    n_vectors = scratch.vectors.size
    for row in range(rows.size):
        if marks.size > 0:
            n_vectors = choose_vectors(marks[row], scratch)
        _, n_lists = open_lists(comparison, rows[row], lists, scratch)
        opened += n_lists
        for number in range(n_lists):
            length = scratch.last[number] - scratch.first[number]
            if length >> lists.shift:
                steps += n_vectors
            else:
                entries += length
    return opened, entries, steps


def told_apart(counts: dict[str, float], lists: Lists) -> dict[str, float]:
    """Return the counts with multiply-adds split by kind, and the lists they are in."""
    others = {name: count for name, count in counts.items() if name != "multiply_adds"}
    vectors = counts["multiply_adds"] - lists.maxima - lists.dense
    return {**lists._asdict(), "vectors": vectors, **others}


def floor(counts: dict[str, float], rates: Rates, nonzeros: float) -> dict[str, dict[str, float]]:
    """Return the bytes of each count of a row, and microseconds of reading them and of the operations."""
    length = next(
        (each for each in LIST_LENGTHS if each >= counts["maxima"] / counts["lists"]), LIST_LENGTHS[-1]
    )
    parts = {}
    for name, count in counts.items():
        touch = TOUCHES[name]
        units = count * (nonzeros if touch.of_a_row else 1)
        parts[name] = {
            "count": count,
            "bytes": units * touch.read,
            "traffic_us": units * touch.read / rates[f"read_{touch.level}"] * 1e6,
            "operations_us": units / rates[touch.operation.format(length)] * 1e6,
        }
    return parts


def show_rates(rates: Rates) -> None:
    """Print what this machine can do."""
    for name, rate in rates.items():
        click.echo(f"{name:20}{rate / 1e9:10.2f} {'GB/s' if name.startswith('read') else 'G/s'}")


def show(entry: Entry) -> None:
    """Print tables of one size."""
    click.echo(
        f"\n{entry['rows']:,} rows, k = {entry['k']}, {entry['features']}, "
        f"from {entry['sampled_rows']:,} rows"
    )
    for name, counts in entry["counts_per_row"].items():
        click.echo(
            f"{name}, of a row: " + ", ".join(f"{count:,.1f} {each}" for each, count in counts.items())
        )
    header = ("count", "bytes", "traffic us", "operations us")
    click.echo(f"{'floor of a row':16}" + "".join(f"{name:>15}" for name in header))
    for name, part in entry["floor_per_row"].items():
        click.echo(f"{name:16}" + "".join(f"{cell:15,.1f}" for cell in part.values()))
    for name, seconds in entry["core_seconds"].items():
        share = seconds / entry["core_seconds"]["as_it_is"]
        click.echo(f"{name:22}{seconds:10.2f} core-s{share:8.0%} of what it takes")


if __name__ == "__main__":
    main()
