"""Checks of a run: tasks that are done, objects that are damaged, and keys that nobody needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from novelty_dask.errors import DamageError, StoreError
from novelty_dask.objects.commits import commit_key, read_verified
from novelty_dask.objects.owners import CLOCK, check_epoch
from novelty_dask.planning.stages import LASTING_STAGES, STAGES, TaskId
from novelty_dask.sources.streams import is_copy
from novelty_dask.storage.checked import check_chunk
from novelty_dask.storage.metadata import ROOT, document_key, find_altered_manifests, is_member, read_document
from novelty_dask.storage.runs import REFERENCES_FOLDER, StoredRun, copy_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from novelty_dask.planning.shapes import RunShape
    from novelty_dask.planning.stages import Stage
    from novelty_dask.sources.find import Source


class CommitCheck(NamedTuple):
    """Items of a stage that are done, and items whose commit is corrupt or lists objects that are gone."""

    done: set[str]
    broken: set[str]


def list_done(run: StoredRun, stage: Stage) -> set[str]:
    """Return the items of a stage that have a commit, by the names of the commits alone."""
    return {task.item for task in run.commits.tasks(stage.name)}


def check_commits(run: StoredRun, stage: Stage) -> CommitCheck:
    """Check the commits of a stage, and the lengths of the objects that they list."""
    # No object is read: lengths are cheap and find what a crash or a full disk leaves.  `verify` reads all.
    check, length, commits = CommitCheck(set(), set()), run.objects.lengths(), run.commits
    for task in commits.tasks(stage.name):
        commit = commits.find(task)
        whole = commit and all(length(key) == digest.length for key, digest in commit.objects.items())
        (check.done if whole else check.broken).add(task.item)
    return check


def check_complete(run: StoredRun, stage: Stage, shape: RunShape) -> None:
    """Check that a stage left all that it should but what was given up, by the lengths of objects.

    Raises
    ------
    DamageError
        The results of a task are gone.
    """
    given_up = {task.item for task in run.manifest.failed_tasks if task.stage == stage.name}
    missing = {*(stage.items(shape) or ())} - given_up - check_commits(run, stage).done
    if missing:
        task = stage.task(min(missing))
        raise DamageError.of(task, commit_key(task), "is gone, or an object that it lists")


def take_back(run: StoredRun, damage: DamageError, epoch: int) -> None:
    """Forget the commit of a task whose results are damaged, unless a newer client has taken over.

    Raises
    ------
    StoreError
        It has.
    """
    check_epoch(run.objects, epoch)
    run.commits.forget(TaskId(damage.stage, damage.item))


def find_damage(run: StoredRun, tasks: Iterable[TaskId] | None = None) -> Iterator[DamageError]:
    """Read every object of all commits, or of those of some tasks; yield those that are lost or altered."""
    layout, commits = run.layout, run.commits
    for task in commits.tasks() if tasks is None else tasks:
        commit = commits.find(task)
        if commit is None:
            yield DamageError.of(task, commit_key(task), "can't be read")
            continue
        for key, expected in commit.objects.items():
            try:
                check_chunk(layout, task, key, read_verified(run.objects, task, key, expected))
            except DamageError as error:
                yield error


def find_altered(run: StoredRun) -> Iterator[DamageError]:
    """Yield what has no commit and is lost or altered: manifest, documents of Zarr, copies of streams."""
    for key in find_altered_manifests(run.objects):
        yield DamageError.of(("", ""), key, "was altered", "writes")
    for source in altered_copies(run):
        key = copy_key(source)
        yield DamageError(
            f"{key!r}, the copy of {source.shown}, was altered; score it again into another path."
        )
    begun = _begun(run)
    there = {key for key in run.objects.sizes() if key.endswith(ROOT)}
    for stage in STAGES:
        # A client may have been killed while it removed what nobody needs any more.
        if _is_over(run, stage, begun):
            continue
        is_kept = stage in LASTING_STAGES and (run.manifest.has(stage) or run.manifest.is_over)
        for key in _altered_documents(run, stage, there, is_begun=is_kept or stage.name in begun):
            yield DamageError.of(stage.task(), key, "was altered", "writes")


def altered_copies(run: StoredRun) -> Iterator[Source]:
    """Yield the streams whose copies in a run that still needs them are not as they were read."""
    if not run.manifest.has_rows:
        for source in run.manifest.sources:
            if source.is_stream and source.version and not is_copy(source, f"{run.url}/{copy_key(source)}"):
                yield source


def _begun(run: StoredRun) -> set[str]:
    """Return the names of the stages that have a commit."""
    return {task.stage for task in run.commits.tasks()}


def _is_over(run: StoredRun, stage: Stage, begun: set[str]) -> bool:
    """Return whether nobody needs anything of a stage any more, as others have replaced its results."""
    return stage not in LASTING_STAGES and run.manifest.is_over and stage.name not in begun


def _altered_documents(run: StoredRun, stage: Stage, there: set[str], *, is_begun: bool) -> Iterator[str]:
    """Yield the documents of the arrays of a stage, and of their groups, that are lost or altered."""
    # Before a stage has stored anything nobody misses them: a client may have been killed right before.
    for spec in run.arrays().missing(stage):
        if is_begun or document_key(spec.name) in there:
            yield document_key(spec.name)
    for group, specs in run.layout.groups(stage).items():
        key = document_key(group)
        is_used = is_begun or key in there or any(document_key(spec.name) in there for spec in specs)
        if is_used and not is_member(read_document(run.objects, key)):
            yield key


def find_missing(run: StoredRun) -> Iterator[DamageError]:
    """Yield the tasks of complete stages whose results are kept, and that have no commit."""
    known = {*run.commits.tasks(), *run.manifest.failed_tasks}
    for stage in LASTING_STAGES:
        for task in stage.tasks(run.manifest.shape) if run.manifest.has(stage) else ():
            if task not in known:
                yield DamageError.of(task, commit_key(task), "is missing")


def find_leftovers(run: StoredRun) -> list[str]:
    """Return keys that tasks may have written and that belong to no commit, without input still needed.

    Raises
    ------
    StoreError
        A commit can't be read, or is of another run, so that the objects that it lists are not known.
    """
    committed: set[str] = set()
    commits = run.commits
    for task in commits.tasks():
        commit = commits.find(task)
        if commit is None:
            message = (
                f"Can't clean {run.url!r}: {commit_key(task)!r} is damaged, or of another run; resume it "
                "first."
            )
            raise StoreError(message)
        committed |= commit.objects.keys()
    # Copies of streams have no commits, but can't be had again.
    if not run.manifest.has_rows:
        committed |= {copy_key(source) for source in run.manifest.sources if source.is_stream}
    keys, begun = run.objects.sizes().keys() - committed, _begun(run)
    over = [folder for stage in STAGES if _is_over(run, stage, begun) for folder in stage.folders]
    left = (CLOCK, *_prefixes(over), *((REFERENCES_FOLDER,) if run.manifest.is_over else ()))
    return sorted(key for key in keys if _is_made_by_tasks(run, key) or key.startswith(left))


def _is_made_by_tasks(run: StoredRun, key: str) -> bool:
    """Return whether a key is one that tasks of this package write under, and nobody else."""
    # People keep notes, notebooks and arrays of their own beside the results: what is not known is theirs.
    folders = [folder for stage in STAGES for folder in stage.folders]
    return run.layout.spec(key) is not None or (key.startswith(_prefixes(folders)) and not key.endswith(ROOT))


def _prefixes(folders: Iterable[str]) -> tuple[str, ...]:
    """Return what the keys in folders begin with."""
    return tuple(f"{folder}/" for folder in folders)
