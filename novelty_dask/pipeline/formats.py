"""The format of the sources of a run, settled before it is begun."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from novelty_dask.errors import SettingsError
from novelty_dask.kernels.choices import MEMORY
from novelty_dask.readers.choose import make_reader
from novelty_dask.readers.recognition import BEGINNING_BYTES, check_list, recognize
from novelty_dask.sources.estimate import SAMPLED_SOURCES
from novelty_dask.sources.find import MEMORY as MEMORY_URL
from novelty_dask.sources.find import Source
from novelty_dask.sources.pieces import read_beginning
from novelty_dask.sources.signatures import COLUMNAR_MARKS

if TYPE_CHECKING:
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
            check(source.shown, read_beginning(source, BEGINNING_BYTES))
    return settings


def _find_format(given: Given, source: Source) -> str | None:
    """Return the format of a source that has columns, None if it looks like none."""
    # A stream can be read once, and is copied when the run has been begun.
    beginning = given.peek(source) if source.is_stream else read_beginning(source, BEGINNING_BYTES)
    for mark, form in COLUMNAR_MARKS.items():
        if beginning.startswith(mark):
            return form
    kind = recognize(beginning)
    if kind and not kind.table:
        # It has no columns to name.
        check_list(source.shown, beginning)
    return kind.table if kind else None
