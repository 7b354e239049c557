"""The page of runs, on real schedulers, as a program and a browser see it."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from bokeh.client import pull_session
from distributed import Client, LocalCluster

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.events import DashboardOpened, Event, StageStarted
from tests.support.browser import find_browser, look

READY = """[...document.querySelectorAll('*')].some(
    e => e.shadowRoot && e.shadowRoot.textContent.includes('of tasks')) || document.title"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Lines of some tens of blocks."""
    path = tmp_path / "urls.txt"
    path.write_text("\n".join(make_urls(2_200)[0]), encoding="utf-8")
    return path


def fetch(url: str) -> str:
    """What a web server answers."""
    with urlopen(url, timeout=60) as answer:
        return str(answer.read().decode())


def at_merge(act: Callable[[str], None]) -> Callable[[Event], None]:
    """A listener that acts when all tiles are done, with the address of the dashboard."""
    opened: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, DashboardOpened):
            opened.append(event.url)
        if isinstance(event, StageStarted) and event.stage == "merge":
            act(opened[0])

    return listen


def drawn(url: str) -> dict[str, Any]:
    """What Bokeh draws on a page, by name."""
    session = pull_session(url=url)
    try:
        models = {name: session.document.get_model_by_name(name) for name in NAMES}
        assert all(models.values())
        return models
    finally:
        session.close()


NAMES = ("novelty_heading", "novelty_stages", "novelty_tiles", "novelty_memory")


@contextmanager
def started(**options: Any) -> Iterator[Client]:
    """A client of a scheduler with pages and a worker process."""
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=2,
            dashboard_address="127.0.0.1:0",
            silence_logs="CRITICAL",
            **options,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.mark.long
def test_workers_of_this_machine_show_the_run_at_once(source: Path, tmp_path: Path) -> None:
    """The tiles, the stages and the workers; in a browser without an error, and to JupyterLab's extension."""
    seen: list[Any] = []

    def act(url: str) -> None:
        assert url.endswith("/novelty")
        assert "bokeh" in fetch(url)
        plots = json.loads(fetch(url.replace("/novelty", "/individual-plots.json")))
        assert plots["Individual Novelty Tiles"] == "/individual-novelty-tiles"
        assert "Novelty" in fetch(url.replace("/novelty", "/status"))
        models = drawn(url)
        assert models["novelty_heading"].text.startswith("<h2>my_run: ")
        assert "compare" in models["novelty_stages"].text
        [states] = models["novelty_tiles"].data["state"]
        assert states.min() == states.max() == 2
        assert (models["novelty_tiles"].data["seconds"][0] > 0).all()
        memory = models["novelty_memory"].data
        assert all(0 < used < limit for used, limit in zip(memory["used"], memory["limit"], strict=True))
        assert all(projected > 0.4 for projected in memory["projected"])
        if find_browser():
            seen.extend(look(url, "window.Bokeh && Bokeh.documents.length", tmp_path / "page.png"))
            assert (tmp_path / "page.png").stat().st_size > 20_000

    novelty_dask.score(source, tmp_path / "my-run.zarr", workers=2, listener=at_merge(act), block_rows=64)
    assert seen == []


@pytest.mark.long
def test_a_scheduler_that_runs_already_gets_the_page(source: Path, tmp_path: Path) -> None:
    """Once, also for the second run on it."""
    with started() as client:
        for name in ("one", "two"):
            seen: list[str] = []

            def act(url: str, seen: list[str] = seen) -> None:
                seen.append(drawn(url)["novelty_heading"].text)

            novelty_dask.score(
                source, tmp_path / f"{name}.zarr", client=client, listener=at_merge(act), block_rows=256
            )
            assert seen[0].startswith(f"<h2>{name}: ")
        plugins: Any = client.cluster
        assert list(plugins.scheduler.plugins["novelty-dashboard"].board.runs.values())[1].label == "two"
