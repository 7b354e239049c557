"""A run on disk: one Zarr v3 group, its manifest, its commits, and the ways to them."""

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import zarr

from novelty_dask.errors import StoreError, reason
from novelty_dask.objects.address import absolute_url, open_objects
from novelty_dask.objects.commits import Commit, Commits, Draft, TaskId
from novelty_dask.objects.owners import check_epoch
from novelty_dask.objects.protocol import METADATA, Objects
from novelty_dask.storage.checked import CheckedStore, find_array
from novelty_dask.storage.layout import Layout
from novelty_dask.storage.manifest import Manifest, has_manifest, read_manifest, this_version, write_manifest

WORK_FOLDER = "work/"
SPOOLED = f"{WORK_FOLDER}stdin"
"""Where standard input is kept as long as it is needed."""


@dataclass
class StoredRun:
    """A run and the ways to it.

    Parameters
    ----------
    url : str
        Path or URL.
    objects : Objects
        Its bytes.
    manifest : Manifest
        As it was when the run was opened.
    """

    url: str
    objects: Objects
    manifest: Manifest

    @property
    def commits(self) -> Commits:
        """What is done."""
        return Commits(self.objects, self.manifest.fingerprint)

    @property
    def layout(self) -> Layout:
        """Its arrays, as far as they are known."""
        return Layout(self.manifest.settings, self.manifest.plan, self.manifest.counts)

    def group(self, draft: Draft | None = None) -> zarr.Group:
        """Zarr's view of it, every chunk checked; chunks are written with a draft alone."""
        absent = self.manifest.absent if self.manifest.is_partial else ()
        store = CheckedStore(self.objects, self.commits, self.layout, draft, absent)
        return zarr.open_group(store, mode="r+", zarr_format=3)

    def create_arrays(self, stage: str) -> None:
        """Create the arrays of a stage that are not there as they should be."""
        group = self.group()
        for spec in self.layout.of(stage):
            if find_array(group, spec) is None:
                self.objects.remove(f"{spec.name}/{METADATA}")
                spec.create(group)

    def once(self, task: TaskId, epoch: int, work: Callable[[Draft], dict[str, Any]]) -> dict[str, Any]:
        """Do a task and commit it, unless it is done; return its figures.

        Raises
        ------
        StoreError
            A newer client has taken over, or another did the task with another result.
        """
        done = self.commits.find(task)
        if done is None:
            draft = Draft(task, self.objects)
            figures = work(draft)
            check_epoch(self.objects, epoch)
            done = self.commits.add(task, Commit(self.manifest.fingerprint, epoch, draft.stamps, figures))
        return done.figures

    def save(self) -> None:
        """Store the manifest."""
        self.objects.write(METADATA, write_manifest(self.manifest))

    def remove(self, names: Iterable[str]) -> None:
        """Remove arrays, groups of arrays, or folders."""
        for name in names:
            self.objects.remove(f"{name.rstrip('/')}/")


def create_run(url: str, manifest: Manifest) -> StoredRun:
    """Make an empty run where nothing is yet.

    Raises
    ------
    StoreError
        It can't be made there.
    """
    run = StoredRun(absolute_url(url), open_objects(absolute_url(url)), manifest)
    try:
        made = not run.objects.exists() and run.objects.create(METADATA, write_manifest(manifest))
    except (OSError, ValueError) as error:
        message = f"Can't create {url!r}: {reason(error)}."
        raise StoreError(message) from None
    if not made:
        message = f"Can't create {url!r}: there is something already; name another output path."
        raise StoreError(message)
    return run


def find_run(url: str) -> StoredRun | None:
    """The run at a path, or None if there is nothing.

    Raises
    ------
    StoreError
        There is something else, or a run that is damaged or of another format, which is not overwritten.
    """
    objects, values = open_objects(absolute_url(url)), None
    with suppress(StoreError):
        values = _metadata(url, objects)
    if has_manifest(values):
        return StoredRun(absolute_url(url), objects, read_manifest(url, values))
    if not objects.exists():
        return None
    message = f"{url!r} exists and is no run; nothing was written: name another output path."
    raise StoreError(message)


def check_same(stored: StoredRun, wanted: Manifest) -> None:
    """Refuse to go on with a run of other settings, sources or version.

    Raises
    ------
    StoreError
        It names what differs.
    """
    there = stored.manifest
    differing = [
        f"{name} is {there.settings.get(name)!r} there and {value!r} here"
        for name, value in wanted.settings.items()
        if there.settings.get(name) != value
    ]
    if there.sources != wanted.sources:
        differing.append("the sources are others, or have changed")
    if not there.is_complete and there.novelty_dask_version != wanted.novelty_dask_version:
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
    there, here = stored.manifest.novelty_dask_version, this_version()
    if there != here:
        message = f"Can't go on with {stored.url!r}: version is {there} there and {here} here; use that one."
        raise StoreError(message)


def open_stored(url: str) -> StoredRun:
    """Open an existing run, complete or not.

    Raises
    ------
    StoreError
        There is none, or it is no run of this format.
    """
    objects = open_objects(absolute_url(url))
    return StoredRun(absolute_url(url), objects, read_manifest(url, _metadata(url, objects)))


def _metadata(url: str, objects: Objects) -> Any:
    """What stands where a run has the metadata of its group."""
    try:
        return json.loads(objects.read(METADATA))
    except KeyError:
        message = f"{url!r} holds no run; check the path."
        raise StoreError(message) from None
    except (OSError, ValueError, RecursionError) as error:
        message = f"{url!r} can't be opened as a run: {reason(error)}; check the path."
        raise StoreError(message) from None


def open_complete(url: str) -> StoredRun:
    """Open a run that can be read: complete, or all but the tasks that were given up.

    Raises
    ------
    StoreError
        There is no run, or it is not complete.
    """
    run = open_stored(url)
    if not (run.manifest.is_complete or run.manifest.is_partial):
        message = f"The run {url!r} is not complete; `novelty resume {url}` goes on."
        raise StoreError(message)
    return run
