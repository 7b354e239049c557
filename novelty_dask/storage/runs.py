"""A run on disk: one Zarr v3 group, its manifest, its commits, and the ways to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from novelty_dask.errors import DamageError, StoreError, UnreachableError, reason, shell_quoted
from novelty_dask.objects.address import absolute_url, check_new, open_objects
from novelty_dask.objects.commits import COMMITS_FOLDER, Commit, Commits, Digest, Draft, Metrics
from novelty_dask.objects.creation import create_object, make_token
from novelty_dask.objects.owners import check_epoch, holder
from novelty_dask.storage.arrays import RunArrays
from novelty_dask.storage.checked import CheckedStore
from novelty_dask.storage.identity import RunIdentity, this_version
from novelty_dask.storage.layout import Layout, array_document, layout_of
from novelty_dask.storage.manifest import Manifest, write_manifest
from novelty_dask.storage.metadata import (
    COPY,
    GROUP_DOCUMENT,
    ROOT,
    document_key,
    find_altered_manifests,
    holds_manifest,
    is_member,
    load_manifest,
    read_document,
    write_root,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from novelty_dask.objects.protocol import Objects
    from novelty_dask.planning.stages import Stage, TaskId
    from novelty_dask.sources.find import Source

WORK_FOLDER = "work/"
REFERENCES_FOLDER = "references/"
"""Folder of the run that holds the rows of several references while they are needed."""


def copy_key(source: Source) -> str:
    """Return where a source that can be read but once is kept as long as it is needed."""
    return f"{WORK_FOLDER}{source.copy_name}"


@dataclass
class StoredRun:
    """A run on disk, and the ways to it.

    Parameters
    ----------
    url : str
        Path or URL.
    objects : Objects
        Its bytes.
    manifest : Manifest
        As it was when the run was opened or refreshed.
    is_repaired : bool
        True if that is the copy, as the manifest itself is damaged.
    joined_url : str
        Path or URL of the run that holds the rows of its references, if that is not within it.
    """

    url: str
    objects: Objects
    manifest: Manifest
    is_repaired: bool = False
    joined_url: str = ""

    def __fspath__(self) -> str:
        """Return its path or URL."""
        return self.url

    @property
    def commits(self) -> Commits:
        """The records of what is done."""
        return Commits(self.objects, self.manifest.identity.fingerprint)

    @property
    def layout(self) -> Layout:
        """Its arrays, as far as they are known."""
        return layout_of(self.manifest.shape)

    def arrays(self, draft: Draft | None = None, *, is_reference: bool = False) -> RunArrays:
        """Return its arrays, every chunk checked when it is read; chunks are written with a draft alone."""
        failed = self.manifest.failed_tasks if self.manifest.is_partial else ()
        reference = self.url if is_reference else ""
        return RunArrays(CheckedStore(self.objects, self.commits, self.layout, draft, failed, reference))

    def create_arrays(self, stage: Stage) -> None:
        """Create the arrays of a stage, and their groups, that are absent, or not as specified."""
        for group in self.layout.groups(stage):
            if not is_member(read_document(self.objects, document_key(group))):
                self.objects.write(document_key(group), GROUP_DOCUMENT)
        for spec in self.arrays().missing(stage):
            # Only the metadata: where Zarr itself replaces an array, it deletes the chunks, too, and those
            # that are whole are kept.
            self.objects.write(document_key(spec.name), array_document(spec))

    def once(self, task: TaskId, epoch: int, work: Callable[[Draft], Metrics]) -> Metrics:
        """Do a task and commit it, unless it is done; return its metrics.

        Raises
        ------
        StoreError
            A newer client has taken over, or another did the task with another result.
        """
        # Looked up here and not only by the client: Dask runs a task again if its worker is lost right after
        # the commit.
        done = self.commits.find(task)
        if done is None:
            draft = Draft(task, self.objects)
            metrics = work(draft)
            done = self.commit(draft.digests, task, epoch, metrics)
        return done.metrics

    def commit(self, digests: dict[str, Digest], task: TaskId, epoch: int, metrics: Metrics) -> Commit:
        """Commit a task whose objects are written; return its first commit.

        Raises
        ------
        StoreError
            A newer client has taken over, or another did the task with another result.
        """
        # As late as possible: a worker may still be at a task that an earlier owner ordered, and a client
        # that took over relies on commits of its own epoch alone.
        check_epoch(self.objects, epoch)
        return self.commits.add(task, Commit(self.manifest.identity.fingerprint, epoch, digests, metrics))

    def save(self) -> None:
        """Store the manifest, and its copy."""
        # The copy first: a client that is killed in between leaves the manifest as it was.
        copy = write_manifest(self.manifest)
        self.objects.write(COPY, copy)
        self.objects.write(ROOT, write_root(self.manifest, copy))

    def refresh(self) -> None:
        """Read the manifest again, as another client may have changed it."""
        again = open_repairable(self.url)
        self.manifest, self.is_repaired = again.manifest, again.is_repaired

    def repair_manifest(self) -> list[str]:
        """Store the manifest and its copy again if either is damaged; return the keys of those that are."""
        altered = find_altered_manifests(self.objects)
        if altered or read_document(self.objects, COPY) is None:
            self.save()
            self.is_repaired = False
        return altered

    def is_gone(self) -> bool:
        """Return whether neither the manifest nor its copy is there any more."""
        for key in (ROOT, COPY):
            try:
                self.objects.read(key)
            except KeyError:
                continue
            except OSError:
                # A place that can't be reached now may hold the run still.
                return False
            return False
        return True

    def remove_stages(self, stages: Sequence[Stage]) -> None:
        """Remove what some stages left."""
        # All commits first, as stages share folders: after a kill in between, objects without commits are
        # leftovers, but commits without objects would look like damage.
        commits = [f"{COMMITS_FOLDER}{stage.name}/" for stage in stages]
        folders = dict.fromkeys(f"{folder}/" for stage in stages for folder in stage.folders)
        for folder in (*commits, *folders):
            self.objects.remove(folder)


def create_run(url: str, manifest: Manifest, *, is_part: bool = False) -> StoredRun:
    """Make an empty run where nothing is yet, or within another run, as a part of that.

    Raises
    ------
    StoreError
        It can't be made there.
    """
    run = StoredRun(absolute_url(url), open_objects(absolute_url(url)), manifest)
    try:
        if not is_part:
            check_new(url)
        # To look first refuses folders that hold anything; to create refuses a second client in between.
        # With a token until it is saved again: another client may begin the same run at the same moment.
        data = write_manifest(manifest, make_token())
        is_free = not run.objects.exists()
        if is_free:
            # Everything that follows relies on it: who owns the run, and who commits first.
            run.objects.check_creation()
        made = is_free and create_object(run.objects, ROOT, data)
    except StoreError:
        raise
    except (OSError, ValueError) as error:
        message = f"Can't create {url!r}: {reason(error)}."
        raise StoreError(message) from None
    if not made:
        message = f"Can't create {url!r}: something exists there already; name another output path."
        raise StoreError(message)
    run.objects.write(COPY, write_manifest(manifest))
    return run


def begin_run(url: str, identity: RunIdentity, *, is_part: bool = False) -> StoredRun:
    """Make a run, or return the one that another client has made since this one looked.

    Raises
    ------
    StoreError
        It can't be made there.
    """
    try:
        return create_run(url, Manifest(identity=identity), is_part=is_part)
    except UnreachableError:
        raise
    except StoreError:
        # Whoever made it owns it now, and is named when this client tries to claim it.
        if (stored := find_run(url)) is None:
            raise
        return stored


def find_run(url: str) -> StoredRun | None:
    """Return the run at a path, or None if there is nothing.

    Raises
    ------
    StoreError
        There is something else, or a run of another format, or one that is damaged beyond repair; nothing is
        overwritten.
    """
    objects = open_objects(absolute_url(url))
    if holds_manifest(objects):
        return open_repairable(url)
    try:
        if not objects.exists():
            return None
    except UnreachableError:
        raise
    except OSError as error:
        # Nobody may look there, or it is no path: nothing was begun that could be resumed.
        message = f"Can't use {url!r}: {reason(error)}; name another output path."
        raise StoreError(message) from None
    message = f"{url!r} exists and is not a run; nothing was written: name another output path."
    raise StoreError(message)


def check_same(stored: StoredRun, wanted: RunIdentity) -> None:
    """Refuse to go on with a run of other settings, sources or version.

    Raises
    ------
    StoreError
        It names what differs.
    """
    there = stored.manifest.identity
    differing = [*there.find_differences(wanted)]
    # A complete run can be read by any version of its format; an unfinished one would mix numbers of two.
    if not stored.manifest.is_complete and there.novelty_dask_version != wanted.novelty_dask_version:
        versions = f"version is {there.novelty_dask_version} there and {wanted.novelty_dask_version} here"
        differing.append(versions)
    if differing:
        message = f"{stored.url!r} holds another run ({'; '.join(differing)}); name another output path."
        raise StoreError(message)


def check_version(stored: StoredRun) -> None:
    """Refuse to work on a run of another version, whose numbers may be others.

    Raises
    ------
    StoreError
        It is.
    """
    there, here = stored.manifest.identity.novelty_dask_version, this_version()
    if there != here:
        message = (
            f"Can't resume {stored.url!r}: novelty_dask {there} made it, and this is {here}; use {there}."
        )
        raise StoreError(message)


def open_stored(url: str) -> StoredRun:
    """Open an existing run, complete or not.

    Raises
    ------
    StoreError
        There is none, or it is no run of this format.
    DamageError
        Its manifest is damaged, and can be written again from the copy.
    """
    run = open_repairable(url)
    if run.is_repaired:
        message = (
            f"The run {url!r} is damaged: its {ROOT} is lost or altered; "
            f"`novelty resume {shell_quoted(url)}` writes it again from its copy."
        )
        raise DamageError(message)
    return run


def open_repairable(url: str) -> StoredRun:
    """Open an existing run, by the copy of its manifest if the manifest itself is damaged.

    Raises
    ------
    StoreError
        There is none, or it is no run of this format, or both are damaged.
    """
    objects = open_objects(absolute_url(url))
    return StoredRun(absolute_url(url), objects, *load_manifest(url, objects))


def open_complete(url: str) -> StoredRun:
    """Open a run that can be read: complete, or all but the tasks that were given up.

    Raises
    ------
    StoreError
        There is no run, or it is not complete.
    """
    return require_complete(open_stored(url))


def require_complete(run: StoredRun) -> StoredRun:
    """Return the run if it can be read.

    Raises
    ------
    StoreError
        It is not complete.
    """
    if not (run.manifest.is_complete or run.manifest.is_partial):
        owner = holder(run.objects)
        message = f"The run {run.url!r} is not complete; `novelty resume {shell_quoted(run.url)}` goes on."
        if owner:
            message = f"{run.url!r} is being worked on by {owner}; wait until it is complete."
        raise StoreError(message)
    return run
