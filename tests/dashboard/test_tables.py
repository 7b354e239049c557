"""The texts of the page."""

from types import SimpleNamespace
from typing import Any

from novelty_dask.dashboard.board import DONE, Board
from novelty_dask.dashboard.tables import MOST_WORKERS, heading, stage_table, worker_memory


def test_a_run_is_named_without_markup_of_its_own() -> None:
    board = Board()
    assert "No run" in heading(board.run, 0)
    assert stage_table(board.run) == ""
    board.describe(
        {"run": "0a", "label": "<b>x</b>", "stage": {"name": "merge", "total": 4, "done": 0, "bytes": 2}}
    )
    assert board.run
    assert board.run.current
    board.run.current.begin("0", 2)
    board.run.current.end("0", DONE, 3.0)
    assert heading(board.run, 2).startswith("<h2>&lt;b&gt;x&lt;/b&gt;: merge, ")
    assert "1 retries, 2 workers died" in heading(board.run, 2)
    assert ">3.00<" in stage_table(board.run)


def test_of_many_workers_those_with_the_most_memory_are_drawn() -> None:
    workers = {
        str(number): SimpleNamespace(
            name=number, metrics={"memory": number * 10**9}, memory_limit=0, nthreads=2
        )
        for number in range(100)
    }
    scheduler: Any = SimpleNamespace(workers=workers)
    assert set(worker_memory(scheduler, None)["projected"]) == {0}
    board = Board()
    stage = {"name": "merge", "total": 4, "done": 0, "bytes": 10**9, "process_bytes": 5 * 10**8}
    board.describe({"run": "0a", "stage": stage})
    drawn = worker_memory(scheduler, board.run)
    assert set(drawn["projected"]) == {2.5}
    assert len(drawn["worker"]) == MOST_WORKERS
    assert drawn["worker"][0] == "99"
    assert drawn["used"][0] == 99.0
