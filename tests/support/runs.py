"""Runs whose arrays a test fills, task by task, as a pipeline would."""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zarr

import novelty_dask
from novelty_dask.objects.commits import Draft, TaskId
from novelty_dask.planning.tiles import TilePlan
from novelty_dask.settings import Settings
from novelty_dask.storage.arrays import array
from novelty_dask.storage.manifest import Manifest
from novelty_dask.storage.runs import StoredRun, create_run

NOBODY = 0
"""The epoch of a run that nobody has claimed."""
BLOCK_ROWS = 128
LINES = [*novelty_dask.datasets.make_urls(600, seed=9)[0], "", "a\0b"]


def make_run(folder: Path | None, plan: TilePlan, n_rejected: int = 0, **settings: Any) -> StoredRun:
    """An empty run with a plan, in a folder or in memory."""
    url = f"{folder}/run.zarr" if folder else f"memory://{uuid.uuid4().hex}/run.zarr"
    manifest = Manifest(Settings.make(**settings).result, [], plan=dict(vars(plan)))
    manifest.counts = {"rejected": {"blank": n_rejected}}
    return create_run(url, manifest)


def make_arrays(run: StoredRun) -> StoredRun:
    """The run, with all its arrays, still empty."""
    for stage in dict.fromkeys(spec.stage for spec in run.layout.specs.values()):
        run.create_arrays(stage)
    return run


def store(run: StoredRun, values: Mapping[str, Any]) -> None:
    """Store arrays of rows, each block by its task."""
    plan = TilePlan(**run.manifest.plan)
    for stage in dict.fromkeys(run.layout.specs[name].stage for name in values):
        run.create_arrays(stage)
        names = [name for name in values if run.layout.specs[name].stage == stage]
        for block in range(plan.n_blocks):
            rows = slice(*plan.bounds(block))

            def work(draft: Draft, names: list[str] = names, rows: slice = rows) -> dict[str, Any]:
                group = run.group(draft)
                for name in names:
                    array(group, name)[rows] = values[name][rows]
                return {}

            run.once(TaskId(stage, str(block)), NOBODY, work)


def writable(run: StoredRun, stage: str, item: str) -> tuple[zarr.Group, Draft]:
    """The arrays of a run as a task sees them, and what it has written."""
    draft = Draft(TaskId(stage, item), run.objects)
    return run.group(draft), draft


def make_complete(folder: Path) -> Path:
    """Make a source and its complete run."""
    (folder / "urls.txt").write_text("\n".join(LINES), encoding="utf-8")
    novelty_dask.score(folder / "urls.txt", folder / "run.zarr", block_rows=BLOCK_ROWS)
    return folder
