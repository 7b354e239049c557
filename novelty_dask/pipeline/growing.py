"""The way from a complete run and new sources to the larger run in its place.

Beside the run, in a folder of its own, the new rows are compared with those of the run, and a run of both is
made.  Then these two folders are exchanged, in one step.  Until then the run is as it was.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from novelty_dask.errors import DiskFullError, StoreError, without_secrets
from novelty_dask.objects.address import open_objects
from novelty_dask.objects.exchange import exchange_folders
from novelty_dask.objects.owners import claim, holder
from novelty_dask.pipeline.start import run_session
from novelty_dask.planning.budget import megabytes
from novelty_dask.storage.growths import is_of, make_grown
from novelty_dask.storage.runs import StoredRun, create_run, find_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from distributed import Client

    from novelty_dask.events import Listener
    from novelty_dask.settings import WorkSettings
    from novelty_dask.sources.find import Source
    from novelty_dask.storage.manifest import Manifest

SUFFIX = ".growing"
"""Ending of the name of the folder beside a run in which it grows."""
FOLDERS = ("new", "grown", "owners")


class Growing:
    """The growth of a run, by the one client that has claimed it.

    Parameters
    ----------
    base : StoredRun
        The run, complete.
    take_over : bool
        True to succeed a silent client on another host.
    """

    def __init__(self, base: StoredRun, *, take_over: bool) -> None:
        self.base = base
        self.take_over = take_over
        self._folder = Path(f"{base.url}{SUFFIX}")
        self.added_url, self._grown_url = (str(self._folder / name) for name in FOLDERS[:2])

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Keep other clients from growing the run; remove what an earlier growth left that is over.

        Raises
        ------
        StoreError
            Another client is at it, or the folder holds something else.
        """
        if self._folder.exists() and not {path.name for path in self._folder.iterdir()} <= {*FOLDERS}:
            message = f"{str(self._folder)!r} exists and is not of novelty; move it, as the run grows there."
            raise StoreError(message)
        objects = open_objects(str(self._folder))
        try:
            # What is claimed is the folder beside the run: others may read the run meanwhile, and mend it.
            with claim(objects, self.base.url, take_over=self.take_over, command="novelty add"):
                # After a kill right behind the exchange they are of the run as it was before.
                if not is_of(self.base, self.added_url):
                    self.remove_parts()
                yield
        finally:
            # While another client has claimed it, it is that one's.
            if not any(Path(url).exists() for url in (self.added_url, self._grown_url)) and not holder(
                objects
            ):
                objects.remove("")

    def remove_parts(self) -> None:
        """Remove the runs that the larger one is made of."""
        for url in (self._grown_url, self.added_url):
            open_objects(url).remove("")

    def check_disk(self) -> None:
        """Refuse to begin where a second run of the size of the first does not fit.

        Raises
        ------
        DiskFullError
            It says what is needed.
        """
        # What an earlier call left there is gone on with.
        there = open_objects(str(self._folder)).sizes()
        needed = sum(self.base.objects.sizes().values()) - sum(there.values())
        free = shutil.disk_usage(self._folder.parent).free
        if needed > free:
            message = (
                f"The disk of {self.base.url!r} is full: to add to it takes {megabytes(needed)} more, and "
                f"{megabytes(free)} are free; free some space, then repeat the command."
            )
            raise DiskFullError(message)

    def check_begun(self, sources: Sequence[Source]) -> None:
        """Refuse other sources than those whose addition was begun and is not finished.

        Raises
        ------
        StoreError
            It names one of those.
        """
        # It would be lost unseen, though part of it may have taken hours.
        begun = find_run(self.added_url)
        there = [_told_apart(source) for source in begun.manifest.sources] if begun else []
        if begun and there != [_told_apart(source) for source in sources]:
            message = (
                f"The addition of {begun.manifest.sources[0].shown} to {self.base.url!r} was begun and not "
                f"finished; repeat that command first, or remove {str(self._folder)!r} to drop it."
            )
            raise StoreError(message)

    def is_known(self, sources: Sequence[Source]) -> bool:
        """Return whether the run has all of some sources already."""
        there = self.base.manifest.sources
        return all(source._replace(url=without_secrets(source.url)) in there for source in sources)

    def grow(
        self,
        added: StoredRun,
        settings: WorkSettings,
        client: Client | None,
        listener: Listener,
        *,
        refresh: bool,
    ) -> None:
        """Make the run of the old and the new rows, and put it in the place of the old one.

        Parameters
        ----------
        added : StoredRun
            The new rows, complete, compared with the base.
        settings : WorkSettings
        client : distributed.Client or None
        listener : Listener
        refresh : bool
            True to compute weights anew, of all rows.

        Raises
        ------
        BudgetError, StoreError, ClusterError
            The base is as it was.
        """
        manifest = make_grown(self.base, added, refresh=refresh)
        grown = self._open_grown(manifest) or create_run(self._grown_url, manifest)
        # One that is complete and has not forgotten what it is made of was stopped right before it did.
        if not grown.manifest.is_complete or grown.manifest.growth:
            run_session(grown, settings, client, listener, take_over=self.take_over)
        if grown.manifest.is_partial:
            message = (
                f"Nothing was added to {self.base.url!r}: tasks were given up; repeat the command to do them."
            )
            raise StoreError(message)
        # Another client may have mended the base meanwhile, which leaves it as it was, or scored it anew.
        if not is_of(self.base, added.url):
            message = f"The run {self.base.url!r} has changed meanwhile; repeat the command."
            raise StoreError(message)
        # It would go on in a folder with the commits of another run.
        if owner := holder(self.base.objects):
            message = (
                f"{self.base.url!r} is being worked on by {owner}; wait for it, then repeat the command."
            )
            raise StoreError(message)
        exchange_folders(Path(self.base.url), Path(self._grown_url))
        self.remove_parts()

    def _open_grown(self, manifest: Manifest) -> StoredRun | None:
        """Return the run that was begun of the same two; remove what was begun otherwise."""
        # One that is complete has forgotten what it was made of, but its sources and segments tell.
        grown = find_run(self._grown_url)
        if grown is None or (
            grown.manifest.identity == manifest.identity and grown.manifest.growth in (None, manifest.growth)
        ):
            return grown
        open_objects(self._grown_url).remove("")
        return None


def _told_apart(source: Source) -> Source:
    """Return a source as far as it is known before it is read."""
    # The size and version of standard input are those of the file in which it was kept.
    known = source._replace(url=without_secrets(source.url))
    return known._replace(n_bytes=0, version="") if source.is_stream else known
