"""Names of tasks, as Dask's dashboard counts and colors them."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from dask.utils import key_split
from distributed import Client
from distributed.utils import color_of

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.events import Event, StageFinished, TaskDone
from novelty_dask.execution import names, window
from novelty_dask.execution.names import OF_DASK, TaskNames, run_label
from novelty_dask.planning.stages import STAGES
from tests.support.cluster import cluster_of


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Lines of some tens of blocks."""
    path = tmp_path / "urls.txt"
    path.write_text("\n".join(make_urls(2_200)[0]), encoding="utf-8")
    return path


def seen(client: Client) -> dict[str, Counter[str]]:
    """How many tasks of each name are in each state, as the page of progress shows them."""
    scheduler: Any = cluster_of(client).scheduler
    found: dict[str, Counter[str]] = {}
    for key, task in list(scheduler.tasks.items()):
        found.setdefault(key_split(key), Counter())[task.state] += 1
    return found


@pytest.mark.parametrize("kind", ["is_against", "is_in_time", "is_grouped"])
@pytest.mark.parametrize("label", ["run", "crawl_2024", "a", "x" * 24])
def test_no_two_stages_of_a_run_share_a_color(label: str, kind: str) -> None:
    of_run = TaskNames(label)
    others = {"is_against", "is_in_time", "is_grouped"} - {kind}
    # A run has the stages of one kind, and those of all.
    of_kind = [stage for stage in STAGES if not any(getattr(stage, other) for other in others)]
    stages = [stage.name for stage in of_kind if stage.name not in OF_DASK]
    shown = [*OF_DASK, *(of_run.name(stage, 0) for stage in stages)]
    assert len({color_of(name) for name in shown}) == len(shown)
    assert [name.strip() for name in shown[len(OF_DASK) :]] == [f"{stage} of {label}" for stage in stages]
    for stage in stages:
        first, second = of_run.name(stage, 0), of_run.name(stage, 1)
        assert second.strip() == f"{stage} 2 of {label}"
        assert color_of(first) == color_of(second)
        # What follows in a key is not taken for a part of the name.
        assert [key_split(f"{name}-0a1b2c3d-7-1") for name in (first, second)] == [first, second]


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("/data/my run.zarr", "my_run"),
        ("s3://me:secret@bucket/crawl-1.zarr/?token=secret", "crawl_1"),
        ("-", "_"),
        ("/", "run"),
        ("é" * 99, "é" * 24),
    ],
)
def test_a_run_is_named_without_secrets(url: str, label: str) -> None:
    assert run_label(url) == label


@pytest.mark.long
def test_the_dashboard_counts_what_is_done_and_what_is_left(
    source: Path, tmp_path: Path, client: Client
) -> None:
    """Of all tasks of a stage, also when most have ended."""
    progress: list[tuple[int, Counter[str]]] = []
    n_done: Counter[str] = Counter()

    def listen(event: Event) -> None:
        if isinstance(event, TaskDone):
            n_done[event.stage] += 1
            if event.stage == "vectorize":
                counts = seen(client)
                [name] = [name for name in counts if name.startswith("vectorize of my_run")]
                progress.append((n_done[event.stage], counts[name]))

    novelty_dask.score(source, tmp_path / "my-run.zarr", client=client, listener=listen, block_rows=64)
    total = n_done["vectorize"]
    assert total > 30
    assert {counts.total() for _, counts in progress} == {total}
    assert all(counts["memory"] >= done for done, counts in progress)
    assert not seen(client)


@pytest.mark.long
def test_of_many_tasks_the_dashboard_counts_a_part_at_a_time(
    source: Path, tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (names, window):
        monkeypatch.setattr(module, "PART_TASKS", 10)
    parts: dict[str, int] = {}

    def listen(event: Event) -> None:
        if isinstance(event, TaskDone | StageFinished):
            for name, counts in seen(client).items():
                parts[name] = max(parts.get(name, 0), counts.total())

    run = novelty_dask.score(source, tmp_path / "run.zarr", client=client, listener=listen, block_rows=64)
    ours = {name.strip(): count for name, count in parts.items() if " of run" in name}
    assert {name for name in ours if name.startswith("weigh")} == {
        "weigh of run",
        *(f"weigh {part} of run" for part in range(2, -(-len(run) // 640) + 1)),
    }
    assert max(ours.values()) == 10
