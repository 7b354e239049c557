"""What of a run is there, whole and wanted: for going on, for `verify`, and for `clean`."""

from collections.abc import Iterator
from typing import NamedTuple

from novelty_dask.errors import DamageError
from novelty_dask.storage.checked import METADATA
from novelty_dask.storage.commits import FOLDER, SUFFIX, TaskId, read_stamped
from novelty_dask.storage.layout import Layout
from novelty_dask.storage.owners import FOLDER as OWNERS
from novelty_dask.storage.runs import SPOOLED, WORK_FOLDER, StoredRun


class Stock(NamedTuple):
    """Items of a stage that are done, and those whose commit tells of objects that are not there."""

    done: set[str]
    broken: set[str]


def take_stock(run: StoredRun, stage: str) -> Stock:
    """Which items of a stage are done, from commits and the lengths of objects, of which none is read."""
    sizes = {
        key: size for folder in _folders(run.layout, stage) for key, size in run.objects.sizes(folder).items()
    }
    stock = Stock(set(), set())
    for item, commit in run.commits.items(stage):
        whole = all(sizes.get(key) == stamp.length for key, stamp in commit.objects.items())
        (stock.done if whole else stock.broken).add(item)
    return stock


def _folders(layout: Layout, stage: str) -> set[str]:
    """Where the objects of a stage are."""
    arrays = {f"{spec.name}/" for spec in layout.of(stage)}
    return arrays or {WORK_FOLDER}


def find_damage(run: StoredRun) -> Iterator[DamageError]:
    """Read every object of every commit; yield what is missing or not as it was written."""
    for task in tasks(run):
        commit = run.commits.find(task)
        if commit is None:
            yield DamageError.of(task, task.key, "can't be read")
            continue
        for key, expected in commit.objects.items():
            try:
                read_stamped(run.objects, task, key, expected)
            except DamageError as error:
                yield error


def tasks(run: StoredRun) -> Iterator[TaskId]:
    """All tasks that have a commit, readable or not."""
    for key in sorted(run.objects.sizes(FOLDER)):
        stage, _, item = key.removeprefix(FOLDER).removesuffix(SUFFIX).partition("/")
        yield TaskId(stage, item)


def leftovers(run: StoredRun) -> list[str]:
    """Keys that belong to no commit and are neither metadata, nor commits, owners or input still needed."""
    committed = {key for task in tasks(run) for key in getattr(run.commits.find(task), "objects", ())}
    if not run.manifest.has_rows:
        committed.add(SPOOLED)
    return [
        key
        for key in sorted(run.objects.sizes())
        if not (key in committed or key.endswith(METADATA) or key.startswith((FOLDER, OWNERS)))
    ]
