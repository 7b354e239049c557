"""The reader of a run, by its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from novelty_dask.kernels.choices import MEMORY
from novelty_dask.readers.columnar import TABLES, ColumnarReader
from novelty_dask.readers.delimited import DELIMITERS, DelimitedReader
from novelty_dask.readers.json_lines import JsonLinesReader
from novelty_dask.readers.lines import LineReader
from novelty_dask.readers.memory import MemoryReader

if TYPE_CHECKING:
    from novelty_dask.readers.readers import Reader
    from novelty_dask.settings import ResultSettings


def make_reader(settings: ResultSettings) -> Reader:
    """Return what reads the sources of a run."""
    form, column = settings.input_format, settings.column
    if form in DELIMITERS:
        return DelimitedReader(form, column)
    if form in TABLES:
        return ColumnarReader(form, column)
    if form == "jsonl":
        return JsonLinesReader(column)
    if form == MEMORY:
        return MemoryReader()
    return LineReader(is_sure=form == "lines")
