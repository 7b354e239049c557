"""The sources of a run, settled once: files that can be read now, and their sizes."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from novelty_dask.errors import HIDDEN, InputError, without_secrets
from novelty_dask.pipeline.formats import settle_format
from novelty_dask.readers.batches import list_pieces
from novelty_dask.readers.choose import make_reader
from novelty_dask.sources.changes import check_unchanged
from novelty_dask.sources.estimate import decompressor_bytes, estimate_records, text_bytes
from novelty_dask.storage.audit import altered_copies
from novelty_dask.storage.growths import merged_extents
from novelty_dask.storage.identity import RunIdentity
from novelty_dask.storage.runs import StoredRun, copy_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from novelty_dask.pipeline.given import Given
    from novelty_dask.planning.budget import Extent
    from novelty_dask.readers.readers import Reader
    from novelty_dask.settings import ResultSettings
    from novelty_dask.sources.find import Source
    from novelty_dask.sources.pieces import Piece
    from novelty_dask.storage.totals import Totals


class Inputs:
    """The sources of a run as files.

    Parameters
    ----------
    run : StoredRun
    sources : sequence of Source
        The files: with the passwords that the run does not keep, and its copies of streams.
    is_new : bool
        True if streams were copied just now.
    """

    def __init__(self, run: StoredRun, sources: Sequence[Source], *, is_new: bool = False) -> None:
        self.run = run
        self.sources = sources
        self.is_new = is_new
        # True once they were looked at: a source that then differs is being written to.
        self.just_found = False

    @classmethod
    def settle(cls, run: StoredRun, given: Given | None) -> Inputs:
        """Return the inputs of a run, streams copied into it, all unchanged while they are needed.

        Parameters
        ----------
        run : StoredRun
        given : Given or None
            The sources as the user names them now; those that the run keeps if None.

        Raises
        ------
        InputError
            A source has changed, or is no longer known in full.
        """
        before = run.manifest.sources
        _copy_streams(run, given)
        # What the run has as the version of a copy is a hash of its text, which no file system gives.
        sources = [
            stored._replace(url=f"{run.url}/{copy_key(stored)}", version="") if stored.is_stream else source
            for source, stored in zip(given.sources if given else before, run.manifest.sources, strict=True)
        ]
        inputs = cls(run, sources, is_new=run.manifest.sources != before)
        inputs.just_found = given is not None
        # Once the rows are stored, the sources may be deleted.
        if not run.manifest.has_rows:
            inputs.check_unchanged()
        return inputs

    @property
    def _reader(self) -> Reader:
        """What reads the sources."""
        return make_reader(self.run.manifest.settings)

    @cached_property
    def pieces(self) -> list[Piece]:
        """The pieces of the sources, in the order of their lines."""
        return list_pieces(self.sources, self.run.manifest.settings)

    def parts(self) -> list[tuple[int, Piece, Source]]:
        """Return the pieces with their numbers and sources."""
        return [(number, piece, self.sources[piece.source]) for number, piece in enumerate(self.pieces)]

    @cached_property
    def extent(self) -> Extent:
        """An estimate of lines and bytes of text."""
        return estimate_records(self.sources, self._reader.estimate)

    @property
    def is_counted(self) -> bool:
        """True if the rows are known before anything is read."""
        return self.run.manifest.growth is not None

    @property
    def totals(self) -> Totals | None:
        """Numbers of lines, as far as they are known."""
        return self.run.manifest.totals

    @property
    def extents(self) -> list[Extent]:
        """Lines and bytes of text, estimated; those of rows where the run is made of others."""
        return merged_extents(self.run) if self.run.manifest.growth else [self.extent]

    @property
    def text_bytes(self) -> int:
        """Approximate bytes of text, by the sizes of the sources alone."""
        return text_bytes(self.sources)

    @property
    def decompressor_bytes(self) -> int:
        """Most bytes that a task holds to decompress a source."""
        return decompressor_bytes(self.sources)

    def check_copy(self) -> None:
        """Refuse a copy of a stream that is not what was read, which nobody can read again.

        Raises
        ------
        InputError
            It was altered since an earlier session made it.
        """
        for source in () if self.is_new else altered_copies(self.run):
            message = (
                f"The copy of {source.shown} in {self.run.url!r} was altered; score it into another path."
            )
            raise InputError(message)

    def check_unchanged(self) -> None:
        """Refuse sources that differ from those with which the run was begun.

        Raises
        ------
        InputError
            A source has changed, or can't be read, or its password is not known.
        """
        length = self.run.objects.lengths()
        for source, stored in zip(self.sources, self.run.manifest.sources, strict=True):
            if HIDDEN in source.url:
                message = (
                    "The source URLs contained credentials, which are never stored; score them again, with "
                    "the credentials, into the same run to resume it."
                )
                raise InputError(message)
            if stored.is_stream and length(copy_key(stored)) is None:
                message = f"The copy of {source.shown} in {self.run.url!r} is gone; score it again."
                raise InputError(message)
            check_unchanged(source, just_found=self.just_found)
        self.just_found = True


def _copy_streams(run: StoredRun, given: Given | None) -> None:
    """Copy the streams of a run into it, as far as it has no whole copies of them.

    Raises
    ------
    InputError
        One of them can't be read now.
    """
    lacking = [
        (number, source)
        for number, source in enumerate(run.manifest.sources)
        if source.is_stream and not source.version
    ]
    # Before a stream is gone: what is refused later could not be read again.
    check = make_reader(run.manifest.settings).check
    for number, source in lacking:
        if not given:
            message = f"{run.url!r} was stopped before all of {source.shown} was stored; score it again."
            raise InputError(message)
        run.manifest.replace_source(number, given.feeds[source.url].copy(run, source, check))
    # Saved at once: from here on the run can be resumed without the streams.  The fingerprint may change, as
    # nothing is committed yet.
    if lacking:
        run.save()


def identify_run(given: Given, settings: ResultSettings) -> RunIdentity:
    """Return what makes a run the one of some sources and settings, their format settled.

    Raises
    ------
    InputError
        A source is not of the format, as far as its beginning tells.
    """
    # Passwords and tokens that URLs may hold are kept nowhere.
    kept = tuple(source._replace(url=without_secrets(source.url)) for source in given.sources)
    return RunIdentity(settings=settle_format(settings, given), sources=kept, reference=given.reference)
