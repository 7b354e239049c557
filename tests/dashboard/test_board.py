"""The board of a scheduler, filled by descriptions and by what happens to tasks."""

import time
from typing import Any

import numpy as np
import pytest

from novelty_dask.dashboard import board as boards
from novelty_dask.dashboard.board import (
    DONE,
    FAILED,
    MOST_RUNS,
    RUNNING,
    WAITING,
    Board,
    StageBoard,
    Tiles,
    pack_tiles,
)

TILES = {"name": "compare", "total": 8, "done": 1, "rows": 800, "shape": (4, 2), "bytes": 10**9}


@pytest.fixture
def board() -> Board:
    found = Board()
    found.describe(
        {"run": "0a1b", "label": "crawl", "stage": {**TILES, "finished": pack_tiles((4, 2), ["3-1"])}}
    )
    return found


def stage_of(board: Board) -> StageBoard:
    assert board.run
    assert board.run.current
    return board.run.current


def test_tasks_are_counted_as_they_begin_and_end(board: Board) -> None:
    stage = stage_of(board)
    assert stage.counts == {"waiting": 7, "running": 0, "done": 1, "failed": 0}
    for item in ("0-0", "1-0", "2-0"):
        stage.begin(item, 1)
    stage.end("0-0", DONE, 2.5)
    stage.end("1-0", FAILED)
    assert stage.counts == {"waiting": 4, "running": 1, "done": 2, "failed": 1}
    assert stage.tiles
    assert stage.tiles.states.tolist() == [[DONE, 0], [FAILED, 0], [RUNNING, 0], [0, DONE]]
    assert stage.tiles.seconds[0, 0] == 2.5
    assert np.isnan(stage.tiles.seconds).sum() == 7
    # Tried again it is not failed any more; and it goes back where its worker dies.
    stage.begin("1-0", 2)
    assert (stage.retries, stage.counts["failed"]) == (1, 0)
    stage.end("1-0", WAITING)
    assert stage.counts == {"waiting": 5, "running": 1, "done": 2, "failed": 0}


@pytest.mark.parametrize("item", ["all", "", "4-0", "0-2", "-1-0", "x-y"])
def test_what_is_no_tile_is_not_marked(item: str) -> None:
    tiles = Tiles(4, 2)
    tiles.mark(item, DONE, 1.0)
    assert not tiles.states.any()


@pytest.mark.parametrize(
    "key",
    [
        "compare-0a1b-3-1",
        "compare-other-3-1-1",
        "merge-0a1b-3-1",
        "compare",
        ("compare", 1),
        b"x",
        3,
        "a-0a1b-b-c",
    ],
)
def test_a_key_of_others_is_nothing(board: Board, key: Any) -> None:
    found = board.find(key)
    assert found is None or found[1:] == ("3", 1)


def test_rates_are_those_of_the_last_minute(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, now = stage_of(board), [time.time()]
    monkeypatch.setattr(time, "time", lambda: now[0])
    assert stage.remaining_seconds is None
    for item in ("0-0", "0-1", "1-0"):
        now[0] += 10
        stage.begin(item, 1)
        stage.end(item, DONE, 10.0)
    board.describe({"run": "0a1b", "figures": {"compare": {"multiply_adds": 6e9}, "unknown": {}}})
    assert stage.rate() == pytest.approx(0.1, rel=0.03)
    assert stage.remaining_seconds == pytest.approx(40, rel=0.03)
    assert stage.rate("multiply_adds") == pytest.approx(2e8, rel=0.03)
    assert stage.rows_a_second == pytest.approx(10, rel=0.03)
    assert len(stage.samples) <= boards.SAMPLES


def test_a_stage_that_begins_anew_is_counted_anew(board: Board) -> None:
    stage_of(board).begin("0-0", 1)
    board.describe({"run": "0a1b", "stage": {"name": "merge", "total": 2, "done": 0}})
    board.describe({"run": "0a1b", "stage": {**TILES, "done": 3}})
    assert stage_of(board).counts == {"waiting": 5, "running": 0, "done": 3, "failed": 0}


def test_old_runs_are_forgotten() -> None:
    board = Board()
    for number in range(MOST_RUNS + 5):
        board.describe({"run": str(number)})
    assert list(board.runs) == [str(number) for number in range(5, MOST_RUNS + 5)]


def test_a_million_tiles_take_five_bytes_each() -> None:
    tiles = Tiles(125_000, 8)
    assert tiles.states.nbytes + tiles.seconds.nbytes == 5 * 10**6
