"""All pairs at least so similar: against brute force, for any cut, by any executor, after any stop."""

import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import novelty_dask
from novelty_dask import events as novelty_dask_events
from novelty_dask.cli import main
from novelty_dask.engines import threshold
from novelty_dask.engines.threshold import Candidates, Pairs, ThresholdEngine
from novelty_dask.errors import BudgetError, SettingsError, StoreError
from novelty_dask.kernels.search.columns import order_columns
from novelty_dask.objects.address import open_objects
from novelty_dask.objects.owners import check_epoch, claim
from novelty_dask.similar.tiles import pack, unpack
from novelty_dask.similar.work import begin, clear_folder, open_folder, remove_folder
from tests.support.damage import flip_file
from tests.support.files import read_real_lines, snapshot

URLS, _ = novelty_dask.datasets.make_urls(600)


def brute_pairs(run: novelty_dask.Run, at_least: float) -> dict[tuple[int, int], float]:
    """All pairs of a run by its definition: products of float32 weights in float64, rounded once."""
    stored = run._results.arrays
    plan = run.manifest.plan
    assert plan
    n_columns = int(stored.read("columns/breakpoints").max())
    parts = [
        stored.read_csr("weights", block, (plan.bounds(block)[1] - plan.bounds(block)[0], n_columns))
        for block in range(plan.n_blocks)
    ]
    dense = sp.vstack(parts).toarray().astype(np.float64)
    found = {}
    for i in range(len(dense)):
        for j in range(i + 1, len(dense)):
            total = 0.0
            for column in np.flatnonzero(dense[i] * dense[j]):
                total += dense[i, column] * dense[j, column]
            similarity = np.float32(min(total, 1.0))
            if similarity >= at_least:
                found[i, j] = float(similarity)
    return found


def as_dict(frame: pd.DataFrame | None) -> dict[tuple[int, int], float]:
    """Pairs by their rows."""
    assert frame is not None
    rows = zip(frame.row.tolist(), frame.other.tolist(), strict=True)
    return dict(zip(rows, frame.similarity.astype(float).tolist(), strict=True))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> novelty_dask.Run:
    """A run of three blocks."""
    folder = tmp_path_factory.mktemp("pairs")
    return novelty_dask.score(urls=URLS, out=folder / "run.zarr", block_rows=250, workers=0)


@pytest.mark.sampled
@pytest.mark.parametrize("at_least", [0.2, 0.5, 0.8, 1.0])
def test_pairs_are_those_of_brute_force_to_the_bit(at_least: float) -> None:
    run = novelty_dask.score(urls=URLS[:150], block_rows=64, workers=0)
    assert as_dict(run.pairs(at_least=at_least)) == brute_pairs(run, at_least)


def test_similarities_are_those_of_the_neighbors(run: novelty_dask.Run) -> None:
    found = as_dict(run.pairs(at_least=0.4))
    ids, similarities = run.neighbors.ids[:], run.neighbors.similarities[:]
    n_compared = 0
    for row in range(len(run)):
        for other, similarity in zip(ids[row].tolist(), similarities[row].tolist(), strict=True):
            if other >= 0 and similarity >= 0.4:
                assert found[min(row, other), max(row, other)] == similarity
                n_compared += 1
    assert n_compared > 100


@given(
    st.lists(st.lists(st.integers(0, 3), min_size=6, max_size=6), min_size=2, max_size=40),
    st.sampled_from([0.1, 0.5, 0.75, 0.8, 1.0]),
    st.integers(1, 39),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_small_rows_with_many_equal_ones(
    monkeypatch: pytest.MonkeyPatch, rows: list[list[int]], at_least: float, split: int
) -> None:
    # Few places, so that rows go on to those with more, and at last to pieces.
    monkeypatch.setattr(threshold, "LEVELS", ((7, 2), (3, 4)))
    monkeypatch.setattr(threshold, "DENSE_ROWS", 2)
    monkeypatch.setattr(threshold, "PIECE_ROWS", 3)
    monkeypatch.setattr(threshold, "PART_PAIRS", 5)
    dense = np.array(rows, np.float64)
    norms = np.linalg.norm(dense, axis=1, keepdims=True)
    X = sp.csr_matrix((dense / np.where(norms == 0, 1, norms)).astype(np.float32))
    columns = order_columns(np.bincount(X.indices, minlength=6))
    ranked = X.tocoo()
    places = ranked.row, columns.rank[ranked.col]
    X = sp.csr_matrix((ranked.data, places), (len(rows), columns.breakpoints[-1]))
    X.sort_indices()
    engine = ThresholdEngine(columns.breakpoints, at_least)
    parts = [X[:split], X[split:]] if split < len(rows) else [X]
    starts = [0, split][: len(parts)]
    found = [
        pairs
        for b, candidates in enumerate(parts)
        for a in range(b + 1)
        for pairs in engine.find(parts[a], Candidates(candidates, engine), (starts[a], starts[b]))
    ]
    assert all(pairs.rows.size <= 5 or np.unique(pairs.rows).size == 1 for pairs in found)
    weights = X.toarray().astype(np.float64)
    expected = {}
    for i in range(len(rows)):
        for j in range(i + 1, len(rows)):
            total = 0.0
            for product in weights[i] * weights[j]:
                total += product
            if np.float32(min(total, 1.0)) >= at_least:
                expected[i, j] = np.float32(min(total, 1.0))
    joined = Pairs.join(found)
    keys = list(zip(joined.rows.tolist(), joined.others.tolist(), strict=True))
    assert len(set(keys)) == len(keys)
    assert dict(zip(keys, joined.similarities.tolist(), strict=True)) == expected


@pytest.mark.long
def test_every_cut_and_every_executor_writes_the_same_bytes(tmp_path: Path, run: novelty_dask.Run) -> None:
    other = novelty_dask.score(urls=URLS, out=tmp_path / "other.zarr", block_rows=37, workers=0)
    files = []
    for number, (each, workers) in enumerate([(run, 0), (other, 0), (run, 2)]):
        out = tmp_path / f"{number}.parquet"
        each.pairs(out, at_least=0.3, workers=workers)
        files.append(out.read_bytes())
        assert not (tmp_path / f"{number}.parquet.tiles").exists()
    assert files[0] == files[1] == files[2]
    frame = pq.read_table(tmp_path / "0.parquet").to_pandas()
    assert len(frame) > 1_000
    assert all(a < b for a, b in pairwise(zip(frame.row, frame.other, strict=True)))
    assert (frame.row < frame.other).all()


@pytest.mark.long
def test_a_command_that_is_killed_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    run = novelty_dask.score(urls=URLS, out=tmp_path / "run.zarr", block_rows=20, workers=0)
    run.pairs(tmp_path / "whole.csv", at_least=0.3)
    before = snapshot(tmp_path / "run.zarr")
    out, tiles = tmp_path / "killed.csv", tmp_path / "killed.csv.tiles"
    command = ["pairs", run.url, "--at-least", "0.3", "-o", str(out), "-q"]
    process = subprocess.Popen([sys.executable, "-m", "novelty_dask", *command], env={**os.environ})
    deadline = time.monotonic() + 120
    while len([*tiles.glob("commits/pairs/*.json")]) < 3 and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = [*tiles.glob("commits/pairs/*.json")]
    assert kept
    assert not out.exists()
    stamps = {path: path.stat().st_mtime_ns for path in kept}
    listened: list[object] = []
    run.pairs(out, at_least=0.3, listener=listened.append)
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    [started] = [event for event in listened if isinstance(event, novelty_dask_events.StageStarted)]
    assert started.done >= len(stamps)
    assert snapshot(tmp_path / "run.zarr") == before


ENDS = {
    "before the tiles go": "find.clear_folder = lambda _: os._exit(77)",
    "while they go": """
remove, calls = LocalObjects.remove, iter(range(3))
def remove_some(objects, key):
    if objects.read("pairs.json") == b"finished" and next(calls, None) is None:
        os._exit(77)
    remove(objects, key)
LocalObjects.remove = remove_some
""",
    "before the file is written": "pairs.write_stream = lambda *_, **__: os._exit(77)",
}
"""Code that ends a process at some point of a search for pairs."""


def end_at(point: str, run: novelty_dask.Run, out: Path, *, overwrite: bool = False) -> None:
    """Search for pairs in a process that ends at some point, as if it were killed there."""
    code = f"""
import os, novelty_dask
from novelty_dask.objects.local import LocalObjects
from novelty_dask.similar import find, pairs
{ENDS[point]}
novelty_dask.pairs({run.url!r}, {str(out)!r}, at_least=0.5, overwrite={overwrite}, workers=0)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 77


@pytest.mark.parametrize("point", ["before the tiles go", "while they go"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_tiles_of_a_file_that_was_written_are_removed_by_the_next_call(
    tmp_path: Path, run: novelty_dask.Run, point: str, overwrite: bool
) -> None:
    out, tiles = tmp_path / "pairs.csv", tmp_path / "pairs.csv.tiles"
    if overwrite:
        out.write_text("mine")
    end_at(point, run, out, overwrite=overwrite)
    written = out.read_bytes()
    assert tiles.exists()
    with pytest.raises(StoreError, match="exists"):
        run.pairs(out, at_least=0.5)
    assert [*tmp_path.iterdir()] == [out]
    assert out.read_bytes() == written != b"mine"


def test_tiles_that_are_half_removed_make_room_for_others(tmp_path: Path, run: novelty_dask.Run) -> None:
    out = tmp_path / "pairs.csv"
    end_at("while they go", run, out)
    out.unlink()
    run.pairs(out, at_least=0.9)
    run.pairs(tmp_path / "other.csv", at_least=0.9)
    assert out.read_bytes() == (tmp_path / "other.csv").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"pairs.csv", "other.csv"}


def test_finished_tiles_are_removed_by_their_owner_alone(tmp_path: Path, run: novelty_dask.Run) -> None:
    out, tiles = tmp_path / "pairs.csv", tmp_path / "pairs.csv.tiles"
    end_at("while they go", run, out)
    written = out.read_bytes()
    with claim(open_objects(str(tiles)), str(tiles)):
        before = snapshot(tiles)
        for overwrite in (True, False):
            with pytest.raises(StoreError, match="is being worked on" if overwrite else "exists"):
                run.pairs(out, at_least=0.5, overwrite=overwrite)
        assert snapshot(tiles) == before
    run.pairs(out, at_least=0.5, overwrite=True)
    assert out.read_bytes() == written
    assert [*tmp_path.iterdir()] == [out]


def test_a_folder_that_has_a_new_owner_is_not_removed(tmp_path: Path) -> None:
    tiles = str(tmp_path / "tiles")
    objects = open_folder(tiles, b"search none")
    with claim(objects, tiles) as first:
        begin(objects, tiles, b"search none")
        objects.write("tile", b"1")
        clear_folder(objects)
    with claim(objects, tiles) as second:
        begin(objects, tiles, b"other none")
        objects.write("tile", b"2")
        remove_folder(objects, first.epoch)
        assert objects.read("tile") == b"2"
        check_epoch(objects, second.epoch)
        # One that began at the same moment, and read the mark before it was changed.
        with pytest.raises(StoreError, match="another run or threshold"):
            begin(objects, tiles, b"search none")
    remove_folder(objects, second.epoch)
    assert not (tmp_path / "tiles").exists()


def test_tiles_of_a_file_that_is_yet_to_be_replaced_stay(tmp_path: Path, run: novelty_dask.Run) -> None:
    out, tiles = tmp_path / "pairs.csv", tmp_path / "pairs.csv.tiles"
    out.write_text("mine")
    end_at("before the file is written", run, out, overwrite=True)
    kept = {path: path.stat().st_mtime_ns for path in tiles.glob("commits/pairs/*.json")}
    with pytest.raises(StoreError, match="exists"):
        run.pairs(out, at_least=0.5)
    assert kept
    assert {path: path.stat().st_mtime_ns for path in tiles.glob("commits/pairs/*.json")} == kept
    run.pairs(out, at_least=0.5, overwrite=True)
    assert out.read_text() != "mine"
    assert [*tmp_path.iterdir()] == [out]


def test_damaged_tiles_are_found(
    tmp_path: Path, run: novelty_dask.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "pairs.csv"

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("novelty_dask.similar.pairs.write_stream", stop)
        with pytest.raises(KeyboardInterrupt):
            run.pairs(out, at_least=0.3)
    found = sorted((tmp_path / "pairs.csv.tiles" / "tiles").rglob("*"))
    tile = next(path for path in found if path.is_file())
    flip_file(tile)
    with pytest.raises(StoreError, match="checksum"):
        run.pairs(out, at_least=0.3)
    assert not out.exists()


@pytest.mark.parametrize("at_least", [0, -0.1, 1.01, float("nan"), True, "0.8"])
def test_a_threshold_that_is_none_is_refused(tmp_path: Path, run: novelty_dask.Run, at_least: Any) -> None:
    with pytest.raises(SettingsError, match="above 0, at most 1"):
        run.pairs(tmp_path / "pairs.csv", at_least=at_least)
    assert not [*tmp_path.iterdir()]


def test_what_is_wrong_is_said_before_anything_is_written(tmp_path: Path, run: novelty_dask.Run) -> None:
    there = tmp_path / "there.csv"
    there.write_text("mine")
    against = novelty_dask.score(urls=URLS[:9], out=tmp_path / "new.zarr", against=run, workers=0)
    before = snapshot(tmp_path)
    with pytest.raises(StoreError, match="exists"):
        run.pairs(there, at_least=0.5)
    with pytest.raises(SettingsError, match="format"):
        run.pairs(tmp_path / "pairs.txt", at_least=0.5)
    with pytest.raises(StoreError, match="compared with a reference"):
        against.pairs(tmp_path / "pairs.csv", at_least=0.5)
    with pytest.raises(StoreError, match="holds no tiles"):
        run.pairs(tmp_path / "pairs.csv", at_least=0.5, tiles=tmp_path)
    with pytest.raises(StoreError, match="inside the run"):
        run.pairs(f"{run.url}/pairs.csv", at_least=0.5)
    with pytest.raises(BudgetError, match="projected"):
        run.pairs(tmp_path / "pairs.csv", at_least=0.5, memory_limit="1 MB")
    assert snapshot(tmp_path) == before


def test_the_command_writes_pairs(tmp_path: Path, run: novelty_dask.Run) -> None:
    out = tmp_path / "pairs.jsonl"
    done = CliRunner().invoke(main, ["pairs", run.url, "--at-least", "0.8", "-o", str(out), "-q"])
    assert done.exit_code == 0, done.output
    frame = run.pairs(at_least=0.8)
    assert frame is not None
    assert len(out.read_text().splitlines()) == len(frame)
    refused = CliRunner().invoke(main, ["pairs", run.url, "--at-least", "2", "-o", str(out)])
    assert refused.exit_code == 2
    assert "at most 1" in refused.output
    # Nothing is so similar, and the file has its header.
    empty = tmp_path / "none.csv"
    few = novelty_dask.score(urls=["http://a.example/", "ftp://other.invalid/x"], workers=0)
    few.pairs(empty, at_least=1)
    assert empty.read_text() == '"row","other","url","other_url","similarity"\n'


def test_packed_pairs_are_unpacked_or_refused() -> None:
    pairs = Pairs(np.array([1, 2]), np.array([3, 4]), np.array([0.5, 1], np.float32))
    for before, after in zip(pairs, unpack(pack(pairs)), strict=True):
        np.testing.assert_array_equal(before, after)
    with pytest.raises(StoreError):
        unpack(pack(pairs)[:-3])


def test_a_real_corpus_is_exact(corpora: Path) -> None:
    run = novelty_dask.score(urls=read_real_lines(corpora, 3_000), block_rows=800, workers=0)
    plan = run.manifest.plan
    assert plan
    arrays = run._results.arrays
    n_columns = int(arrays.read("columns/breakpoints").max())
    shapes = [(plan.bounds(block)[1] - plan.bounds(block)[0], n_columns) for block in range(plan.n_blocks)]
    X = sp.vstack([arrays.read_csr("weights", block, shape) for block, shape in enumerate(shapes)])
    product = sp.triu(X.astype(np.float64) @ X.T.astype(np.float64), 1).tocoo()
    is_kept = product.data >= 0.7
    expected = set(zip(product.row[is_kept].tolist(), product.col[is_kept].tolist(), strict=True))
    found = as_dict(run.pairs(at_least=0.7))
    assert len(expected) > 500
    # A pair right at the threshold may round to either side of it.
    near = product.data[np.abs(product.data - 0.7) < 1e-6].size
    assert len(expected.symmetric_difference(found)) <= near
