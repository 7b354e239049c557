"""The start of a session, and what ends it."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import novelty_dask
from novelty_dask.errors import InputError, StoreError
from novelty_dask.objects import owners
from novelty_dask.objects.local import LocalObjects
from tests.support.files import snapshot
from tests.support.listeners import Recorder, at_start
from tests.support.runs import BLOCK_ROWS


def move(run: Path) -> None:
    run.replace(run.with_name("moved.zarr"))


@pytest.mark.sampled
@pytest.mark.parametrize("remove", [move, shutil.rmtree])
@pytest.mark.parametrize(("stage", "count"), [("ingest", 0), ("vectorize", 2), ("compare", 3), ("merge", 5)])
def test_a_run_that_is_moved_or_removed_while_it_is_written_is_said_to_be_gone(
    made: Path, tmp_path: Path, remove: Callable[[Path], None], stage: str, count: int
) -> None:
    out = tmp_path / "run.zarr"

    def look(at: str, done: int) -> None:
        if (at, done) == (stage, count):
            remove(out)

    listener = Recorder(look) if count else at_start(stage, lambda: remove(out))
    gone = r"^The run '.*/run\.zarr' is gone: it was moved or removed while it was written; resume it where "
    with pytest.raises(StoreError, match=gone):
        novelty_dask.score(made / "urls.txt", out, block_rows=BLOCK_ROWS, listener=listener)
    assert not out.exists() or snapshot(out) == {}
    if remove is move:
        assert novelty_dask.verify(tmp_path / "moved.zarr").damages == []


def test_a_run_that_is_of_no_use_is_removed_without_a_heartbeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One would store a file in the folder meanwhile, and the error would hide that of the sources."""
    monkeypatch.setattr(owners, "HEARTBEAT_SECONDS", 0.001)
    remove, beating = LocalObjects.remove, []

    def look_and_remove(objects: LocalObjects, key: str) -> None:
        if not key:
            beating.append("novelty-heartbeat" in {thread.name for thread in threading.enumerate()})
        remove(objects, key)

    monkeypatch.setattr(LocalObjects, "remove", look_and_remove)
    (tmp_path / "urls.txt").write_text("\n \n", encoding="utf-8")
    with pytest.raises(InputError):
        novelty_dask.score(tmp_path / "urls.txt", tmp_path / "run.zarr")
    assert beating == [False]
    assert not (tmp_path / "run.zarr").exists()
