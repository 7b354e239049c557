"""The sources of a run, settled once: files that can be read now, and their sizes."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from novelty_dask.errors import HIDDEN, InputError, without_secrets
from novelty_dask.objects.address import is_inside
from novelty_dask.pipeline.formats import settle_format
from novelty_dask.readers.choose import make_reader
from novelty_dask.sources.changes import check_unchanged
from novelty_dask.sources.estimate import decompressor_bytes, estimate_records, text_bytes
from novelty_dask.sources.find import STDIN, Source, find_sources
from novelty_dask.sources.pieces import Piece, split
from novelty_dask.sources.stdin import copy_stdin, has_altered_copy, identify, standard_input
from novelty_dask.storage.manifest import RunIdentity
from novelty_dask.storage.runs import STDIN_KEY, WORK_FOLDER, StoredRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from novelty_dask.planning.budget import Extent
    from novelty_dask.readers.readers import Reader
    from novelty_dask.settings import ResultSettings


class Inputs:
    """The sources of a run as files.

    Parameters
    ----------
    run : StoredRun
    sources : sequence of Source
        The files: with the passwords that the run does not keep, and its copy of standard input.
    is_new : bool
        True if standard input was copied just now.
    """

    def __init__(self, run: StoredRun, sources: Sequence[Source], *, is_new: bool = False) -> None:
        self.run = run
        self.sources = sources
        self.is_new = is_new
        # True once they were looked at: a source that then differs is being written to.
        self.just_found = False

    @classmethod
    def settle(cls, run: StoredRun, given: Sequence[Source] | None) -> Inputs:
        """Return the inputs of a run, standard input copied into it, all unchanged while they are needed.

        Parameters
        ----------
        run : StoredRun
        given : sequence of Source or None
            The sources as the user names them now; those that the run keeps if None.

        Raises
        ------
        InputError
            A source has changed, or is no longer known in full.
        """
        sources, before = list(given or run.manifest.sources), run.manifest.sources
        for number, source in enumerate(sources):
            if source.url == STDIN:
                sources[number] = _copied_stdin(run, number, is_given=given is not None)
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
        return split(self.sources, self._reader.cut)

    def parts(self) -> list[tuple[int, Piece, Source]]:
        """Return the pieces with their numbers and sources."""
        return [(number, piece, self.sources[piece.source]) for number, piece in enumerate(self.pieces)]

    @cached_property
    def extent(self) -> Extent:
        """An estimate of lines and bytes of text."""
        return estimate_records(self.sources, self._reader.estimate)

    @property
    def text_bytes(self) -> int:
        """Approximate bytes of text, by the sizes of the sources alone."""
        return text_bytes(self.sources)

    @property
    def decompressor_bytes(self) -> int:
        """Most bytes that a task holds to decompress a source."""
        return decompressor_bytes(self.sources)

    def check_copy(self) -> None:
        """Refuse a copy of standard input that is not what was read, which nobody can read again.

        Raises
        ------
        InputError
            It was altered since an earlier session made it.
        """
        manifest = self.run.manifest
        is_needed = not (self.is_new or manifest.has_rows)
        if is_needed and has_altered_copy(manifest.sources, _copy_url(self.run)):
            message = (
                f"The copy of standard input in {self.run.url!r} was altered; score it into another path."
            )
            raise InputError(message)

    def check_unchanged(self) -> None:
        """Refuse sources that differ from those with which the run was begun.

        Raises
        ------
        InputError
            A source has changed, or can't be read, or its password is not known.
        """
        copy = _copy_url(self.run)
        for source in self.sources:
            if HIDDEN in source.url:
                message = (
                    "The source URLs contained credentials, which are never stored; score them again, with "
                    "the credentials, into the same run to resume it."
                )
                raise InputError(message)
            if source.url == copy and STDIN_KEY not in self.run.objects.sizes(WORK_FOLDER):
                message = f"The copy of standard input in {self.run.url!r} is gone; score it again."
                raise InputError(message)
            check_unchanged(source, just_found=self.just_found)
        self.just_found = True


def _copy_url(run: StoredRun) -> str:
    """Return the URL of a run's copy of standard input."""
    return f"{run.url}/{STDIN_KEY}"


def _copied_stdin(run: StoredRun, number: int, *, is_given: bool) -> Source:
    """Return standard input as a file of the run, copied there unless it has been.

    Raises
    ------
    InputError
        The run has no whole copy of it, and it can't be read now.
    """
    source = run.manifest.sources[number]
    if not source.version:
        if not is_given:
            message = f"{run.url!r} was stopped before all of standard input was stored; score it again."
            raise InputError(message)
        # Before the stream is gone: what is refused later could not be read again.
        check = make_reader(run.manifest.settings).check
        source = copy_stdin(standard_input(), run.objects, STDIN_KEY, check)
        # Saved at once: from here on the run can be resumed without the stream.  The fingerprint may change,
        # as nothing is committed yet.
        run.manifest.replace_source(number, source)
        run.save()
    return source._replace(url=_copy_url(run), version="")


def name_sources(names: Iterable[str], url: str, stored: StoredRun | None) -> list[Source]:
    """Return the sources behind some names, without files of the run that is made from them."""
    sources = [source for source in find_sources(names) if not is_inside(source.url, url)]
    # A run that has copied its standard input knows the hash: the stream is read to its end now to tell
    # whether it is the same.  Otherwise it is read later, when it is copied.
    if stored and any(source.url == STDIN and source.version for source in stored.manifest.sources):
        return [identify(standard_input()) if source.url == STDIN else source for source in sources]
    return sources


def identify_run(sources: Sequence[Source], settings: ResultSettings) -> RunIdentity:
    """Return what makes a run the one of some sources and settings, their format settled.

    Raises
    ------
    InputError
        A source is not of the format, as far as its beginning tells.
    """
    # Passwords and tokens that URLs may hold are kept nowhere.
    kept = tuple(source._replace(url=without_secrets(source.url)) for source in sources)
    return RunIdentity(settings=settle_format(settings, sources), sources=kept)
