"""Damage to what a stopped run has: made again before the run is called complete, whatever reads it."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import novelty_dask
from novelty_dask.errors import InputError
from tests.support.content import content
from tests.support.damage import flip_file, swap
from tests.support.listeners import Recorder, at_start, interrupt, stop_at
from tests.support.runs import BLOCK_ROWS


def stopped(made: Path, out: Path, stage: str, count: int) -> Path:
    listener = stop_at(stage, count)
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score(made / "urls.txt", out, listener=listener, block_rows=BLOCK_ROWS)
    return out


@pytest.mark.sampled
@pytest.mark.parametrize("damage", [pytest.param(Path.unlink, marks=pytest.mark.long), flip_file])
@pytest.mark.parametrize(
    ("stage", "count", "chunk"),
    [
        ("merge", 3, "novelty/c/1"),
        ("merge", 2, "neighbors/ids/c/0/0"),
        ("merge", 1, "rows/url/c/0"),
        ("compare", 25, "rows/position/c/2"),
        ("compare", 7, "rejected/source/c/0"),
        ("weigh", 5, "partial_frequency/c/1/0"),
        ("columns", 1, "columns/document_frequency/c/0"),
    ],
)
def test_no_damage_of_a_stopped_run_is_left_in_a_complete_one(
    made: Path, tmp_path: Path, stage: str, count: int, chunk: str, damage: Callable[[Path], None]
) -> None:
    out, listener = stopped(made, tmp_path / "run.zarr", stage, count), Recorder()
    damage(out / chunk)
    assert len(novelty_dask.verify(out).damages) == 1
    run = novelty_dask.resume(out, listener=listener)
    assert novelty_dask.verify(out).damages == []
    assert content(run) == content(novelty_dask.open(made / "run.zarr"))
    # What has its length is found when it is read, which is told.
    assert damage is Path.unlink or any(f"'{chunk}' " in said for said in listener.notes)


def test_many_damages_are_mended_at_once(made: Path, tmp_path: Path) -> None:
    out = stopped(made, tmp_path / "run.zarr", "merge", 4)
    chunks = sorted(path for path in (out / "rows").rglob("*") if path.parent.name == "c")
    assert len(chunks) == 20
    for chunk in chunks:
        flip_file(chunk)
    assert len(novelty_dask.verify(out).damages) == 20
    novelty_dask.resume(out)
    assert novelty_dask.verify(out).damages == []


@pytest.mark.parametrize("stage", ["weigh", "merge"])
def test_a_commit_in_the_place_of_another_is_found(made: Path, out: Path, stage: str) -> None:
    swap(out / "commits" / stage / "0.json", out / "commits" / stage / "3.json")
    damages = novelty_dask.verify(out).damages
    assert {(damage.stage, damage.item) for damage in damages} == {(stage, "0"), (stage, "3")}
    assert content(novelty_dask.resume(out)) == content(novelty_dask.open(made / "run.zarr"))
    assert novelty_dask.verify(out).damages == []


@pytest.mark.sampled
@pytest.mark.parametrize("name", ["strips", "strips/ids"])
@pytest.mark.parametrize(("stage", "count"), [("compare", 25), ("merge", 2)])
def test_lost_metadata_of_strips_are_written_again(
    made: Path, tmp_path: Path, name: str, stage: str, count: int
) -> None:
    out = stopped(made, tmp_path / "run.zarr", stage, count)
    (out / name / "zarr.json").unlink()
    [damage] = novelty_dask.verify(out).damages
    assert str(damage) == f"'{name}/zarr.json' was altered; `novelty resume` writes it again."
    assert content(novelty_dask.resume(out)) == content(novelty_dask.open(made / "run.zarr"))


def test_lost_commits_of_a_stage_that_was_complete_are_found(made: Path, tmp_path: Path) -> None:
    out = stopped(made, tmp_path / "run.zarr", "compare", 3)
    (out / "commits" / "vectorize" / "2.json").unlink()
    [damage] = novelty_dask.verify(out).damages
    assert (damage.stage, damage.item) == ("vectorize", "2")
    assert content(novelty_dask.resume(out)) == content(novelty_dask.open(made / "run.zarr"))


def test_a_damaged_copy_of_standard_input_is_not_read(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, data = tmp_path / "run.zarr", (made / "urls.txt").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    with pytest.raises(KeyboardInterrupt):
        novelty_dask.score("-", out, listener=at_start("ingest", interrupt), block_rows=BLOCK_ROWS)
    assert novelty_dask.verify(out).damages == []
    # Of the same length, and text as before.
    (out / "work" / "stdin").write_bytes(data.replace(b"https://", b"HTTPS://"))
    [damage] = novelty_dask.verify(out).damages
    assert str(damage).startswith("'work/stdin', the copy of standard input, was altered; ")
    with pytest.raises(
        InputError, match=r"^The copy of standard input in '.*' was altered; score it into an"
    ):
        novelty_dask.resume(out)
    (out / "work" / "stdin").write_bytes(data)
    assert content(novelty_dask.resume(out)) == content(novelty_dask.open(made / "run.zarr"))
