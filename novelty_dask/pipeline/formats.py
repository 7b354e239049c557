"""The format of the sources of a run, settled before it is begun."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from novelty_dask.errors import SettingsError
from novelty_dask.kernels.choices import MEMORY
from novelty_dask.readers.choose import make_reader
from novelty_dask.readers.recognition import BEGINNING_BYTES, recognize
from novelty_dask.sources.estimate import SAMPLED_SOURCES
from novelty_dask.sources.find import MEMORY as MEMORY_URL
from novelty_dask.sources.find import Source
from novelty_dask.sources.pieces import Piece, read_chunks
from novelty_dask.sources.signatures import COLUMNAR_MARKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from novelty_dask.pipeline.given import Given
    from novelty_dask.settings import ResultSettings


def settle_format(settings: ResultSettings, given: Given) -> ResultSettings:
    """Return settings with the format of some sources, which may be told by their content.

    Raises
    ------
    InputError
        A source is not of the format, as far as its beginning tells.
    SettingsError
        URLs in memory have none.
    """
    sources = given.sources
    if any(source.url.startswith(MEMORY_URL) for source in sources):
        if settings.column is not None or settings.input_format not in (None, MEMORY):
            message = "URLs in memory have no input_format and no column; leave them out, or name files."
            raise SettingsError(message)
        return settings.model_copy(update={"input_format": MEMORY})
    if settings.column is not None and settings.input_format is None:
        # One format for all: sources of several would need a column for each.
        form = next(filter(None, map(partial(_find_format, given), sources)), "csv")
        settings = settings.model_copy(update={"input_format": form})
    check = make_reader(settings).check
    # Others are looked at when they are read: each look costs a request where they are in an object store.
    for source in sources[:: -(-len(sources) // SAMPLED_SOURCES)]:
        if not source.is_stream:
            check(source.shown, _read_beginning(source))
    return settings


def _find_format(given: Given, source: Source) -> str | None:
    """Return the format of a source that has columns, None if it looks like none."""
    # A stream can be read once, and is copied when the run has been begun.
    beginning = given.peek(source) if source.is_stream else _read_beginning(source)
    for mark, form in COLUMNAR_MARKS.items():
        if beginning.startswith(mark):
            return form
    kind = recognize(beginning)
    return kind.form if kind else None


def _read_beginning(source: Source) -> bytes:
    """Return the first bytes of a source, decompressed."""
    return b"".join(_take(read_chunks(source, Piece(0, 0, None), check=_check_nothing)))[:BEGINNING_BYTES]


def _take(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield chunks until they are enough."""
    n_bytes = 0
    for chunk in chunks:
        yield chunk
        n_bytes += len(chunk)
        if n_bytes >= BEGINNING_BYTES:
            return


def _check_nothing(_name: str, _beginning: bytes) -> None:
    """Take a source for what it is."""
