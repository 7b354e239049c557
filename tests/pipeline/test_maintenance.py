"""How far a run is, whether it is whole, and what is left over."""

import io
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import novelty_dask
from novelty_dask.errors import StoreError
from novelty_dask.objects.owners import Owner, claim
from novelty_dask.objects.protocol import Objects, partial_name
from novelty_dask.pipeline import maintenance
from novelty_dask.planning.stages import TaskId
from novelty_dask.storage.runs import open_stored
from tests.support.content import content
from tests.support.damage import failing, flip_file, forge
from tests.support.files import snapshot
from tests.support.listeners import Recorder, at_start, interrupt, stop_at
from tests.support.runs import BLOCK_ROWS

WHOLE = {
    "ingest": (1, 1),
    "sort": (1, 1),
    "rejected": (1, 1),
    "vectorize": (5, 5),
    "columns": (1, 1),
    "weigh": (5, 5),
}
MERGED = {"compare": (0, 25), "merge": (5, 5)}
VIEWS = {"cover": (3, 3), "density": (5, 5), "lof": (5, 5)}
NO_VIEWS = {"cover": (0, 3), "density": (0, 5), "lof": (0, 5)}


def stopped(made: Path, out: Path, stage: str, count: int) -> Path:
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score(made / "urls.txt", out, listener=stop_at(stage, count), block_rows=BLOCK_ROWS)
    return out


def test_a_complete_run_has_all_of_its_tasks(out: Path) -> None:
    status = novelty_dask.status(out)
    assert (status.state, status.owner, status.failures) == ("complete", None, [])
    assert status.stages == {**WHOLE, "compare": (25, 25), "merge": (5, 5), **VIEWS}
    assert status.totals
    assert status.totals.rejected == {"blank": 1, "nul": 1}


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("stage", "count", "stages"),
    [
        ("ingest", 1, {"ingest": (1, None), "sort": (0, None)}),
        ("weigh", 3, {**WHOLE, "weigh": (3, 5), "compare": (0, 25), "merge": (0, 5), **NO_VIEWS}),
        ("compare", 7, {**WHOLE, "compare": (7, 25), "merge": (0, 5), **NO_VIEWS}),
        ("cover", 2, {**WHOLE, **MERGED, **NO_VIEWS, "cover": (2, 3)}),
        ("density", 1, {**WHOLE, **MERGED, **NO_VIEWS, "cover": (3, 3), "density": (1, 5)}),
        ("lof", 4, {**WHOLE, **MERGED, **VIEWS, "lof": (4, 5)}),
    ],
)
def test_a_stopped_run_says_how_far_it_is(
    made: Path, tmp_path: Path, stage: str, count: int, stages: dict[str, Any]
) -> None:
    status = novelty_dask.status(stopped(made, tmp_path / "run.zarr", stage, count))
    assert (status.state, status.owner) == ("stopped", None)
    assert status.stages == stages


def test_a_run_says_how_far_it_is_while_it_is_worked_on(made: Path, tmp_path: Path) -> None:
    seen = []

    def look(stage: str, count: int) -> None:
        if (stage, count) == ("compare", 4):
            seen.append(novelty_dask.status(tmp_path / "run.zarr"))
            with pytest.raises(StoreError, match=rf"is being worked on by process {os.getpid()} on "):
                novelty_dask.resume(tmp_path / "run.zarr")
            with pytest.raises(StoreError, match=rf"is being worked on by process {os.getpid()} on "):
                novelty_dask.clean(tmp_path / "run.zarr")

    novelty_dask.score(
        made / "urls.txt", tmp_path / "run.zarr", block_rows=BLOCK_ROWS, listener=Recorder(look)
    )
    [status] = seen
    assert status.state == "running"
    assert status.owner
    assert status.owner.startswith(f"process {os.getpid()} on ")
    assert status.stages["compare"] == (4, 25)


@pytest.mark.parametrize(
    "function", [novelty_dask.status, novelty_dask.verify, novelty_dask.clean, novelty_dask.resume]
)
def test_what_is_no_run_is_refused(tmp_path: Path, function: Callable[[Path], object]) -> None:
    with pytest.raises(StoreError, match=r"does not hold a run; check the path\.$"):
        function(tmp_path / "missing.zarr")
    assert list(tmp_path.iterdir()) == []


# Verifying.


def test_every_task_of_a_whole_run_is_read_and_nothing_is_written(out: Path) -> None:
    before = snapshot(out)
    found = novelty_dask.verify(out)
    assert (found.tasks, found.damages, found.recomputed) == (1 + 5 + 1 + 5 + 5 + 3 + 5 + 5, [], 0)
    assert snapshot(out) == before


def test_all_damages_are_named(out: Path) -> None:
    flip_file(out / "novelty" / "c" / "3")
    (out / "rows" / "count" / "c" / "0").unlink()
    (out / "commits" / "weigh" / "2.json").write_bytes(b"nonsense")
    (out / "commits" / "merge" / "4.json").unlink()
    damages = novelty_dask.verify(out).damages
    assert {(damage.stage, damage.item) for damage in damages} == {
        ("merge", "3"),
        ("vectorize", "0"),
        ("weigh", "2"),
        ("merge", "4"),
    }
    assert all(str(damage).endswith("; `novelty resume` computes it again.") for damage in damages)


def test_a_stopped_run_is_verified_as_far_as_it_is(made: Path, tmp_path: Path) -> None:
    out = stopped(made, tmp_path / "run.zarr", "compare", 7)
    found = novelty_dask.verify(out)
    assert (found.tasks, found.damages) == (1 + 5 + 1 + 5 + 7, [])
    with pytest.raises(StoreError, match="is not complete"):
        novelty_dask.verify(out, recompute_blocks=1)
    chunk = next(path for path in (out / "strips" / "ids" / "c").rglob("*") if path.is_file())
    flip_file(chunk)
    [damage] = novelty_dask.verify(out).damages
    assert damage.stage == "compare"


def test_blocks_computed_again_agree(out: Path) -> None:
    before = snapshot(out)
    found = novelty_dask.verify(out, recompute_blocks=1_000)
    assert (found.damages, found.recomputed) == ([], 5)
    assert novelty_dask.verify(out, recompute_blocks=2, seed=1).recomputed == 2
    assert snapshot(out) == before


def test_blocks_that_were_given_up_are_not_computed_again(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run.zarr"
    with monkeypatch.context() as patch:
        failing(1, 4, patch)
        novelty_dask.score(made / "urls.txt", out, block_rows=BLOCK_ROWS)
    found = novelty_dask.verify(out, recompute_blocks=1_000)
    assert (found.damages, found.recomputed) == ([], 4)


def test_a_run_of_another_version_is_not_computed_again(out: Path) -> None:
    stored = open_stored(str(out))
    stored.manifest.identity = stored.manifest.identity.model_copy(update={"novelty_dask_version": "0.0.1"})
    stored.save()
    with pytest.raises(StoreError, match=r": novelty_dask 0\.0\.1 made it, and this is .*; use 0\.0\.1\.$"):
        novelty_dask.verify(out, recompute_blocks=1)


def swap(values: Any) -> None:
    row = int(np.argmax(values[:, 0] != values[:, 1]))
    values[row, :2] = values[row, 1::-1]


def raise_a_little(values: Any) -> None:
    where = np.unravel_index(int(np.argmax(np.isfinite(values))), values.shape)
    values[where] = np.nextafter(values[where], values.dtype.type(2))


def undefine(values: Any) -> None:
    values[7] = np.nan


def leave_out_the_last(values: Any) -> None:
    values[7, -1] = -1


def take_another(values: Any) -> None:
    values[9, 3] = next(row for row in range(500) if row not in values[9] and row != BLOCK_ROWS + 9)


def count_one_more(values: Any) -> None:
    values[int(np.argmax(values > 0))] += 1


def order_otherwise(values: Any) -> None:
    first, second = np.flatnonzero(values >= 0)[:2]
    values[[first, second]] = values[[second, first]]


def make_no_number(values: Any) -> None:
    values[3] = np.nan


def claim_many(values: Any) -> None:
    values[-1] = 2**41


COLUMNS, OF_BLOCK = TaskId("columns", "all"), "1"
FORGERIES: list[tuple[TaskId, str, Callable[[Any], None]]] = [
    (TaskId("merge", OF_BLOCK), "novelty", raise_a_little),
    (TaskId("merge", OF_BLOCK), "novelty", undefine),
    (TaskId("merge", OF_BLOCK), "neighbors/ids", swap),
    (TaskId("merge", OF_BLOCK), "neighbors/ids", take_another),
    (TaskId("merge", OF_BLOCK), "neighbors/ids", leave_out_the_last),
    (TaskId("merge", OF_BLOCK), "neighbors/similarities", raise_a_little),
    (TaskId("merge", OF_BLOCK), "novelty_nearest", raise_a_little),
    (TaskId("merge", OF_BLOCK), "novelty_kth", raise_a_little),
    (TaskId("cover", "1"), "uncovered", raise_a_little),
    (TaskId("cover", "1"), "uncovered", undefine),
    (TaskId("density", OF_BLOCK), "density", raise_a_little),
    (TaskId("lof", OF_BLOCK), "lof", raise_a_little),
    (TaskId("lof", OF_BLOCK), "lof", undefine),
    (TaskId("weigh", OF_BLOCK), "weights/data", raise_a_little),
    (TaskId("weigh", OF_BLOCK), "weights/data", make_no_number),
    (TaskId("weigh", OF_BLOCK), "weights/indices", lambda values: values.__setitem__(2, values[2] + 1)),
    (TaskId("weigh", OF_BLOCK), "weights/indptr", claim_many),
    (TaskId("weigh", OF_BLOCK), "weights/indptr", lambda values: values.__setitem__(-1, -1)),
    (TaskId("vectorize", OF_BLOCK), "partial_frequency", count_one_more),
    (COLUMNS, "columns/document_frequency", count_one_more),
    (COLUMNS, "columns/idf", raise_a_little),
    (COLUMNS, "columns/rank", order_otherwise),
    (COLUMNS, "columns/breakpoints", count_one_more),
]


@pytest.mark.sampled(4)
@pytest.mark.parametrize(("task", "name", "change"), FORGERIES)
def test_forged_results_are_found_by_computing_again(
    out: Path, task: TaskId, name: str, change: Callable[[Any], None]
) -> None:
    forge(out, task, name, lambda values: None)
    assert novelty_dask.verify(out, recompute_blocks=1_000).damages == []
    forge(out, task, name, change)
    assert novelty_dask.verify(out).damages == []
    damages = novelty_dask.verify(out, recompute_blocks=1_000).damages
    assert any(
        (damage.stage, damage.item) == task
        and str(damage).startswith(
            f"Array {name!r} (stage {task.stage}, task {task.item}) differs from a fresh "
        )
        for damage in damages
    ) or (name == "partial_frequency" and {damage.stage for damage in damages} == {"columns"})
    if task.stage == "merge":
        # Other views rest on the neighbors, and may differ with them.
        views = set() if name != "neighbors/ids" else {"cover", "density", "lof"}
        assert [damage.stage for damage in damages if damage.stage not in views] == ["merge"]


# Cleaning.


def test_what_was_left_behind_is_removed_and_nothing_else(out: Path) -> None:
    before = snapshot(out)
    left = ["work/probe-1", "work/rows/000000.parquet", "strips/ids/c/0/0/0", "weights/data/c/0/7"]
    left += [partial_name("novelty/c/1"), partial_name("zarr.json")]
    for name in left:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(b"left")
    assert novelty_dask.clean(out) == len(left)
    after = {path: data for path, data in snapshot(out).items() if not path.startswith("owners/")}
    assert after == {path: data for path, data in before.items() if not path.startswith("owners/")}
    assert novelty_dask.clean(out) == 0


@pytest.mark.parametrize("key", ["strips/zarr.json", "strips/ids/zarr.json", "strips/ids/c/0/0/0"])
def test_half_removed_strips_are_no_damage_and_are_removed(out: Path, key: str) -> None:
    """A client may be killed while it removes them, at the very end of a run."""
    before = snapshot(out)
    (out / key).parent.mkdir(parents=True)
    (out / key).write_bytes(b"{")
    assert not novelty_dask.verify(out).damages
    assert novelty_dask.clean(out) == 1
    assert {path for path in snapshot(out) if not path.startswith("owners/")} == {
        path for path in before if not path.startswith("owners/")
    }


def test_what_people_keep_in_a_run_is_not_removed(out: Path) -> None:
    for name in ("README.txt", "notes.partial", ".git/HEAD", "notebooks/a.ipynb", "rows/by-hand.csv"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("mine")
    zarr.open_group(out, mode="a").create_array("labels", data=np.arange(300))
    before = snapshot(out)
    assert novelty_dask.clean(out) == 0
    after = snapshot(out)
    assert {path for path in before if not path.startswith("owners/")} <= after.keys()
    assert np.array_equal(np.asarray(zarr.open_array(out / "labels", mode="r")[:]), np.arange(300))


@pytest.mark.parametrize("name", ["inner.zarr", "rows/inner.zarr"])
def test_no_run_is_made_inside_another(made: Path, out: Path, name: str) -> None:
    before = snapshot(out)
    with pytest.raises(
        StoreError, match=r"^Can't create '.*': it is inside the run '.*'; name a path elsewhere\.$"
    ):
        novelty_dask.score(made / "urls.txt", out / name)
    assert snapshot(out) == before


@pytest.mark.sampled
@pytest.mark.parametrize(("stage", "count"), [("ingest", 1), ("sort", 1), ("vectorize", 2), ("compare", 7)])
def test_a_stopped_run_keeps_what_it_needs(made: Path, tmp_path: Path, stage: str, count: int) -> None:
    out = stopped(made, tmp_path / "run.zarr", stage, count)
    # What tasks wrote that did not come to commit.
    n_left = 1 if stage == "sort" else 0
    assert novelty_dask.clean(out) == n_left
    listener = Recorder()
    assert content(novelty_dask.resume(out, listener=listener)) == content(
        novelty_dask.open(made / "run.zarr")
    )
    if stage in {"vectorize", "compare"}:
        assert listener.totals[stage][1] == count


def test_a_run_that_another_client_begins_before_the_claim_keeps_its_input(
    made: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the manifest of the complete run that was there, its copy of standard input is a leftover."""

    def begin_and_claim(objects: Objects, name: str) -> Owner:
        shutil.rmtree(out)
        urls = io.BytesIO((made / "urls.txt").read_bytes())
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(urls))
        with pytest.raises(KeyboardInterrupt):
            novelty_dask.score("-", out, listener=at_start("ingest", interrupt), block_rows=BLOCK_ROWS)
        return claim(objects, name)

    monkeypatch.setattr(maintenance, "claim", begin_and_claim)
    assert novelty_dask.clean(out) == 0
    assert content(novelty_dask.resume(out)) == content(novelty_dask.open(made / "run.zarr"))


@pytest.mark.parametrize("stage", ["ingest", "vectorize"])
def test_standard_input_is_kept_as_long_as_it_is_needed(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((made / "urls.txt").read_bytes())))
    out = tmp_path / "run.zarr"
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score("-", out, listener=stop_at(stage, 1), block_rows=BLOCK_ROWS)
    assert novelty_dask.clean(out) == 0
    assert (out / "work" / "stdin").read_bytes() == (made / "urls.txt").read_bytes()
    monkeypatch.setattr(sys, "stdin", None)
    assert content(novelty_dask.resume(out)) == content(novelty_dask.open(made / "run.zarr"))
