"""Runs whose arrays a test fills, task by task, as a pipeline would."""

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import novelty_dask
from novelty_dask.objects.commits import Draft
from novelty_dask.planning.stages import REJECTED, STAGES, Stage, TaskId, stages_of
from novelty_dask.planning.tiles import TilePlan
from novelty_dask.settings import ResultSettings
from novelty_dask.sources.find import Source
from novelty_dask.storage.arrays import RunArrays
from novelty_dask.storage.identity import RunIdentity
from novelty_dask.storage.manifest import Manifest
from novelty_dask.storage.runs import StoredRun, create_run
from novelty_dask.storage.totals import Totals

STAGE_NAMES = [
    stage.name for stage in stages_of(None) if not (stage.is_against or stage.is_in_time or stage.is_grouped)
]
"""Stages of a run without reference, times and groups, in their order.

In `tests/system/`, `test_against.py`, `test_in_time.py` and `test_outside_groups.py` try the others.
"""
USUAL_STAGES = [name for name in STAGE_NAMES if name != REJECTED.name]
"""Stages of a run that rejects no line."""
NOBODY = 0
"""The epoch of a run that nobody has claimed."""
BLOCK_ROWS = 128
WIDEST_BLOCK = 2**20
"""Non-zeros for which arrays of weights are made that a test fills."""
LINES = [*novelty_dask.datasets.make_urls(600, seed=9)[0], "", "a\0b"]


def make_manifest(sources: Sequence[Source] = (), **settings: Any) -> Manifest:
    """Return the manifest of a run that has just begun."""
    return Manifest(identity=RunIdentity(settings=ResultSettings.make(**settings), sources=tuple(sources)))


def make_run(folder: Path | None, plan: TilePlan, n_rejected: int = 0, **settings: Any) -> StoredRun:
    """Make an empty run with a plan, in a folder or in memory."""
    url = f"{folder}/run.zarr" if folder else f"memory://{uuid.uuid4().hex}/run.zarr"
    manifest = make_manifest([Source("file:///corpus/urls.txt", 0, None)], **settings)
    manifest.plan = plan
    manifest.widest_block = WIDEST_BLOCK
    manifest.totals = Totals(
        lines=n_rejected, rows=0, duplicates=0, rejected={"blank": n_rejected}, source_lines=[plan.n_rows]
    )
    return create_run(url, manifest)


def make_arrays(run: StoredRun) -> StoredRun:
    """Return the run, with all its arrays, still empty."""
    for stage in STAGES:
        run.create_arrays(stage)
    return run


def store(run: StoredRun, values: Mapping[str, Any]) -> None:
    """Store arrays of rows, each part by its task."""
    shape = run.manifest.shape
    for stage in STAGES:
        specs = [spec for spec in run.layout.of(stage) if spec.name in values]
        if specs:
            run.create_arrays(stage)
            for task in stage.tasks(shape):
                [rows] = specs[0].division.region(shape.plan, task.item)
                write_task(run, task, {spec.name: values[spec.name][rows] for spec in specs})


def write_task(run: StoredRun, task: TaskId, values: Mapping[str, Any]) -> None:
    """Store the arrays of a task and commit it."""

    def work(draft: Draft) -> dict[str, Any]:
        run.arrays(draft).write(task.item, values)
        return {}

    run.once(task, NOBODY, work)


def writable(run: StoredRun, stage: Stage, item: str) -> tuple[RunArrays, Draft]:
    """Return the arrays of a run as a task sees them, and its draft."""
    draft = Draft(stage.task(item), run.objects)
    return run.arrays(draft), draft


def make_complete(folder: Path) -> Path:
    """Make a source and its complete run."""
    (folder / "urls.txt").write_text("\n".join(LINES), encoding="utf-8")
    novelty_dask.score(folder / "urls.txt", folder / "run.zarr", block_rows=BLOCK_ROWS)
    return folder
