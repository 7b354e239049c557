"""What a run does when something of it is damaged or fails: no more than is needed, and the same bytes."""

import gzip
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import novelty_dask
from novelty_dask.errors import ClusterError, DamageError, InputError
from novelty_dask.kernels.choices import VIEWS
from novelty_dask.objects.commits import Commit, Draft, _encode, commit_key
from novelty_dask.pipeline.graph import make_schedule
from novelty_dask.pipeline.measurements import measure_stage
from novelty_dask.planning.pending import pending_tasks
from novelty_dask.planning.stages import COLUMNS, COMPARE, LASTING_STAGES, STAGES, VECTORIZE, WEIGH, TaskId
from novelty_dask.planning.tiles import TilePlan
from novelty_dask.sources.find import Source
from novelty_dask.stages.perform import FUNCTIONS
from novelty_dask.storage.audit import check_commits, list_done
from novelty_dask.storage.identity import RunIdentity
from novelty_dask.storage.runs import StoredRun, open_stored
from tests.support.content import Content, content
from tests.support.damage import failing, flip_file
from tests.support.files import snapshot
from tests.support.listeners import Recorder, stop_at
from tests.support.runs import BLOCK_ROWS, STAGE_NAMES, make_run


@pytest.fixture(scope="module")
def expected(made: Path) -> Content:
    return content(novelty_dask.open(made / "run.zarr"))


CHANGING = ("commits", "owners", "zarr.json", "manifest")
"""What a run has besides its arrays: the last two are the manifest and its copy."""


def arrays(out: Path) -> dict[str, bytes]:
    """All that is stored but commits, which tell of epochs, and what each stage took."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.relative_to(out).parts[0] not in CHANGING
    }


REJECTED_AGAIN: dict[str, tuple[int | None, int]] = {"ingest": (1, 0), "rejected": (1, 0)}
READING: dict[str, tuple[int | None, int]] = {"ingest": (1, 0), "sort": (None, 0)}
REPAIRS: dict[str, dict[str, tuple[int | None, int]]] = {
    "rejected/source": REJECTED_AGAIN,
    "rejected/sample": REJECTED_AGAIN,
    "rows/url": {**READING, "vectorize": (5, 4)},
    "rows/count": {**READING, "vectorize": (5, 4)},
    "rows/position": {**READING, "vectorize": (5, 4)},
    "rows/spellings": {**READING, "vectorize": (5, 4)},
    "partial_frequency": {**READING, "vectorize": (5, 4)},
    "columns/document_frequency": {"columns": (1, 0)},
    "columns/idf": {"columns": (1, 0)},
    "columns/rank": {"columns": (1, 0)},
    "columns/breakpoints": {"columns": (1, 0)},
    "weights/indptr": {"weigh": (5, 4)},
    "weights/indices": {"weigh": (5, 4)},
    "weights/data": {"weigh": (5, 4)},
    "neighbors/ids": {"compare": (25, 20), "merge": (5, 4)},
    "neighbors/similarities": {"compare": (25, 20), "merge": (5, 4)},
    "novelty": {"compare": (25, 20), "merge": (5, 4)},
    "novelty_nearest": {"compare": (25, 20), "merge": (5, 4)},
    "novelty_kth": {"compare": (25, 20), "merge": (5, 4)},
    "uncovered": {"cover": (3, 2)},
    "density": {"density": (5, 4)},
    "lof": {"lof": (5, 4)},
}


def a_chunk(out: Path, name: str) -> Path:
    """The second chunk of an array, or its only one."""
    chunks = sorted(path for path in (out / name / "c").rglob("*") if path.is_file())
    return chunks[min(1, len(chunks) - 1)]


def alter_type(metadata: Path) -> None:
    values = json.loads(metadata.read_text())
    metadata.write_text(json.dumps({**values, "data_type": "bool", "fill_value": False}))


@pytest.mark.sampled
@pytest.mark.parametrize(("name", "repair"), REPAIRS.items())
def test_a_damaged_chunk_is_made_again_by_no_more_than_leads_to_it(
    out: Path, expected: Content, name: str, repair: dict[str, tuple[int | None, int]]
) -> None:
    before = arrays(out)
    chunk, listener = a_chunk(out, name), Recorder()
    if name.endswith("s"):
        chunk.unlink()
    else:
        flip_file(chunk)
    [damage] = novelty_dask.verify(out).damages
    assert str(damage).startswith(f"'{chunk.relative_to(out)}' ")
    assert content(novelty_dask.resume(out, listener=listener)) == expected
    assert listener.totals == repair
    assert arrays(out) == before
    assert novelty_dask.verify(out).damages == []
    assert novelty_dask.status(out).state == "complete"


@pytest.mark.sampled
@pytest.mark.parametrize("stage", [stage.name for stage in LASTING_STAGES if stage.name in STAGE_NAMES])
@pytest.mark.parametrize("damage", [Path.unlink, flip_file])
def test_a_lost_commit_is_found_and_its_task_done_again(
    out: Path, expected: Content, stage: str, damage: Callable[[Path], None]
) -> None:
    before = arrays(out)
    commit = sorted((out / "commits" / stage).iterdir())[-1]
    damage(commit)
    [found] = novelty_dask.verify(out).damages
    assert (found.stage, found.item) == (stage, commit.stem)
    assert content(novelty_dask.resume(out)) == expected
    assert arrays(out) == before
    assert novelty_dask.verify(out).damages == []


@pytest.mark.parametrize("name", ["rejected/line", "rows/url", "columns/idf", "weights/data", "novelty"])
@pytest.mark.parametrize("damage", [Path.unlink, alter_type, lambda path: path.write_text("[]")])
def test_damaged_metadata_are_found_and_written_again(
    out: Path, expected: Content, name: str, damage: Callable[[Path], None]
) -> None:
    before, listener = arrays(out), Recorder()
    damage(out / name / "zarr.json")
    [found] = novelty_dask.verify(out).damages
    assert str(found).startswith(f"'{name}/zarr.json' was altered")
    assert content(novelty_dask.resume(out, listener=listener)) == expected
    assert listener.stages == []
    assert arrays(out) == before
    assert novelty_dask.verify(out).damages == []


def test_rows_are_not_made_again_from_other_sources(out: Path, made: Path) -> None:
    source = made / "urls.txt"
    text, times = source.read_text(), source.stat()
    a_chunk(out, "rows/url").unlink()
    before = arrays(out)
    try:
        source.write_text(text.replace("https://", "HTTPS://"))
        with pytest.raises(InputError, match=r"urls\.txt' has changed since the run was begun; "):
            novelty_dask.resume(out)
    finally:
        source.write_text(text)
        os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert arrays(out) == before
    novelty_dask.resume(out)


def test_damage_that_a_task_comes_upon_is_repaired_on_the_way(
    made: Path, tmp_path: Path, expected: Content
) -> None:
    out = tmp_path / "run.zarr"
    for stage, name in (("vectorize", "work/rows"), ("weigh", "columns/idf"), ("compare", "weights/data")):
        with pytest.raises(KeyboardInterrupt):
            novelty_dask.score(made / "urls.txt", out, listener=stop_at(stage, 1), block_rows=BLOCK_ROWS)
        damaged = a_chunk(out, name) if "work" not in name else next((out / name).iterdir())
        flip_file(damaged)
        listener = stop_at(stage, 3)
        with pytest.raises(KeyboardInterrupt):
            novelty_dask.resume(out, listener=listener)
        assert any(
            note.startswith(f"Damage: '{damaged.relative_to(out)}' does not match its checksum")
            for note in listener.notes
        )
    assert content(novelty_dask.resume(out)) == expected
    assert novelty_dask.verify(out).damages == []


def test_a_store_that_damages_what_it_is_given_is_given_up(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, out, writes = Draft.write, tmp_path / "run.zarr", []

    def careless(draft: Draft, key: str, data: bytes) -> None:
        write(draft, key, data)
        if key == "columns/idf/c/0":
            writes.append(key)
            flip_file(out / key)

    monkeypatch.setattr(Draft, "write", careless)
    with pytest.raises(DamageError, match=r"^'columns/idf/c/0' does not match its checksum"):
        novelty_dask.score(made / "urls.txt", out, block_rows=BLOCK_ROWS)
    assert len(writes) == 3


@pytest.mark.sampled
@pytest.mark.parametrize("name", ["rows/count", "weights/indptr", "columns/idf"])
def test_what_is_lost_of_a_stopped_run_is_made_again_though_nothing_reads_it_any_more(
    made: Path, tmp_path: Path, expected: Content, name: str
) -> None:
    """Of a complete stage commits are believed, and looked at before the last stage."""
    out = tmp_path / "run.zarr"
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score(made / "urls.txt", out, listener=stop_at("compare", 24), block_rows=BLOCK_ROWS)
    a_chunk(out, name).unlink()
    listener = Recorder()
    assert content(novelty_dask.resume(out, listener=listener)) == expected
    assert any(note.startswith("Damage: ") for note in listener.notes)
    assert novelty_dask.verify(out).damages == []


def test_reading_what_earlier_sessions_left_is_a_stage_to_watch(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.zarr"
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score(made / "urls.txt", out, listener=stop_at("compare", 7), block_rows=BLOCK_ROWS)
    stored = open_stored(str(out))
    left = [task for stage in LASTING_STAGES for task in list_done(stored, stage)]
    goes_on, is_complete = Recorder(), Recorder()
    novelty_dask.resume(out, listener=goes_on)
    assert goes_on.n_verified == len(left) > 10
    novelty_dask.resume(out, listener=is_complete)
    assert is_complete.n_verified == novelty_dask.verify(out).tasks > len(left)
    assert is_complete.stages == []


# What stages took.


def test_figures_of_a_stage_that_was_resumed_are_those_of_all_sessions(made: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "run.zarr", open_stored(str(made / "run.zarr")).manifest.stages
    for stage, count in (("vectorize", 2), ("compare", 7), ("compare", 9)):
        with pytest.raises(KeyboardInterrupt):
            novelty_dask.score(made / "urls.txt", out, listener=stop_at(stage, count), block_rows=BLOCK_ROWS)
    before = measure_stage(open_stored(str(out)), COMPARE, list_done(open_stored(str(out)), COMPARE))
    stages = novelty_dask.resume(out).manifest.stages
    assert stages.keys() == whole.keys()
    measured = {"seconds", "core_seconds", "peak_bytes", "projected_bytes", "kernel_seconds"}
    for name, figures in stages.items():
        counts = {key: value for key, value in figures.items() if key not in measured}
        assert counts == {key: value for key, value in whole[name].items() if key not in measured}, name
    assert stages["compare"]["tasks"] == 25
    for name in ("seconds", "core_seconds", "kernel_seconds"):
        assert stages["compare"][name] > before[name] > 0
    assert stages["compare"]["peak_bytes"] >= before["peak_bytes"] > 10**7


def test_figures_of_a_stage_that_is_repaired_are_added_to(out: Path) -> None:
    before = open_stored(str(out)).manifest.stages
    a_chunk(out, "novelty").unlink()
    stored = novelty_dask.resume(out).manifest
    assert stored.earlier == {}
    for name in ("compare", "merge"):
        assert stored.stages[name]["tasks"] == before[name]["tasks"]
        assert stored.stages[name]["core_seconds"] > before[name]["core_seconds"]
    assert stored.stages["compare"]["kernel_seconds"] > before["compare"]["kernel_seconds"]
    assert all(stored.stages[name] == before[name] for name in ("ingest", "vectorize", "columns", "weigh"))


def test_a_client_that_was_succeeded_leaves_the_manifest_alone(made: Path, tmp_path: Path) -> None:
    out, seen = tmp_path / "run.zarr", []

    def succeed(stage: str, count: int) -> None:
        if (stage, count) == ("weigh", 5):
            (out / "owners" / "00000002.json").write_bytes((out / "owners" / "00000001.json").read_bytes())
            seen.append((out / "zarr.json").read_bytes())

    with pytest.raises(OSError, match=r"has taken over from epoch 1; this one stops\.$"):
        novelty_dask.score(made / "urls.txt", out, block_rows=BLOCK_ROWS, listener=Recorder(succeed))
    assert (out / "zarr.json").read_bytes() == seen[0]


# Tasks that fail.

MERGE_FAILED = "it needs task 1 of merge, which was given up"
FIRST_FAILED = "it needs task 0, which was given up"
VIEWS_GIVEN_UP = [
    {"stage": "cover", "item": "0", "reason": MERGE_FAILED},
    {"stage": "density", "item": "0", "reason": MERGE_FAILED},
    {"stage": "density", "item": "1", "reason": MERGE_FAILED},
    *({"stage": "density", "item": item, "reason": FIRST_FAILED} for item in "234"),
    *(
        {"stage": "lof", "item": item, "reason": f"it needs task {item} of density, which was given up"}
        for item in "01234"
    ),
]


@pytest.mark.sampled
@pytest.mark.parametrize(("candidate", "given_up"), [(4, ["1-4"]), (1, ["1-0", "1-1", "1-2", "1-3", "1-4"])])
def test_a_tile_that_fails_leaves_a_partial_run_and_resume_completes_it(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    expected: Content,
    candidate: int,
    given_up: list[str],
) -> None:
    out, listener = tmp_path / "run.zarr", Recorder()
    whole = novelty_dask.open(made / "run.zarr")
    with monkeypatch.context() as patch:
        tries = failing(1, candidate, patch)
        run = novelty_dask.score(made / "urls.txt", out, block_rows=BLOCK_ROWS, listener=listener)
    assert len(tries) == 3
    first, *others = given_up
    failures = [failure.model_dump() for failure in run.manifest.failures]
    assert failures == [
        {"stage": "compare", "item": first, "reason": "it raised ZeroDivisionError"},
        *(
            {"stage": "compare", "item": item, "reason": f"it needs task {first}, which was given up"}
            for item in others
        ),
        {"stage": "merge", "item": "1", "reason": f"it needs task {first} of compare, which was given up"},
        *VIEWS_GIVEN_UP,
    ]
    assert "secret" not in json.dumps(failures) + str(listener.notes)
    assert sum(note.startswith("Given up: task ") for note in listener.notes) == len(failures)
    # Of the other rows nothing is missing but what needs the neighbors of all, and of those beside them.
    lacking = np.arange(len(run)) // BLOCK_ROWS == 1
    assert np.isnan(np.asarray(run.novelty[:])[lacking]).all()
    assert (run.neighbors.ids[:][lacking] == -1).all()
    for found, right in (
        *((getattr(run, name), getattr(whole, name)) for name in VIEWS[:3]),
        *zip(run.neighbors, whole.neighbors, strict=True),
    ):
        np.testing.assert_array_equal(found[:][~lacking], right[:][~lacking])
    stretch = slice(2 * BLOCK_ROWS)
    assert np.isnan(np.asarray(run.uncovered[stretch])).all()
    np.testing.assert_array_equal(run.uncovered[stretch.stop :], whole.uncovered[stretch.stop :])
    assert np.isnan(np.asarray(run.lof[:])).all()
    assert set(run.top(10_000).url) == set(np.asarray(run.urls[:])[~lacking])
    assert novelty_dask.status(out).state == "partial"
    assert f"</strong> {len(failures)} of its tasks were given up" in run.report().html
    assert novelty_dask.verify(out, recompute_blocks=5).damages == []
    assert list(run.to_dataframe().compute(scheduler="synchronous").novelty.isna()) == lacking.tolist()
    # Again, with what is needed for those rows alone.
    listener = Recorder()
    assert content(novelty_dask.resume(out, listener=listener)) == expected
    again = {"cover": (3, 2), "density": (5, 0), "lof": (5, 0)}
    assert listener.totals == {"compare": (25, 25 - len(given_up)), "merge": (5, 4), **again}
    assert novelty_dask.status(out).state == "complete"
    assert not (out / "strips").exists()


def test_a_partial_run_that_fails_again_stays_partial(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: Content
) -> None:
    out = tmp_path / "run.zarr"
    with monkeypatch.context() as patch:
        failing(1, 4, patch)
        novelty_dask.score(made / "urls.txt", out, block_rows=BLOCK_ROWS)
        failures = novelty_dask.resume(out).manifest.failures
        assert novelty_dask.score(made / "urls.txt", out).manifest.failures == failures
    assert [failure.item for failure in failures][:2] == ["1-4", "1"]
    assert [failure.model_dump() for failure in failures][2:] == VIEWS_GIVEN_UP
    assert content(novelty_dask.score(made / "urls.txt", out)) == expected


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("stage", "task"),
    [("columns", "all of columns"), ("weigh", "0 of weigh"), ("vectorize", "0 of vectorize")],
)
def test_a_task_that_fails_without_which_nothing_goes_ends_the_run_and_is_named(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    expected: Content,
    stage: str,
    task: str,
) -> None:
    def fail(*_arguments: Any) -> None:
        raise ZeroDivisionError("of https://secret.example/")

    with monkeypatch.context() as patch:
        patch.setitem(FUNCTIONS, stage, fail)
        with pytest.raises(ClusterError) as error:
            novelty_dask.score(made / "urls.txt", tmp_path / "run.zarr", block_rows=BLOCK_ROWS)
    assert str(error.value) == f"Task {task} was given up: it raised ZeroDivisionError."
    assert novelty_dask.status(tmp_path / "run.zarr").state == "stopped"
    assert content(novelty_dask.resume(tmp_path / "run.zarr")) == expected


# Older clients.


def test_a_client_that_was_succeeded_commits_nothing_more(
    made: Path, tmp_path: Path, expected: Content
) -> None:
    out = tmp_path / "run.zarr"

    def succeed(stage: str, count: int) -> None:
        if (stage, count) == ("weigh", 2):
            (out / "owners" / "00000002.json").write_bytes((out / "owners" / "00000001.json").read_bytes())

    with pytest.raises(
        OSError, match=r"^Another client, of epoch 2, has taken over from epoch 1; this one stops\."
    ):
        novelty_dask.score(made / "urls.txt", out, block_rows=BLOCK_ROWS, listener=Recorder(succeed))
    assert len(list((out / "commits" / "weigh").iterdir())) == 2
    assert content(novelty_dask.resume(out)) == expected


def test_commits_of_another_run_do_not_count(made: Path, tmp_path: Path, expected: Content) -> None:
    """The same URLs, packed: all arrays would fit."""
    before = snapshot(made / "run.zarr")
    (tmp_path / "urls.gz").write_bytes(gzip.compress((made / "urls.txt").read_bytes()))
    other = tmp_path / "other.zarr"
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score(
            tmp_path / "urls.gz", other, listener=stop_at("vectorize", 5), block_rows=BLOCK_ROWS
        )
    shutil.copytree(made / "run.zarr" / "commits", other / "commits", dirs_exist_ok=True)
    stored: StoredRun = open_stored(str(other))
    assert stored.commits.find(TaskId("merge", "0")) is None
    listener = Recorder()
    assert content(novelty_dask.resume(other, listener=listener)) == expected
    assert listener.stages[-7:] == ["columns", "weigh", "compare", "merge", "cover", "density", "lof"]
    assert snapshot(made / "run.zarr") == before


# Planning the rest.


def test_the_rest_of_many_tiles_is_planned_in_no_time(tmp_path: Path) -> None:
    """The 10,000 tiles of 1,000 sources: in a time that grows with their number alone."""
    plan = TilePlan(n_rows=2_500, block_rows=1, span_blocks=2, group_blocks=313)
    run = make_run(tmp_path, plan)
    run.manifest.identity = RunIdentity(
        settings=run.manifest.settings,
        sources=tuple(Source(f"file:///data/{number}.txt.gz", 9, "gzip", "1.5") for number in range(1_000)),
    )
    shape = run.manifest.shape
    items = {stage.name: list(stage.items(shape) or ()) for stage in STAGES}
    assert len(items["compare"]) == 10_000
    for stage in (VECTORIZE, COLUMNS, WEIGH, COMPARE):
        (tmp_path / "run.zarr" / "commits" / stage.name).mkdir(parents=True)
        for item in items[stage.name][: 9_900 if stage is COMPARE else None]:
            commit = Commit(run.manifest.identity.fingerprint, 1, {}, {"kernel_seconds": 1.5})
            record = _encode(stage.task(item), commit)
            (tmp_path / "run.zarr" / commit_key(stage.task(item))).write_bytes(record)
    began = time.process_time()
    done = {stage.name: list_done(run, stage) for stage in STAGES}
    needed = pending_tasks(STAGES, shape, {stage.name for stage in LASTING_STAGES}, done)
    ready, unlocked, hopeless = make_schedule(COMPARE, shape, set(needed["compare"]), set())
    assert check_commits(run, COMPARE).done == done["compare"]
    assert measure_stage(run, COMPARE, done["compare"])["kernel_seconds"] == 9_900 * 1.5
    seconds = time.process_time() - began
    assert needed["compare"] == items["compare"][-100:] == list(ready)
    assert (unlocked, hopeless) == ({}, [])
    # What grows with the square of the tiles takes ten seconds and more.
    assert seconds < 5
