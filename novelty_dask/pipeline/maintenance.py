"""Maintenance of a run: its progress, checks of all that is stored, and removal of leftovers."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike, fspath
from typing import TYPE_CHECKING

from novelty_dask.events import VERIFY, Listener, ignore, report_each
from novelty_dask.objects.owners import claim, holder
from novelty_dask.planning.stages import INGEST, LOCATE, MERGE, SORT, stages_of
from novelty_dask.storage.audit import find_altered, find_damage, find_leftovers, find_missing, list_done
from novelty_dask.storage.runs import (
    StoredRun,
    check_version,
    open_repairable,
    open_stored,
    require_complete,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from novelty_dask.errors import DamageError
    from novelty_dask.kernels.choices import NormalForm
    from novelty_dask.storage.manifest import Failure
    from novelty_dask.storage.totals import Totals


@dataclass(frozen=True)
class RunStatus:
    """Progress of a run.

    Parameters
    ----------
    state : {"complete", "partial", "running", "stopped"}
        Partial: all but tasks that were given up.
    stages : dict
        Tasks done, and tasks in all, of each stage; None where their number is not known yet.
    failures : list of Failure
        Tasks that were given up: stage, item and reason.
    owner : str or None
        The client that works on it now.
    totals : Totals or None
        Lines read, rows, duplicates, and rejected lines by reason; None until they are counted.
    normal_form : {"raw", "web", "page", "template"}
        Form by which lines are rows.
    reference : str or None
        Path or URL of the run that its rows are compared with; None if with each other.
    known : int or None
        Rows that the reference holds; None until they are counted.
    """

    state: str
    stages: dict[str, tuple[int, int | None]]
    failures: list[Failure]
    owner: str | None
    totals: Totals | None
    normal_form: NormalForm
    reference: str | None = None
    known: int | None = None


@dataclass(frozen=True)
class Verification:
    """Result of verifying a run.

    Parameters
    ----------
    tasks : int
        Tasks whose results were read.
    damages : list of DamageError
        Objects that are missing, or not as they were written.
    recomputed : int
        Blocks of rows that were computed again.
    """

    tasks: int
    damages: list[DamageError]
    recomputed: int


def status(run: str | PathLike[str]) -> RunStatus:
    """Return the progress of a run, also while a client works on it.

    Raises
    ------
    StoreError
        There is no run.
    """
    stored = open_stored(fspath(run))
    owner, reference = holder(stored.objects), stored.manifest.reference
    return RunStatus(
        state=_state(stored, owner),
        stages=dict(_stages(stored)),
        failures=stored.manifest.failures,
        owner=owner,
        totals=stored.manifest.totals,
        normal_form=stored.manifest.settings.normal_form,
        reference=reference.url if reference else None,
        known=_count_known(stored),
    )


def _count_known(stored: StoredRun) -> int | None:
    """Return how many rows the reference of a run holds; None if it is not known."""
    # By the commits: what the manifest has of a stage is added up over sessions, also of tasks done again.
    commits = [stored.commits.find(task) for task in LOCATE.tasks(stored.manifest.shape)]
    found = [int(commit.metrics["known"]) for commit in commits if commit]
    return sum(found) if commits and len(found) == len(commits) else None


def _state(stored: StoredRun, owner: str | None) -> str:
    """Return the state of a run as a word."""
    # First, as a complete run has an owner, too, while it is mended or cleaned.
    if stored.manifest.is_complete:
        return "complete"
    if owner:
        return "running"
    return "partial" if stored.manifest.is_partial else "stopped"


def _stages(stored: StoredRun) -> Iterator[tuple[str, tuple[int, int | None]]]:
    """Yield tasks done and tasks in all, stage by stage."""
    manifest = stored.manifest
    for stage in stages_of(manifest.identity.matrix):
        items = stage.items(manifest.shape)
        if stage in (INGEST, SORT):
            # Their commits are removed when the rows are stored.
            if manifest.has(stage):
                n_tasks = int(manifest.stages[stage.name]["tasks"])
                yield stage.name, (n_tasks, n_tasks)
            elif manifest.plan is None:
                yield stage.name, (len(list_done(stored, stage)), None)
        elif items:
            n_done = len(items) if manifest.is_complete else len(list_done(stored, stage))
            yield stage.name, (n_done, len(items))


def verify(
    run: str | PathLike[str],
    *,
    recompute_blocks: int = 0,
    seed: int | None = None,
    listener: Listener = ignore,
) -> Verification:
    """Read every byte of a run, and compare it with what was written.

    Parameters
    ----------
    run : Run, str or path
        A run, complete or not.
    recompute_blocks : int
        Number of random blocks of rows of a complete run that are also computed again from their URLs:
        weights, neighbors among all rows, and novelty; and before them weight and order of the columns.
    seed : int, optional
        Chooses the same blocks again.
    listener : Listener, optional
        Takes the events, of two stages: "verify" reads, "recompute" computes again.

    Raises
    ------
    StoreError
        There is no run, or one is to be computed again that is not complete or of another version.
    """
    if not recompute_blocks:
        return _verification(open_repairable(fspath(run)), listener)
    stored = require_complete(open_repairable(fspath(run)))
    check_version(stored)
    found = _verification(stored, listener)
    # What is damaged would only be found once more: results follow from what is stored.
    if found.damages:
        return found
    from novelty_dask.pipeline.recomputing import recompute_some  # noqa: PLC0415 - Numba imports slowly

    damages, n_blocks = recompute_some(stored, _computable_blocks(stored), recompute_blocks, seed, listener)
    return Verification(found.tasks, damages, n_blocks)


def _verification(stored: StoredRun, listener: Listener) -> Verification:
    """Return the number of tasks, and the objects that are missing or not as they were written."""
    tasks = list(stored.commits.tasks())
    damages = find_damage(stored, report_each(VERIFY, tasks, listener))
    return Verification(len(tasks), [*find_altered(stored), *damages, *find_missing(stored)], 0)


def _computable_blocks(stored: StoredRun) -> list[int]:
    """Return the blocks whose neighbors were not given up."""
    failed = set(stored.manifest.failed_tasks)
    return [int(task.item) for task in MERGE.tasks(stored.manifest.shape) if task not in failed]


def clean(run: str | PathLike[str]) -> int:
    """Remove the leftovers of killed writers; return the number of removed files.

    Raises
    ------
    StoreError
        There is no run, or another client works on it.
    """
    stored = open_stored(fspath(run))
    # As the owner, since what another client is writing now looks like leftovers.
    with claim(stored.objects, stored.url):
        # Another client may have worked on the run between the opening and the claim: by an old manifest,
        # what is still needed looks like leftovers.
        stored.refresh()
        removed = stored.objects.sweep()
        keys = find_leftovers(stored)
        for key in keys:
            stored.objects.remove(key)
    return removed + len(keys)
