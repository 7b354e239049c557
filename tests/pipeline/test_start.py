"""The start of a session, and what ends it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import novelty_dask
from novelty_dask.errors import StoreError
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
