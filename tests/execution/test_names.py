"""Names of tasks, as Dask's dashboard counts and colors them."""

from pathlib import Path

import pytest
from dask.utils import key_split
from distributed import Client
from distributed.utils import color_of

import novelty_dask
from novelty_dask.datasets import make_urls
from novelty_dask.execution.names import OF_DASK, run_label, task_name
from novelty_dask.planning.stages import STAGES
from tests.support.cluster import cluster_of


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Lines of some tens of blocks."""
    path = tmp_path / "urls.txt"
    path.write_text("\n".join(make_urls(2_200)[0]), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["is_against", "is_in_time", "is_grouped"])
def test_no_two_stages_of_a_run_share_a_color(kind: str) -> None:
    others = {"is_against", "is_in_time", "is_grouped"} - {kind}
    # A run has the stages of one kind, and those of all.
    of_kind = [stage for stage in STAGES if not any(getattr(stage, other) for other in others)]
    stages = [stage.name for stage in of_kind if stage.name not in OF_DASK]
    shown = [*OF_DASK, *map(task_name, stages)]
    assert len({color_of(name) for name in shown}) == len(shown)
    assert [name.strip() for name in shown[len(OF_DASK) :]] == stages
    # What follows in a key is not taken for a part of the name.
    assert [key_split(f"{task_name(stage)}-0a1b2c3d-7-1-1").strip() for stage in stages] == stages


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
def test_every_run_has_the_same_names_on_a_scheduler(source: Path, tmp_path: Path, client: Client) -> None:
    """A scheduler never forgets a name, so that one for each run would fill its memory."""
    known: list[set[str]] = []
    for name in ("one.zarr", "two.zarr"):
        novelty_dask.score(source, tmp_path / name, client=client, block_rows=64)
        known.append({prefix.strip() for prefix in cluster_of(client).scheduler.task_prefixes})
    assert "vectorize" in known[0]
    assert not [each for each in known[1] - known[0] if each in {stage.name for stage in STAGES}]
    assert not [each for each in known[1] if "two" in each or "one" in each]
