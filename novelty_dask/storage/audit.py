"""What of a run is there, whole and wanted: for going on, for `verify`, and for `clean`."""

from collections.abc import Iterator
from typing import NamedTuple

from novelty_dask.errors import DamageError, StoreError
from novelty_dask.objects.commits import FOLDER, SUFFIX, TaskId, read_stamped
from novelty_dask.objects.owners import FOLDER as OWNERS
from novelty_dask.objects.protocol import METADATA
from novelty_dask.storage.checked import check_chunk
from novelty_dask.storage.runs import SPOOLED, StoredRun


class Stock(NamedTuple):
    """Items of a stage that are done, and those whose commit does not count or tells of what is not there."""

    done: set[str]
    broken: set[str]


def list_done(run: StoredRun, stage: str) -> set[str]:
    """Items of a stage that have a commit, which is believed to count; in no time."""
    return {task.item for task in tasks(run, stage)}


def take_stock(run: StoredRun, stage: str) -> Stock:
    """Which items of a stage are done, from commits and the lengths of objects, of which none is read."""
    stock, length = Stock(set(), set()), run.objects.lengths()
    for task in tasks(run, stage):
        commit = run.commits.find(task)
        whole = commit and all(length(key) == stamp.length for key, stamp in commit.objects.items())
        (stock.done if whole else stock.broken).add(task.item)
    return stock


def find_damage(run: StoredRun) -> Iterator[DamageError]:
    """Read every object of every commit; yield what is missing or not as it was written."""
    layout = run.layout
    for task in tasks(run):
        commit = run.commits.find(task)
        if commit is None:
            yield DamageError.of(task, task.key, "can't be read")
            continue
        for key, expected in commit.objects.items():
            try:
                check_chunk(layout, task, key, read_stamped(run.objects, task, key, expected))
            except DamageError as error:
                yield error


def tasks(run: StoredRun, stage: str = "") -> Iterator[TaskId]:
    """All tasks, or those of one stage, that have a commit, readable or not."""
    for key in sorted(run.objects.sizes(f"{FOLDER}{stage}/" if stage else FOLDER)):
        found, _, item = key.removeprefix(FOLDER).removesuffix(SUFFIX).partition("/")
        yield TaskId(found, item)


def leftovers(run: StoredRun) -> list[str]:
    """Keys that belong to no commit and are neither metadata, nor commits, owners or input still needed.

    Raises
    ------
    StoreError
        A commit can't be read, or is of another run, so that nobody knows what it tells of.
    """
    committed: set[str] = set()
    for task in tasks(run):
        commit = run.commits.find(task)
        if commit is None:
            message = f"Can't clean {run.url!r}: {task.key!r} is damaged, or of another run; resume it first."
            raise StoreError(message)
        committed |= commit.objects.keys()
    if not run.manifest.has_rows:
        committed.add(SPOOLED)
    return [
        key
        for key in sorted(run.objects.sizes())
        if not (key in committed or key.endswith(METADATA) or key.startswith((FOLDER, OWNERS)))
    ]
