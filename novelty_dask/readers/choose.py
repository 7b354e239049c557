"""The reader of a run, by its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from novelty_dask.readers.bookmarks import BookmarksReader
from novelty_dask.readers.cdx import CdxjReader, CdxReader
from novelty_dask.readers.columnar import ColumnarReader
from novelty_dask.readers.delimited import DelimitedReader
from novelty_dask.readers.hosts import HostsReader
from novelty_dask.readers.json_documents import HarReader, MispReader
from novelty_dask.readers.json_lines import JsonLinesReader
from novelty_dask.readers.lines import LineReader
from novelty_dask.readers.logs import LogReader
from novelty_dask.readers.memory import MemoryReader
from novelty_dask.readers.readers import StreamReader
from novelty_dask.readers.sitemap import SitemapReader
from novelty_dask.readers.warc import WarcReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from novelty_dask.kernels.choices import InputFormat
    from novelty_dask.readers.readers import Reader
    from novelty_dask.settings import ReadSettings

READERS: dict[InputFormat, Callable[[ReadSettings], Reader]] = {
    "lines": lambda _: LineReader(is_sure=True),
    "csv": lambda settings: DelimitedReader("csv", settings.column, settings.further_columns),
    "tsv": lambda settings: DelimitedReader("tsv", settings.column, settings.further_columns),
    "jsonl": lambda settings: JsonLinesReader(settings.column, settings.further_columns),
    "parquet": lambda settings: ColumnarReader("parquet", settings.column, settings.further_columns),
    "arrow": lambda settings: ColumnarReader("arrow", settings.column, settings.further_columns),
    "cdx": lambda _: CdxReader(),
    "cdxj": lambda _: CdxjReader(),
    "warc": lambda _: WarcReader("warc"),
    "wat": lambda _: WarcReader("wat"),
    "log": lambda settings: LogReader(settings.host, settings.keep or ()),
    "sitemap": lambda _: SitemapReader(),
    "har": lambda _: HarReader(),
    "bookmarks": lambda _: BookmarksReader(),
    "misp": lambda _: MispReader(),
    "hosts": lambda _: HostsReader(),
    "memory": lambda _: MemoryReader(),
}
"""What makes the reader of each format."""
NO_LINES = ("warc", "wat", "sitemap", "har", "bookmarks", "misp", "memory")
"""Formats of other things than lines of text, whose bytes stay as they are."""


def make_reader(settings: ReadSettings) -> Reader:
    """Return what reads the sources of a run."""
    form = settings.input_format
    reader = READERS[form](settings) if form else LineReader()
    if isinstance(reader, StreamReader) and form not in NO_LINES:
        reader.keeps_invalid = settings.invalid == "keep"
    return reader
