"""The format of the sources of a run, settled before it is begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from novelty_dask.readers.choose import make_reader
from novelty_dask.readers.recognition import BEGINNING_BYTES, check_list, recognize
from novelty_dask.sources.estimate import SAMPLED_SOURCES
from novelty_dask.sources.find import STDIN, Source
from novelty_dask.sources.pieces import read_beginning
from novelty_dask.sources.signatures import COLUMNAR_MARKS
from novelty_dask.sources.stdin import peek_stdin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from novelty_dask.settings import ResultSettings


def settle_format(settings: ResultSettings, sources: Sequence[Source]) -> ResultSettings:
    """Return settings with the format of some sources, which may be told by their content.

    Raises
    ------
    InputError
        A source is not of the format, as far as its beginning tells.
    """
    if settings.column is not None and settings.input_format is None:
        # One format for all: sources of several would need a column for each.
        form = next(filter(None, map(_find_format, sources)), "csv")
        settings = settings.model_copy(update={"input_format": form})
    check = make_reader(settings).check
    # Others are looked at when they are read: each look costs a request where they are in an object store.
    for source in sources[:: -(-len(sources) // SAMPLED_SOURCES)]:
        if source.url != STDIN:
            check(source.shown, read_beginning(source, BEGINNING_BYTES))
    return settings


def _find_format(source: Source) -> str | None:
    """Return the format of a source that has columns, None if it looks like none."""
    # Standard input can be read once, and is copied when the run has been begun.
    beginning = peek_stdin() if source.url == STDIN else read_beginning(source, BEGINNING_BYTES)
    for mark, form in COLUMNAR_MARKS.items():
        if beginning.startswith(mark):
            return form
    kind = recognize(beginning)
    if kind and not kind.table:
        # It has no columns to name.
        check_list(source.shown, beginning)
    return kind.table if kind else None
