"""A run tells its listener how far tasks are while they are at work, wherever that is."""

import gzip
from collections import defaultdict
from pathlib import Path

import pytest
from distributed import Client

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.events import Event, StageFinished, StageStarted, TaskAdvanced, TaskDone
from novelty_dask.execution import advances
from tests.support.listeners import Recorder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A compressed file of some chunks of lines."""
    path = tmp_path / "urls.txt.gz"
    path.write_bytes(gzip.compress("".join(f"{url}\n" for url in make_urls(9_000)[0]).encode()))
    return path


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """A list for events; tasks report as often as they can."""
    monkeypatch.setattr(advances, "REPORT_SECONDS", 0)
    return []


def shares(events: list[Event]) -> dict[tuple[str, str], list[float]]:
    """Shares by task, in the order told."""
    told = defaultdict(list)
    for event in events:
        if isinstance(event, TaskAdvanced):
            told[event.stage, event.item].append(event.share)
    return told


@pytest.mark.sampled
@pytest.mark.parametrize("on_workers", [False, True])
def test_long_tasks_tell_how_far_they_are(
    source: Path, tmp_path: Path, client: Client, events: list[Event], on_workers: bool
) -> None:
    chosen = client if on_workers else None
    novelty_dask.score(source, tmp_path / "run.zarr", client=chosen, listener=events.append, block_rows=1_000)
    told = shares(events)
    assert {"ingest", "columns", "compare"} <= {stage for stage, _ in told}
    # So few rows are sorted by the client itself.
    assert bool(told["sort", ""]) != on_workers
    assert set(told.pop(("sort", ""))) <= {0.0}
    for of_task in told.values():
        assert of_task == sorted(of_task)
        assert 0 <= of_task[0] <= of_task[-1] <= 1
    assert len(told["ingest", "0"]) > 2
    assert any(len(of_task) > 2 for (stage, _), of_task in told.items() if stage == "compare")


def test_short_tasks_tell_nothing(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Event] = []
    monkeypatch.setattr(advances, "REPORT_SECONDS", 1_000)
    novelty_dask.score(source, tmp_path / "run.zarr", listener=events.append)
    assert not shares(events)


def test_verify_tells_how_far_it_is(source: Path, tmp_path: Path, events: list[Event]) -> None:
    run = novelty_dask.score(source, tmp_path / "run.zarr", block_rows=1_000)
    listener = Recorder()

    def listen(event: Event) -> None:
        listener(event)
        events.append(event)

    found = novelty_dask.verify(run, recompute_blocks=2, listener=listen)
    assert (listener.n_verified, listener.totals) == (found.tasks, {"recompute": (2, 0)})
    assert sum(isinstance(event, TaskDone) for event in events) == found.tasks + 2
    assert isinstance(events[0], StageStarted)
    assert isinstance(events[-1], StageFinished)
    told = shares(events)
    assert len(told) == 3
    assert all(stage == "recompute" and of_task[-1] == 1 for (stage, _), of_task in told.items())


def test_a_run_hears_nothing_of_another(source: Path, tmp_path: Path, events: list[Event]) -> None:
    others: list[Event] = []
    with advances.advances_here("other.zarr", others.append):
        novelty_dask.score(source, tmp_path / "run.zarr", listener=events.append)
    assert shares(events)
    assert others == []
