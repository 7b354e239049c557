"""URLs in memory, and Dask collections of them, are scored as a file of them, and outlive their process."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import dask.array as da
import dask.bag as db
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from distributed import Client

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.errors import InputError, SettingsError, StoreError
from novelty_dask.run import Run
from tests.support.arrays import listed
from tests.support.listeners import stop_at

URLS = make_urls(400)[0]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run of a file of the same lines."""
    folder = tmp_path_factory.mktemp("memory")
    (folder / "urls.txt").write_text("\n".join(URLS), encoding="utf-8")
    return novelty_dask.score(folder / "urls.txt", folder / "run.zarr")


def same(run: Run, expected: Run) -> bool:
    """Whether two runs have the same rows."""
    assert listed(run.urls[:]) == listed(expected.urls[:])
    np.testing.assert_array_equal(run.novelty[:], expected.novelty[:])
    np.testing.assert_array_equal(run.positions[:], expected.positions[:])
    return True


def test_a_list_is_scored_as_a_file_of_its_lines(expected: Run) -> None:
    run = novelty_dask.score(urls=iter(URLS))
    assert same(run, expected)
    top = run.top(3)
    assert top.source.tolist() == ["urls"] * 3
    assert [URLS[line - 1] for line in top.line] == top.url.tolist()


@pytest.mark.sampled
@pytest.mark.parametrize(
    "collection",
    [
        db.from_sequence(URLS, npartitions=3),
        dd.from_pandas(pd.Series(URLS), npartitions=3, sort=False),
        da.from_array(np.array(URLS, object), chunks=200),
    ],
    ids=["Bag", "Series", "Array"],
)
def test_a_collection_is_scored_on_the_workers(collection: Any, expected: Run, client: Client) -> None:
    run = novelty_dask.score(urls=collection, client=client)
    assert same(run, expected)
    assert len(run.manifest.sources) == collection.npartitions


def test_a_bag_is_scored_without_a_cluster(expected: Run, tmp_path: Path) -> None:
    bag = db.from_sequence(URLS, npartitions=3)
    run = novelty_dask.score(out=tmp_path / "run.zarr", urls=bag)
    assert same(run, expected)
    # Found to be the same, and opened.
    assert novelty_dask.score(out=tmp_path / "run.zarr", urls=bag).url == run.url
    with pytest.raises(StoreError, match="its sources differ: what was in memory had "):
        novelty_dask.score(out=tmp_path / "run.zarr", urls=db.from_sequence(URLS[1:], npartitions=3))


def test_a_stopped_run_goes_on_without_what_was_in_memory(expected: Run, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score(out=tmp_path / "run.zarr", urls=URLS, listener=stop_at("ingest", 1))
    assert same(novelty_dask.resume(tmp_path / "run.zarr"), expected)
    assert not (tmp_path / "run.zarr" / "work" / "urls-00000").exists()


KILLED = """
import os, signal, sys
import novelty_dask
def urls():
    yield from open(sys.argv[1], encoding="utf-8")
    os.kill(os.getpid(), signal.SIGKILL)
novelty_dask.score(out=sys.argv[2], urls=urls())
"""


def test_half_of_what_was_in_memory_is_no_run(expected: Run, tmp_path: Path) -> None:
    source, run = expected.manifest.sources[0].path, tmp_path / "run.zarr"
    killed = subprocess.run([sys.executable, "-c", KILLED, source, run], check=False, timeout=120)
    assert killed.returncode < 0
    with pytest.raises(InputError, match="before all of what was in memory was stored; score it"):
        novelty_dask.resume(run)
    assert same(novelty_dask.score(out=run, urls=URLS), expected)


def test_an_error_of_what_makes_the_urls_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Any:
        yield from URLS[:10]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        novelty_dask.score(out=tmp_path / "run.zarr", urls=broken())
    assert not (tmp_path / "run.zarr").exists()
    with pytest.raises(InputError, match=r"number 0 \(from 0\) is int"):
        novelty_dask.score(out=tmp_path / "run.zarr", urls=db.from_sequence([1, 2]))
    assert not (tmp_path / "run.zarr").exists()


def test_names_and_urls_are_not_given_together(tmp_path: Path) -> None:
    for names in (None, tmp_path / "urls.txt"):
        with pytest.raises(InputError, match=r"^Give either the names of sources or urls=, "):
            novelty_dask.score(names, urls=None if names is None else URLS)
    with pytest.raises(SettingsError, match="URLs in memory have no input_format and no column"):
        novelty_dask.score(urls=URLS, column="url")


BAG = """
import resource, sys
import dask.bag as db
from distributed import Client, LocalCluster
import novelty_dask
from novelty_dask.events import StageStarted

PARTITION = 5_000

def make(parts):
    numbers = (n for part in parts for n in range(part * PARTITION, (part + 1) * PARTITION))
    return [f"https://h{n % 977}.example/{n * 7_919 % 1_000_003}/{n}" for n in numbers]

def stop(event):
    if isinstance(event, StageStarted) and event.stage == "vectorize":
        raise KeyboardInterrupt

if __name__ == "__main__":
    n_parts = int(sys.argv[1]) // PARTITION
    bag = db.from_sequence(range(n_parts), npartitions=n_parts).map_partitions(make)
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
        with Client(cluster) as client:
            try:
                novelty_dask.score(urls=bag, out=sys.argv[2], client=client, listener=stop)
            except KeyboardInterrupt:
                print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def client_peak(folder: Path, n_urls: int) -> int:
    """Most memory of a client, with its scheduler, that reads and sorts a bag of so many URLs, in bytes."""
    script = folder / "bag.py"
    script.write_text(BAG)
    command = [sys.executable, str(script), str(n_urls), str(folder / f"{n_urls}.zarr")]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=500)
    return int(done.stdout) * 1_024


@pytest.mark.long
def test_the_client_of_a_bag_needs_no_more_memory_for_more_urls(tmp_path: Path) -> None:
    # A million such URLs as a list take 100 MB.
    assert client_peak(tmp_path, 1_000_000) < client_peak(tmp_path, 100_000) + 32 * 2**20
