import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from zarr.errors import ZarrUserWarning

import novelty_dask
from novelty_dask.events import Event, StageFinished
from novelty_dask.planning import tiles
from novelty_dask.planning.arrays import ArraySpec, Region
from novelty_dask.planning.shapes import RunShape
from novelty_dask.planning.stages import LAST_STAGE, LASTING_STAGES, REJECTED, STAGES, TaskId, find_stage
from novelty_dask.planning.tiles import Tile, TilePlan, plan_tiles
from novelty_dask.storage.layout import CODECS, Layout
from novelty_dask.storage.runs import open_stored
from tests.support.plans import tile_plans
from tests.support.runs import make_arrays, make_run


def layout(plan: TilePlan | None, n_rejected: int | None = 0) -> Layout:
    shape = RunShape(n_features=100, n_neighbors=3, n_rejected=n_rejected, plan=plan, widest_block=40_000)
    return Layout(shape)


@pytest.mark.parametrize("n_rejected", [0, 70_000])
def test_arrays_are_as_specified_and_empty(tmp_path: Path, n_rejected: int) -> None:
    run = make_arrays(make_run(tmp_path, TilePlan(10, 4, 1, 2), n_rejected, n_features=1_000, n_neighbors=3))
    # As any reader of Zarr sees them.
    group = zarr.open_group(run.url, mode="r")
    stored = {name for name, member in group.members(max_depth=None) if isinstance(member, zarr.Array)}
    assert stored == run.layout.specs.keys()
    for spec in run.layout.specs.values():
        made: Any = group[spec.name]
        assert made.shape == spec.shape == run.arrays()[spec.name].shape
        assert str(made.dtype).startswith("StringDType" if spec.dtype == "str" else spec.dtype)
        missing = np.asarray(made[tuple(slice(min(length, 20)) for length in made.shape)])
        np.testing.assert_array_equal(missing, np.full(missing.shape, spec.fill_value, missing.dtype))


def test_documents_are_those_that_zarr_writes(tmp_path: Path) -> None:
    plan = TilePlan(10, 4, 1, 2)
    run = make_arrays(make_run(tmp_path, plan, 3, column="url", keep=("title",)))
    run.manifest.stages = {LAST_STAGE.name: {}}
    run.save()
    lasting: dict[str, Any] = {}
    passing: dict[str, Any] = {}
    for stage in STAGES:
        expected = lasting if stage in LASTING_STAGES else passing
        group = zarr.open_group(zarr.storage.MemoryStore(expected), mode="a", zarr_format=3)
        for spec in run.layout.of(stage):
            group.create_array(
                spec.name,
                shape=spec.shape,
                chunks=spec.chunk_shape,
                dtype=str if spec.dtype == "str" else spec.dtype,
                compressors=CODECS[spec.codecs] or None,
                fill_value=spec.fill_value,
                dimension_names=spec.dimensions or None,
            )
            key = f"{spec.name}/zarr.json"
            assert run.objects.read(key) == expected[key].to_bytes()
    with pytest.warns(ZarrUserWarning, match="Consolidated metadata"):
        zarr.consolidate_metadata(zarr.storage.MemoryStore(lasting))
    of_zarr = json.loads(lasting["zarr.json"].to_bytes())["consolidated_metadata"]
    listed = json.loads(run.objects.read("zarr.json"))["consolidated_metadata"]
    assert json.dumps(listed) == json.dumps(of_zarr)


def test_results_have_checksums_of_zarr_too(tmp_path: Path) -> None:
    run = make_arrays(make_run(tmp_path, TilePlan(10, 4, 1, 2)))
    for name in (
        "rows/url",
        "rows/count",
        "rows/position",
        "rows/spellings",
        "neighbors/ids",
        "neighbors/similarities",
        "novelty",
    ):
        compressors: Any = run.arrays()[name].compressors
        assert "crc32c" in [codec.to_dict()["name"] for codec in compressors]


def test_what_is_not_known_yet_has_no_arrays() -> None:
    assert layout(None, None).specs == {}
    assert [*layout(None).specs.values()] == layout(None).of(REJECTED) != []
    assert layout(None, None).writer("novelty/c/0") is None


@settings(deadline=None, max_examples=100)
@given(tile_plans(least_rows=1))
def test_every_chunk_has_the_writer_that_the_plan_says(plan: TilePlan) -> None:
    made = layout(plan, 5)
    for block in range(plan.n_blocks):
        assert made.writer(f"rows/url/c/{block}") == TaskId("vectorize", str(block))
        assert made.writer(f"partial_frequency/c/{block}/0") == TaskId("vectorize", str(block))
        assert made.writer(f"weights/data/c/{block}/99") == TaskId("weigh", str(block))
        for name in ("neighbors/ids/c/{}/0", "neighbors/similarities/c/{}/0", "novelty/c/{}"):
            assert made.writer(name.format(block)) == TaskId("merge", str(block))
    for span, group in product(range(plan.n_spans), range(plan.n_groups)):
        for block in plan.span(span):
            item = Tile(span, group).item
            assert made.writer(f"strips/ids/c/{group}/{block}/0") == TaskId("compare", item)
    for name in ("columns/document_frequency", "columns/breakpoints"):
        assert made.writer(f"{name}/c/0") == TaskId("columns", "all")
    for name in ("rejected/source", "rejected/sample"):
        assert made.writer(f"{name}/c/3") == TaskId("rejected", "3")


@settings(deadline=None, max_examples=100)
@given(tile_plans(least_rows=1))
def test_the_parts_of_an_array_that_tasks_write_are_its_chunks_each_once(plan: TilePlan) -> None:
    made = layout(plan, 70_000)
    for stage in STAGES:
        for spec in made.of(stage):
            writers = [
                (chunk, task)
                for task in stage.tasks(made.shape)
                for chunk in touched(spec, spec.division.region(plan, task.item))
            ]
            assert sorted(chunk for chunk, _ in writers) == sorted(touched(spec, ()))
            assert all(made.writer(f"{spec.name}/c/{chunk}") == task for chunk, task in writers)


def touched(spec: ArraySpec, region: Region) -> list[str]:
    """The chunks of a part of an array."""
    axes = []
    for axis, (length, size) in enumerate(zip(spec.shape, spec.chunk_shape, strict=True)):
        part = region[axis] if axis < len(region) else slice(length)
        first, stop = (part, part + 1) if isinstance(part, int) else part.indices(length)[:2]
        axes.append(range(first // size, -(-stop // size)))
    return ["/".join(map(str, chunk)) for chunk in product(*axes)]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "novelty",
        "novelty/c",
        "novelty/c/",
        "novelty/c/x",
        "novelty/c/-1",
        "c/0",
        "surprise/c/0",
        "novelty/0",
    ],
)
def test_what_is_no_chunk_has_no_writer(key: str) -> None:
    assert layout(TilePlan(10, 4, 1, 2)).writer(key) is None


@pytest.mark.sampled
@pytest.mark.parametrize(("block_rows", "tile_pairs"), [(64, 1), (100, 128**2), (4_096, 2**30)])
def test_tasks_write_what_the_layout_says_and_nothing_else_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_rows: int, tile_pairs: int
) -> None:
    monkeypatch.setattr(tiles, "LARGEST_TILE_PAIRS", tile_pairs)
    source, out = tmp_path / "urls.txt", tmp_path / "run.zarr"
    source.write_text("\n".join([*novelty_dask.datasets.make_urls(300, seed=5)[0], "", "ab"]))
    finished: list[str] = []

    def check(stage: str) -> None:
        """The objects of all commits of a stage are the chunks of its arrays, each by its writer."""
        run = open_stored(str(out))
        committed = {}
        for task in run.commits.tasks(stage):
            for key in run.commits.get(task).objects:
                assert run.layout.writer(key) == task
                assert key not in committed
                committed[key] = task
        names = [spec.name for spec in run.layout.of(find_stage(stage))]
        chunks = {
            key for name in names for key in run.objects.sizes(f"{name}/") if not key.endswith("zarr.json")
        }
        assert committed.keys() == chunks
        assert committed

    def listen(event: Event) -> None:
        if isinstance(event, StageFinished):
            finished.append(event.stage)
            if event.stage not in ("ingest", "sort"):
                check(event.stage)

    run = novelty_dask.score(source, out, block_rows=block_rows, listener=listen)
    # Names that users meet, in messages and in the run: literal here, and nowhere else.
    assert finished == [
        "ingest",
        "sort",
        "rejected",
        "vectorize",
        "columns",
        "weigh",
        "compare",
        "merge",
        "cover",
        "density",
        "lof",
    ]
    assert plan_tiles(len(run), block_rows) == run.manifest.plan
    stored = open_stored(str(out))
    every = {key for task in stored.commits.tasks() for key in stored.commits.get(task).objects}
    rest = {key for key in stored.objects.sizes() if not key.startswith(("commits/", "owners/"))} - every
    assert "zarr.json" in rest
    assert all(key.endswith("zarr.json") for key in rest)
