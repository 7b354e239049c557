"""What goes wrong with runs: chunks that are damaged, and manifests that are altered."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from novelty_dask.engines import sparse
from novelty_dask.kernels.search.topk import search
from novelty_dask.planning.stages import TaskId, find_stage
from novelty_dask.storage.manifest import ATTRIBUTE, CHECKSUM, checksum
from novelty_dask.storage.metadata import COPY
from novelty_dask.storage.runs import open_stored
from tests.support.runs import BLOCK_ROWS, writable


def flip(data: bytes) -> bytes:
    """Return some bytes of which one bit in the middle is another."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def flip_file(path: Path) -> None:
    """Flip one bit in the middle of a file."""
    path.write_bytes(flip(path.read_bytes()))


def swap(path: Path, other: Path) -> None:
    """Give two files, which are not the same, each the content of the other."""
    one, two = path.read_bytes(), other.read_bytes()
    assert one != two
    path.write_bytes(two)
    other.write_bytes(one)


def alter(run: str | Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest of a run and its copy, and their checksums with them."""
    for path in (Path(run) / "zarr.json", Path(run) / COPY):
        values = json.loads(path.read_text(encoding="utf-8"))
        said = values["attributes"][ATTRIBUTE]
        del said[CHECKSUM]
        change(said)
        said[CHECKSUM] = checksum(said)
        path.write_text(json.dumps(values, indent=2), encoding="utf-8")


def failing(row: int, candidate: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the comparison of two blocks fail, until it is mended."""
    failures: list[int] = []

    def fail(*blocks: Any, row_start: int, candidate_start: int, **others: Any) -> Any:
        if (row_start, candidate_start) == (row * BLOCK_ROWS, candidate * BLOCK_ROWS):
            failures.append(1)
            raise ZeroDivisionError("of https://secret.example/")
        return search(*blocks, row_start=row_start, candidate_start=candidate_start, **others)

    monkeypatch.setattr(sparse, "search", fail)
    return failures


def forge(out: Path, task: TaskId, name: str, change: Callable[[Any], None]) -> None:
    """Alter what a task wrote to an array, with a commit that agrees with what was altered."""
    run = open_stored(str(out))
    commit = run.commits.get(task)
    stage, arrays = find_stage(task.stage), run.arrays()
    index = run.layout.index(name, task.item, run.layout.specs[name].shape[1:])
    if name in ("weights/indices", "weights/data"):
        index = (int(task.item), slice(int(arrays.read("weights/indptr", int(task.item), -1))))
    values = arrays.read(name, *index)
    change(values)
    forged, draft = writable(run, stage, task.item)
    forged[name][index] = values
    run.commits.forget(task)
    run.commits.add(task, commit._replace(objects={**commit.objects, **draft.digests}))
