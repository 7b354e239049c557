"""What can be asked of a run besides its results: how far it is, whether it is whole, what is left over."""

from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any

import numpy as np

from novelty_dask.errors import DamageError
from novelty_dask.objects.commits import TaskId
from novelty_dask.objects.owners import claim, holder
from novelty_dask.pipeline.graph import lasting, make_stages
from novelty_dask.planning.tiles import TilePlan
from novelty_dask.stages.recompute import recompute_block, recompute_columns
from novelty_dask.storage.audit import find_damage, leftovers, list_done, tasks
from novelty_dask.storage.checked import find_array
from novelty_dask.storage.layout import WHOLE
from novelty_dask.storage.runs import StoredRun, check_version, open_complete, open_stored

AnyPath = str | PathLike[str]


@dataclass(frozen=True)
class RunStatus:
    """How far a run is.

    Parameters
    ----------
    state : {"complete", "partial", "running", "stopped"}
        Partial: all but tasks that were given up.
    stages : dict
        Tasks done, and tasks in all, of each stage; None where their number is not known yet.
    failures : list of dict
        Tasks that were given up: stage, item and reason.
    owner : str or None
        Who is at work on it.
    counts : dict
        Lines read, rows, duplicates, and rejected lines by reason, as far as known.
    """

    state: str
    stages: dict[str, tuple[int, int | None]]
    failures: list[dict[str, str]]
    owner: str | None
    counts: dict[str, Any]


@dataclass(frozen=True)
class Verification:
    """What was found in a run.

    Parameters
    ----------
    tasks : int
        Tasks whose results were read.
    damages : list of DamageError
        What is missing, or not as it was written.
    recomputed : int
        Blocks of rows that were computed again.
    """

    tasks: int
    damages: list[DamageError]
    recomputed: int


def status(run: AnyPath) -> RunStatus:
    """How far a run is, also while it is being worked on.

    Raises
    ------
    StoreError
        There is no run.
    """
    stored = open_stored(fspath(run))
    owner = holder(stored.objects)
    return RunStatus(
        state=_state(stored, owner),
        stages=dict(_stages(stored)),
        failures=stored.manifest.failures,
        owner=owner,
        counts=stored.manifest.counts,
    )


def _state(stored: StoredRun, owner: str | None) -> str:
    """A run's state as a word."""
    if stored.manifest.is_complete:
        return "complete"
    if owner:
        return "running"
    return "partial" if stored.manifest.is_partial else "stopped"


def _stages(stored: StoredRun) -> Iterator[tuple[str, tuple[int, int | None]]]:
    """Tasks done and tasks in all, stage by stage."""
    manifest = stored.manifest
    for name in ("ingest", "sort"):
        if name in manifest.stages:
            tasks_done = int(manifest.stages[name]["tasks"])
            yield name, (tasks_done, tasks_done)
        elif not manifest.plan:
            yield name, (len(list_done(stored, name)), None)
    if not manifest.plan:
        return
    for stage in make_stages(TilePlan(**manifest.plan)):
        total = len(stage.jobs)
        yield stage.name, (total if manifest.is_complete else len(list_done(stored, stage.name)), total)


def verify(run: AnyPath, *, recompute_blocks: int = 0, seed: int | None = None) -> Verification:
    """Read every byte of a run, and compare it with what was written.

    Parameters
    ----------
    run : str or path
        A run, complete or not.
    recompute_blocks : int
        So many random blocks of rows of a complete run are also computed again from their URLs: weights,
        neighbors among all rows, and novelty; and before them weight and order of the columns.
    seed : int, optional
        Chooses the same blocks again.

    Raises
    ------
    StoreError
        There is no run, or one is to be computed again that is not complete or of another version.
    """
    if not recompute_blocks:
        return _verification(open_stored(fspath(run)))
    stored = open_complete(fspath(run))
    check_version(stored)
    found = _verification(stored)
    if found.damages:
        return found
    blocks = _computable_blocks(stored)
    chosen = np.random.default_rng(seed).permutation(blocks)[:recompute_blocks]
    damages = [*recompute_columns(stored)] or [
        damage for block in chosen for damage in recompute_block(stored, int(block))
    ]
    return Verification(found.tasks, damages, len(chosen))


def _verification(stored: StoredRun) -> Verification:
    """What is missing of a run, or not as it was written."""
    return Verification(sum(1 for _ in tasks(stored)), [*find_damage(stored), *_missing(stored)], 0)


def _computable_blocks(stored: StoredRun) -> list[int]:
    """The blocks of which the neighbors were not given up."""
    plan, absent = TilePlan(**stored.manifest.plan), set(stored.manifest.absent)
    return [block for block in range(plan.n_blocks) if TaskId("merge", str(block)) not in absent]


def _missing(stored: StoredRun) -> Iterator[DamageError]:
    """Tasks that a run says are done, without a commit, and arrays that are not as they should be."""
    if "merge" not in stored.manifest.stages:
        return
    group, known = stored.group(), {*tasks(stored), *stored.manifest.absent}
    stages = lasting(make_stages(TilePlan(**stored.manifest.plan)))
    done = [TaskId(stage.name, job.item) for stage in stages for job in stage.jobs]
    for task in [TaskId("rejected", WHOLE), *done]:
        if task not in known:
            yield DamageError.of(task, task.key, "is missing")
    for name in ("rejected", *(stage.name for stage in stages)):
        for spec in stored.layout.of(name):
            if find_array(group, spec) is None:
                yield DamageError.of((name, WHOLE), f"{spec.name}/zarr.json", "is not as it was written")


def clean(run: AnyPath) -> int:
    """Remove what killed writers left behind; return how many files that were.

    Raises
    ------
    StoreError
        There is no run, or somebody is at work on it.
    """
    stored = open_stored(fspath(run))
    with claim(stored.objects, stored.url):
        removed = stored.objects.sweep()
        keys = leftovers(stored)
        for key in keys:
            stored.objects.remove(key)
    return removed + len(keys)
