"""The search for all pairs of a run: who runs the tasks, and what they have found."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter, deque
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from novelty_dask.errors import BudgetError, ClusterError, StoreError, reason
from novelty_dask.events import StageFinished, StageStarted, TaskDone
from novelty_dask.execution.clusters.workers import find_resources, open_executor
from novelty_dask.objects.commits import Commits
from novelty_dask.objects.owners import claim
from novelty_dask.planning.memory import check_workers
from novelty_dask.planning.stages import TaskId
from novelty_dask.similar.tiles import STAGE, Job, Part, list_items, perform, tile_bytes, unpack
from novelty_dask.similar.work import (
    FINISHED,
    begin,
    clear_folder,
    is_same,
    make_mark,
    open_folder,
    open_marked,
    remove_folder,
)
from novelty_dask.storage.references import describe_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import Client

    from novelty_dask.engines.threshold import Pairs
    from novelty_dask.events import Listener
    from novelty_dask.objects.protocol import Objects
    from novelty_dask.settings import WorkSettings
    from novelty_dask.storage.runs import StoredRun

ROW_BYTES = 75
"""Text of a row, about: small runs are done in this process."""


@dataclass(frozen=True)
class Search:
    """What is to be found in a run, where tiles are kept, and who works.

    Parameters
    ----------
    run : StoredRun
        Complete.
    folder : str
        Path or URL of the folder for tiles.
    at_least : float
        Least similarity.
    is_reduced : bool
        True to keep forests in place of all pairs.
    settings : WorkSettings
    client : distributed.Client or None
    listener : Listener
    out : str or None
        File that is written from the tiles.
    """

    run: StoredRun
    folder: str
    at_least: float
    is_reduced: bool
    settings: WorkSettings
    client: Client | None
    listener: Listener
    out: str | None


class Tiles:
    """Tiles that were found, and are read part by part.

    Parameters
    ----------
    run : StoredRun
    objects : Objects
        Of the folder.
    job : Job

    Attributes
    ----------
    counts : Counter
        What all tasks did, by name.
    parts : list of Part
        In the order of tasks.
    """

    def __init__(self, run: StoredRun, objects: Objects, job: Job) -> None:
        assert run.manifest.plan
        self.run, self.plan = run, run.manifest.plan
        self._commits = Commits(objects, job.fingerprint)
        self.counts: Counter[str] = Counter()
        self.parts: list[Part] = []
        self._tasks: dict[str, TaskId] = {}
        for item in list_items(self.plan):
            task = TaskId(STAGE, item)
            commit = self._commits.get(task)
            self.parts += [Part(*part) for part in commit.metrics["parts"]]
            self.counts.update({name: n for name, n in commit.metrics.items() if name != "parts"})
            self._tasks.update(dict.fromkeys(commit.objects, task))

    def read(self, key: str) -> Pairs:
        """Return what is stored under a key.

        Raises
        ------
        DamageError
            It is not what was written.
        """
        return unpack(self._commits.read(self._tasks[key], key))

    def degrees(self) -> Iterator[Pairs]:
        """Yield rows that have partners, and how many of them, of each reduced tile."""
        for key in self._tasks:
            if key.startswith("degrees/"):
                yield self.read(key)


@contextmanager
def found(search: Search) -> Iterator[Tiles]:
    """Find what is missing of the tiles of a search; yield all, as their owner, then remove their folder.

    Raises
    ------
    BudgetError
        A task would hold more than a worker may use.
    StoreError
        The folder has other tiles, or another client works on it.
    ClusterError
        A task failed for good.
    """
    job = _make_job(search)
    workers = find_resources(search.client, ROW_BYTES * len_of(search.run), search.settings)
    check_workers({STAGE: tile_bytes(search.run.manifest)}, workers.threads, workers.memory_limit)
    mark = make_mark(job.fingerprint, search.out)
    objects = open_folder(search.folder, mark)
    with claim(objects, search.folder) as owner:
        begin(objects, search.folder, mark)
        _run_tasks(search, job._replace(epoch=owner.epoch), objects, workers)
        yield Tiles(search.run, objects, job)
        clear_folder(objects)
    # Behind the release of the owner, which would write into it.
    remove_folder(objects, owner.epoch)


def check_file(search: Search, check: Callable[[], None]) -> None:
    """Refuse a file that can't be written; remove the tiles of one that is written already.

    Parameters
    ----------
    search : Search
    check : callable
        Raises an error if the file can't be written.

    Raises
    ------
    SettingsError, StoreError
        What the check raises.
    """
    try:
        check()
    except StoreError:
        # Another client may be at work there, and the folder may be of anything.
        with suppress(StoreError):
            _remove_leftovers(search)
        raise


def _remove_leftovers(search: Search) -> None:
    """Remove the tiles of a search whose file was written, if a client was killed before it removed them."""
    job = _make_job(search)
    (objects, there), mark = open_marked(search.folder), make_mark(job.fingerprint, search.out)
    # The file is another one than when the search began, and it is written when all tiles are there.
    is_written = there and is_same(there, mark) and there != mark
    if there == FINISHED or (is_written and not _list_missing(search, job, objects)):
        with claim(objects, search.folder) as owner:
            # Another client may have begun anew before it was claimed.
            if open_marked(search.folder)[1] != there:
                return
            clear_folder(objects)
        remove_folder(objects, owner.epoch)


def len_of(run: StoredRun) -> int:
    """Return the number of rows of a run."""
    assert run.manifest.plan
    return run.manifest.plan.n_rows


def _make_job(search: Search) -> Job:
    """Return the job of a search; its fingerprint is of all that its bytes depend on."""
    content = describe_reference(search.run).content
    depends_on = json.dumps([content, search.at_least, search.is_reduced])
    fingerprint = hashlib.blake2b(depends_on.encode(), digest_size=16).hexdigest()
    return Job(search.run.url, search.folder, fingerprint, search.at_least, search.is_reduced)


def _list_missing(search: Search, job: Job, objects: Objects) -> deque[str]:
    """Return the items of the tasks that have no commit."""
    assert search.run.manifest.plan
    commits = Commits(objects, job.fingerprint)
    items = list_items(search.run.manifest.plan)
    return deque(item for item in items if not commits.find(TaskId(STAGE, item)))


def _run_tasks(search: Search, job: Job, objects: Objects, workers: Any) -> None:
    """Run the tasks that have no commit.

    Raises
    ------
    ClusterError
        One of them failed for good.
    """
    assert search.run.manifest.plan
    items = list_items(search.run.manifest.plan)
    missing = _list_missing(search, job, objects)
    listener, began = search.listener, time.monotonic()
    if not missing:
        return
    # Workers are asked whether they see the folder, as they write there.
    place = replace(search.run, url=search.folder, objects=objects)
    listener(StageStarted(STAGE, len(items), len(items) - len(missing)))
    with (
        open_executor(
            search.client, workers, place, listener, search.settings.performance_report
        ) as executor,
        closing(executor.map(STAGE, partial(perform, job), missing)) as outcomes,
    ):
        for outcome in outcomes:
            if outcome.error:
                if isinstance(outcome.error, MemoryError):
                    message = f"Task {outcome.item} of {STAGE} lacks memory; lower --workers."
                    raise BudgetError(message)
                message = f"Task {outcome.item} of {STAGE} was given up: {reason(outcome.error)}."
                raise ClusterError(message) from outcome.error
            listener(TaskDone(STAGE))
    listener(StageFinished(STAGE, time.monotonic() - began))
