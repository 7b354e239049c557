"""Metrics for Prometheus, and the dashboard of Grafana that shows them."""

import json
import re

import pytest

from novelty_dask.dashboard.board import DONE, FAILED, Board
from novelty_dask.dashboard.exports import BoardCollector
from tests.support.files import ROOT

client = pytest.importorskip("prometheus_client")
GRAFANA = ROOT / "cluster" / "grafana.json"


def exported() -> str:
    """What Prometheus is answered, of a board with two runs of one name."""
    board = Board()
    for session in ("a", "b"):
        board.describe(
            {
                "run": session,
                "label": "crawl",
                "stage": {"name": "compare", "total": 4, "done": 1, "rows": 400},
                "figures": {"compare": {"multiply_adds": 7}},
            }
        )
        stage = board.runs[session].stages["compare"]
        stage.begin("0", 2)
        stage.end("0", DONE, 1.5)
        stage.begin("1", 1)
        stage.end("1", FAILED)
    registry = client.CollectorRegistry()
    registry.register(BoardCollector(board))
    return str(client.generate_latest(registry).decode())


def test_each_figure_of_a_stage_is_exported() -> None:
    lines = exported().splitlines()
    where = 'run="crawl",session="b",stage="compare"'
    for line in (
        f'novelty_tasks{{{where},state="done"}} 2.0',
        f'novelty_tasks{{{where},state="failed"}} 1.0',
        f'novelty_tasks{{{where},state="waiting"}} 1.0',
        f"novelty_task_retries_total{{{where}}} 1.0",
        f"novelty_task_seconds_total{{{where}}} 1.5",
        f"novelty_rows_total{{{where}}} 100.0",
        f"novelty_multiply_adds_total{{{where}}} 7.0",
        "novelty_workers_died_total 0.0",
    ):
        assert line in [re.sub(r"session=\"a\"", "", each) for each in lines], line
    assert len(lines) == len(set(lines))


def test_grafana_asks_for_metrics_that_are_exported() -> None:
    board = json.loads(GRAFANA.read_text(encoding="utf-8"))
    asked = {
        name
        for panel in board["panels"]
        for target in panel["targets"]
        for name in re.findall(r"\b(novelty_\w+|dask_\w+)", target["expr"])
    }
    ours = {name for name in asked if name.startswith("novelty_")}
    given = {line.split("{")[0].split(" ")[0] for line in exported().splitlines() if line[0] != "#"}
    assert len(ours) >= 5
    assert ours <= given
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert all(panel["type"] and panel["title"] and panel["gridPos"] for panel in board["panels"])
