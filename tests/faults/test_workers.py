"""Workers that die, freeze, are busy for long, come and go, and tasks that take their worker with them."""

import json
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import novelty_dask
from novelty_dask.cli import main
from novelty_dask.cli.failures import ExitCode
from novelty_dask.kernels.neighbors import Neighbors
from novelty_dask.kernels.search.columns import order_columns
from novelty_dask.kernels.search.topk import prepare, search
from novelty_dask.kernels.text.ngrams import count_ngrams
from novelty_dask.kernels.text.tfidf import (
    document_frequency,
    inverse_document_frequency,
    renumber_columns,
    weigh,
)
from tests.support.cluster import Cluster
from tests.support.content import Content, content, content_and_exports
from tests.support.fixtures import Measured
from tests.support.processes import kill, wait_until
from tests.support.record import FLAGS, SETTINGS, WORK, commits

TTL_SECONDS = 6
TILES = 64
pytestmark = pytest.mark.usefixtures("many_tasks")


def tiles_done(out: Path) -> int:
    """Committed tiles."""
    return len(list((out / "commits" / "compare").glob("*.json")))


def is_done(out: Path, share: float) -> bool:
    """Whether a share of all tiles is committed."""
    return tiles_done(out) >= share * TILES


def merged(out: Path) -> bool:
    """Whether the last stage has begun."""
    return (out / "commits" / "merge").exists()


def scored(
    cluster: Cluster, corpus: Path, out: Path, meanwhile: Callable[[Callable[[], bool]], None]
) -> novelty_dask.Run:
    """Score on a cluster; meanwhile do what is asked, which is told whether the run has ended."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(novelty_dask.score, corpus, out, scheduler=cluster.address, **SETTINGS, **WORK)
        try:
            meanwhile(running.done)
        finally:
            run = running.result()
    return run


def test_killed_workers_cost_what_they_were_at(
    cluster: Cluster, corpus: Path, undisturbed: Content, tmp_path: Path, measured: Measured
) -> None:
    cluster.scale(3)
    record, out = cluster.record, tmp_path / "run.zarr"
    start = record.mark()
    done_before: list[tuple[int, set[str]]] = []

    def meanwhile(_ended: Callable[[], bool]) -> None:
        for share in (0.25, 0.5, 0.75):
            wait_until(partial(is_done, out, share))
            done_before.append((record.mark(), commits(out)))
            kill(cluster.worker_pids()[0])

    run = scored(cluster, corpus, out, meanwhile)
    assert content_and_exports(run) == undisturbed
    # One that is killed as it starts has never been a worker.
    deaths = sum(took["deaths"] for took in run.manifest.stages.values())
    assert deaths in (1, 2, 3)
    assert f"Of the worker processes, {deaths} died." in run.report().html
    for mark, done in done_before:
        assert not done & set(record.attempts(since=mark))
    attempts = record.attempts("compare", start).total()
    measured("attempts", attempts)
    assert attempts <= TILES + 3


def test_workers_killed_while_sources_are_added(cluster: Cluster, corpus: Path, tmp_path: Path) -> None:
    *base, new = sorted(corpus.iterdir())
    run = novelty_dask.score(base, tmp_path / "run.zarr", workers=0, **SETTINGS, **WORK)
    shutil.copytree(run.url, tmp_path / "copy.zarr")
    expected = content(novelty_dask.add(new, tmp_path / "copy.zarr", workers=0))
    cluster.scale(3)
    record, kills = cluster.record, 0
    start = record.mark()
    record.ask(compare=["sleep", 0.2], merge=["sleep", 0.2])
    with ThreadPoolExecutor(1) as pool:
        adding = pool.submit(novelty_dask.add, new, run, scheduler=cluster.address, **WORK)
        # New rows among those of the run, then all rows among the new ones.
        for stage in ("compare", "merge"):
            wait_until(lambda stage=stage: record.attempts(stage, start) or adding.done())  # type: ignore[misc]
            if not adding.done():
                kill(cluster.worker_pids()[0])
                kills += 1
        grown = adding.result()
    assert kills == 2
    assert content(grown) == expected
    assert not (tmp_path / "run.zarr.growing").exists()


@pytest.mark.long
def test_workers_killed_all_the_time(
    cluster: Cluster, corpus: Path, undisturbed: Content, tmp_path: Path, measured: Measured
) -> None:
    cluster.scale(3)
    record, out = cluster.record, tmp_path / "run.zarr"
    start = record.mark()
    chance, kills = random.Random(4), 0
    record.ask(compare=["sleep", 0.3])

    def meanwhile(ended: Callable[[], bool]) -> None:
        nonlocal kills
        while not ended():
            done = commits(out)
            time.sleep(min(chance.expovariate(1 / 3), 8))
            # On a slow machine workers would be killed before they have done anything.
            while not ended() and commits(out) <= done:
                time.sleep(0.005)
            if (pids := cluster.worker_pids()) and not ended():
                kill(chance.choice(pids))
                kills += 1

    run = scored(cluster, corpus, out, meanwhile)
    # A task that happened to be in three workers that were killed is given up, and done by the next run.
    if run.manifest.failures:
        assert "workers died in it" in run.manifest.failures[0].reason
        run = scored(cluster, corpus, out, lambda _ended: None)
    assert run.manifest.failures == []
    assert content_and_exports(run) == undisturbed
    attempts = record.attempts("compare", start).total()
    measured("kills", kills)
    measured("attempts", attempts)
    assert kills >= 2
    assert attempts <= 1.1 * TILES + kills


@pytest.mark.long
def test_a_frozen_worker_is_given_up(
    cluster: Cluster, corpus: Path, undisturbed: Content, tmp_path: Path
) -> None:
    cluster.scale(3)
    start, out = cluster.record.mark(), tmp_path / "run.zarr"
    frozen: list[int] = []

    def meanwhile(_ended: Callable[[], bool]) -> None:
        wait_until(lambda: tiles_done(out) >= TILES // 2)
        frozen.extend(cluster.worker_pids()[:1])
        kill(frozen[0], signal.SIGSTOP)

    try:
        run = scored(cluster, corpus, out, meanwhile)
    finally:
        kill(frozen[0])
    assert content_and_exports(run) == undisturbed
    assert cluster.record.attempts("compare", start).total() <= TILES + 2


@pytest.mark.long
def test_a_worker_that_is_frozen_from_the_start_is_given_up(
    cluster: Cluster, corpus: Path, undisturbed: Content, tmp_path: Path
) -> None:
    cluster.scale(3)
    [frozen, *_] = cluster.worker_pids()
    kill(frozen, signal.SIGSTOP)
    try:
        run = novelty_dask.score(corpus, tmp_path / "run.zarr", scheduler=cluster.address, **SETTINGS, **WORK)
    finally:
        kill(frozen)
    assert content_and_exports(run) == undisturbed


@pytest.mark.long
def test_a_long_kernel_is_not_taken_for_dead(
    cluster: Cluster, corpus: Path, undisturbed: Content, tmp_path: Path
) -> None:
    cluster.scale(3)
    start = cluster.record.mark()
    cluster.record.ask(**{"compare 5-3": ["compute", 2.5 * TTL_SECONDS]})
    out = tmp_path / "run.zarr"
    began = time.monotonic()
    run = novelty_dask.score(corpus, out, scheduler=cluster.address, **SETTINGS, **WORK)
    assert time.monotonic() - began > 2 * TTL_SECONDS
    assert content_and_exports(run) == undisturbed
    assert set(cluster.record.attempts("compare", start).values()) == {1}


def command(*arguments: object) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.long
def test_what_kills_its_workers_is_named_and_the_rest_is_done(
    cluster: Cluster, corpus: Path, undisturbed: Content, tmp_path: Path, measured: Measured
) -> None:
    cluster.scale(3)
    record, out = cluster.record, tmp_path / "run.zarr"
    start = record.mark()
    record.ask(**{"compare 5-3": ["segfault"], "compare 7-2": ["hog"]})
    result = command("score", corpus, "-o", out, *FLAGS, "--scheduler", cluster.address)
    assert result.exit_code == ExitCode.PARTIAL, result.output
    assert "task 5-3 of compare" in result.stderr
    assert "task 7-2 of compare" in result.stderr
    attempts = record.attempts("compare", start)
    measured("attempts", [attempts["compare 5-3"], attempts["compare 7-2"], attempts.total()])
    # Two workers with others in flight, as this cluster has it, and one alone.
    assert 2 <= attempts["compare 5-3"] <= 3
    assert 2 <= attempts["compare 7-2"] <= 3
    assert attempts.total() - attempts["compare 5-3"] - attempts["compare 7-2"] <= TILES + 8
    status = novelty_dask.status(out)
    assert status.state == "partial"
    assert {each.task for each in status.failures if each.stage in ("compare", "merge")} == {
        ("compare", "5-3"),
        ("compare", "7-2"),
        ("merge", "5"),
        ("merge", "7"),
    }
    run = novelty_dask.open(out)
    affected = np.zeros(len(run), bool)
    for block in (5, 7):
        affected[block * 64 : (block + 1) * 64] = True
    assert (np.isnan(run.novelty[:]) == affected).all()
    novelty_dask.export(out, rows := out.with_suffix(".jsonl"))
    values = [json.loads(line)["novelty"] for line in rows.read_text(encoding="utf-8").splitlines()]
    assert values.count(None) == affected.sum()
    record.ask()
    mark = record.mark()
    resumed = command("resume", out, "--scheduler", cluster.address, "--quiet")
    assert resumed.exit_code == 0, resumed.output
    assert content_and_exports(out) == undisturbed
    # What was given up, and nothing else: also the views, which need the neighbors of other rows.
    assert set(record.attempts(since=mark)) == {f"{each.stage} {each.item}" for each in status.failures}


@pytest.mark.long
def test_workers_come_and_go(cluster: Cluster, corpus: Path, undisturbed: Content, tmp_path: Path) -> None:
    cluster.scale(1)
    out = tmp_path / "run.zarr"
    start = cluster.record.mark()
    # Enough work is left when the last worker comes, however long a busy machine takes to start it.
    cluster.record.ask(compare=["sleep", 1])

    def meanwhile(ended: Callable[[], bool]) -> None:
        wait_until(lambda: tiles_done(out) >= 3)
        cluster.scale(4)
        assert not ended()
        wait_until(lambda: len({event.pid for event in cluster.record.events(start)}) == 4)
        cluster.scale(1)
        assert not ended()
        cluster.record.ask()

    run = scored(cluster, corpus, out, meanwhile)
    assert content_and_exports(run) == undisturbed


def test_kernels_let_the_interpreter_go_on() -> None:
    """While a search takes its time in one call, another thread gets its turn."""
    counts = count_ngrams(novelty_dask.datasets.make_urls(8_192, seed=8)[0], (3, 3), 2**20)
    frequency = document_frequency(counts)
    columns = order_columns(frequency)
    weights = weigh(counts, inverse_document_frequency(frequency, counts.shape[0]))
    block = prepare(
        renumber_columns(weights, columns.rank, columns.document_frequency.size), columns.breakpoints
    )
    neighbors = Neighbors.empty(block.n_rows, 200)
    ids: dict[str, Any] = {"row_start": 0, "candidate_start": 0}
    search(block, block, Neighbors.empty(block.n_rows, 1), **ids)  # Compiles, and makes the tile.
    searching = threading.Thread(target=search, args=(block, block, neighbors), kwargs=ids)
    began = before = time.monotonic()
    searching.start()
    longest = 0.0
    while searching.is_alive():
        time.sleep(0.001)
        now = time.monotonic()
        longest, before = max(longest, now - before), now
    assert longest < (before - began) * 3 / 4
