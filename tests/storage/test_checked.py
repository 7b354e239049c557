"""A checked store gives what was committed, or an error, and never what only looks like data."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import novelty_dask
from novelty_dask.errors import DamageError, StoreError
from novelty_dask.planning import tiles
from novelty_dask.planning.stages import MERGE, TaskId, find_stage
from novelty_dask.planning.tiles import TilePlan
from novelty_dask.storage.checked import CheckedStore
from novelty_dask.storage.runs import StoredRun, open_stored
from tests.support.arrays import listed
from tests.support.damage import flip
from tests.support.files import snapshot
from tests.support.runs import make_arrays, make_run, writable

PLAN = TilePlan(n_rows=10, block_rows=4, span_blocks=1, group_blocks=2)
ARRAYS = [
    "rejected/source",
    "rejected/line",
    "rejected/reason",
    "rejected/sample",
    "rows/url",
    "rows/count",
    "rows/position",
    "rows/spellings",
    "partial_frequency",
    "columns/document_frequency",
    "columns/idf",
    "columns/rank",
    "columns/breakpoints",
    "weights/indptr",
    "weights/indices",
    "weights/data",
    "neighbors/ids",
    "neighbors/similarities",
    "novelty",
    "novelty_nearest",
    "novelty_kth",
    "uncovered",
    "density",
    "lof",
]

ALTERED = r"(has [\d,]+ bytes instead of|does not match its checksum)"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run of several blocks, of which no two chunks are the same."""
    folder = tmp_path_factory.mktemp("made")
    urls = novelty_dask.datasets.make_urls(200, seed=8)[0]
    spelled = [f"{url}#top" for url in urls[::3]]
    (folder / "urls.txt").write_text("\n".join([*urls, *spelled, "", "a\0b"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "LARGEST_TILE_PAIRS", 1)
        novelty_dask.score(
            folder / "urls.txt", folder / "run.zarr", block_rows=64, n_features=2**12, normal_form="page"
        )
    return folder / "run.zarr"


@pytest.fixture
def run(made: Path, tmp_path: Path) -> StoredRun:
    return open_stored(str(shutil.copytree(made, tmp_path / "run.zarr")))


def chunks(run: StoredRun, name: str) -> list[str]:
    return sorted(key for key in run.objects.sizes(f"{name}/") if not key.endswith("zarr.json"))


def read_chunk(run: StoredRun, name: str, key: str) -> Any:
    """What Zarr gives of one chunk."""
    found = run.arrays()[name]
    places = map(int, key.rpartition("/c/")[2].split("/"))
    where = [slice(i * n, (i + 1) * n) for i, n in zip(places, found.chunks, strict=True)]
    return found[tuple(where)]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[: len(data) // 2],
    "longer": lambda data: data + b"\0",
    "flipped": flip,
    "last bit flipped": lambda data: data[:-1] + bytes([data[-1] ^ 128]),
    "zeros": lambda data: bytes(len(data)),
    "empty": lambda data: b"",
}


def test_the_arrays_are_all_that_a_run_has(run: StoredRun) -> None:
    assert {name for name in run.layout.specs if not name.startswith("strips/")} == set(ARRAYS)


@pytest.mark.parametrize("name", ARRAYS)
def test_no_damaged_chunk_is_ever_decoded(run: StoredRun, name: str) -> None:
    key, whole = chunks(run, name)[0], read_chunk(run, name, chunks(run, name)[0])
    data, task = run.objects.read(key), run.layout.writer(key)
    for damage in DAMAGES.values():
        run.objects.write(key, damage(data))
        with pytest.raises(DamageError, match=f"^'{key}' {ALTERED}") as found:
            read_chunk(run, name, key)
        assert (found.value.stage, found.value.item) == task
    run.objects.remove(key)
    with pytest.raises(DamageError, match=f"^'{key}' is missing; "):
        read_chunk(run, name, key)
    run.objects.write(key, data)
    np.testing.assert_array_equal(read_chunk(run, name, key), whole)
    assert task is not None
    run.commits.forget(task)
    with pytest.raises(DamageError, match=f"^'{key}' is not committed; "):
        read_chunk(run, name, key)


@pytest.mark.parametrize(
    "name", [name for name in ARRAYS if name.split("/")[0] not in ("columns", "rejected")]
)
def test_a_chunk_in_the_place_of_another_is_found(run: StoredRun, name: str) -> None:
    first, second = chunks(run, name)[:2]
    one, other = run.objects.read(first), run.objects.read(second)
    assert one != other
    run.objects.write(first, other)
    run.objects.write(second, one)
    for key in (first, second):
        with pytest.raises(DamageError, match=f"^'{key}' {ALTERED}"):
            read_chunk(run, name, key)


def test_an_altered_chunk_that_zarr_itself_would_believe_is_found(run: StoredRun) -> None:
    """Written by another, with the right checksum of its own and of the same length."""
    other: Any = zarr.open_group(run.url)
    before = run.objects.sizes()
    other["neighbors/ids"][0:64] = np.asarray(other["neighbors/ids"][0:64])[::-1]
    other["rows/count"][64:128] = np.asarray(other["rows/count"][64:128]) + 1
    for name, key in (("neighbors/ids", "neighbors/ids/c/0/0"), ("rows/count", "rows/count/c/1")):
        with pytest.raises(DamageError, match=f"^'{key}' {ALTERED}"):
            read_chunk(run, name, key)
    assert run.objects.sizes().keys() == before.keys()


def test_a_finished_run_is_a_plain_zarr_group(run: StoredRun) -> None:
    plain: Any = zarr.open_group(run.url, mode="r")
    checked = run.arrays()
    for name in ARRAYS:
        part = tuple(slice(min(length, 200)) for length in checked[name].shape)
        if not name.startswith("weights/"):
            np.testing.assert_array_equal(plain[name][part], checked[name][part])
    for block in range(3):
        n = int(checked.read("weights/indptr", block, -1))
        for name in ("weights/indices", "weights/data"):
            np.testing.assert_array_equal(plain[name][block, :n], checked[name][block, :n])


# Metadata that were edited.


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "shape": lambda metadata: metadata["shape"].__setitem__(0, metadata["shape"][0] + 1),
    "chunks": lambda metadata: metadata["chunk_grid"]["configuration"]["chunk_shape"].__setitem__(0, 32),
    "type": lambda metadata: metadata.update(data_type="uint64"),
    "fill value": lambda metadata: metadata.update(fill_value=0),
    "no checksum": lambda metadata: metadata["codecs"].pop(),
    "other codec": lambda metadata: metadata["codecs"][1]["configuration"].update(typesize=4),
    "byte order": lambda metadata: metadata["codecs"][0]["configuration"].update(endian="big"),
    "one codec more": lambda metadata: metadata["codecs"].append({"name": "crc32c"}),
    "unknown codec": lambda metadata: metadata["codecs"].append({"name": "nonsense"}),
    "place of chunks": lambda metadata: metadata["chunk_key_encoding"]["configuration"].update(separator="."),
    "dimension names": lambda metadata: metadata.update(dimension_names=["a", "b"]),
    "a group": lambda metadata: metadata.update(node_type="group"),
    "nothing": lambda metadata: metadata.clear(),
}


@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS.keys())
def test_edited_metadata_are_refused_before_anything_is_read(
    run: StoredRun, change: Callable[[dict[str, Any]], object]
) -> None:
    key = "neighbors/ids/zarr.json"
    metadata = json.loads(run.objects.read(key))
    change(metadata)
    run.objects.write(key, json.dumps(metadata).encode())
    with pytest.raises(
        StoreError, match=r"^The metadata of array 'neighbors/ids' do not match the run's settings"
    ):
        run.arrays()["neighbors/ids"]
    assert run.arrays()["neighbors/similarities"].shape


def test_attributes_may_be_added(run: StoredRun) -> None:
    zarr.open_group(run.url)["novelty"].attrs["note"] = "kept"
    assert run.arrays()["novelty"].shape == (len(novelty_dask.open(run.url)),)


# Tasks.


def test_a_task_sees_its_own_chunks_and_nobody_else_does(tmp_path: Path) -> None:
    run = make_arrays(make_run(tmp_path, PLAN))
    group, draft = writable(run, MERGE, "1")
    assert np.isnan(group["novelty"][4:8]).all()
    group["novelty"][4:8] = 0.5
    assert listed(group["novelty"][4:8]) == [0.5] * 4
    assert draft.digests.keys() == {"novelty/c/1"}
    for other in (run.arrays(), writable(run, MERGE, "2")[0]):
        with pytest.raises(DamageError, match=r"^'novelty/c/1' is not committed"):
            other["novelty"][4:8]


def test_a_task_that_is_done_again_does_not_see_what_is_left_of_the_first_time(tmp_path: Path) -> None:
    run = make_arrays(make_run(tmp_path, PLAN))
    writable(run, MERGE, "1")[0]["novelty"][4:8] = 0.5
    group, _ = writable(run, MERGE, "1")
    assert np.isnan(group["novelty"][4:8]).all()
    group["novelty"][4:6] = 0.25
    assert np.isnan(group["novelty"][6:8]).all()


@pytest.mark.parametrize(
    ("task", "name", "where"),
    [
        (TaskId("merge", "1"), "novelty", slice(0, 4)),
        (TaskId("merge", "1"), "novelty", slice(0, 10)),
        (TaskId("merge", "1"), "rows/count", slice(4, 8)),
        (TaskId("vectorize", "1"), "novelty", slice(4, 8)),
        (None, "novelty", slice(4, 8)),
    ],
)
def test_chunks_of_others_can_not_be_written(
    tmp_path: Path, task: TaskId | None, name: str, where: slice
) -> None:
    run = make_arrays(make_run(tmp_path, PLAN))
    arrays = writable(run, find_stage(task.stage), task.item)[0] if task else run.arrays()
    with pytest.raises(PermissionError):
        arrays[name][where] = 1
    own = {"novelty/c/1"} if where == slice(0, 10) else set()
    assert set(chunks(run, name)) <= own


def test_no_array_of_a_run_can_be_made_smaller(tmp_path: Path) -> None:
    run = make_arrays(make_run(tmp_path, PLAN))
    writable(run, MERGE, "1")[0]["novelty"][4:8] = 0.5
    before = snapshot(tmp_path)
    with pytest.raises(PermissionError):
        run.arrays()["novelty"].resize((1,))
    assert snapshot(tmp_path) == before


def test_chunks_of_nothing_but_fill_values_are_stored_like_others(tmp_path: Path) -> None:
    run = make_arrays(make_run(tmp_path, PLAN))
    group, draft = writable(run, MERGE, "1")
    group["novelty"][4:8] = np.nan
    group["neighbors/ids"][4:8] = -1
    assert (
        draft.digests.keys()
        == {"novelty/c/1", "neighbors/ids/c/1/0"}
        == {
            *chunks(run, "novelty"),
            *chunks(run, "neighbors/ids"),
        }
    )


def test_equal_stores_have_one_hash(made: Path) -> None:
    run, again = open_stored(str(made)), open_stored(str(made))
    one, same, other = (CheckedStore(each.objects, each.commits, each.layout) for each in (run, run, again))
    assert one == same
    assert hash(one) == hash(same)
    assert len({one, same, other}) == 2
