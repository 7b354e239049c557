"""The reader of a run, by its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from novelty_dask.kernels.choices import MEMORY
from novelty_dask.readers.columnar import TABLES, ColumnarReader
from novelty_dask.readers.delimited import DELIMITERS, DelimitedReader
from novelty_dask.readers.json_lines import JsonLinesReader
from novelty_dask.readers.lines import LineReader
from novelty_dask.readers.memory import MemoryReader
from novelty_dask.readers.readers import StreamReader

if TYPE_CHECKING:
    from novelty_dask.readers.readers import Reader
    from novelty_dask.settings import ResultSettings


def make_reader(settings: ResultSettings) -> Reader:
    """Return what reads the sources of a run."""
    reader = _make(settings)
    if isinstance(reader, StreamReader):
        reader.keeps_invalid = settings.invalid == "keep"
    return reader


def _make(settings: ResultSettings) -> Reader:
    """Return the reader of a format."""
    form, column, keep = settings.input_format, settings.column, settings.keep or ()
    if form in DELIMITERS:
        return DelimitedReader(form, column, keep)
    if form in TABLES:
        return ColumnarReader(form, column, keep)
    if form == "jsonl":
        return JsonLinesReader(column, keep)
    if form == MEMORY:
        return MemoryReader()
    return LineReader(is_sure=form == "lines")
