"""Parquet tables of the ingest stage: what a shuffle reads and leaves, removed when the rows are stored."""

from typing import NamedTuple

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fsspec.core import url_to_fs

ROW_GROUP_ROWS = 16_384


class Table(NamedTuple):
    """A stored table of URLs: where it is, its rows, and the bytes of their text."""

    url: str
    n_rows: int
    n_bytes: int


def create_folder(url: str) -> None:
    """Make a folder for tables, if not there."""
    fs, path = url_to_fs(url)
    fs.makedirs(path, exist_ok=True)


def write_table(url: str, table: pa.Table, text: str = "url") -> Table:
    """Write a table in small row groups, so that a part can be read.

    Its folder is not made here: a task that is late finds that of a removed run no more.
    """
    with fsspec.open(url, "wb", auto_mkdir=False) as file:
        pq.write_table(table, file, row_group_size=ROW_GROUP_ROWS, compression="lz4")
    return Table(url, table.num_rows, pc.sum(pc.binary_length(table[text])).as_py() or 0)


def read_table(url: str) -> pa.Table:
    """Read a whole table."""
    with fsspec.open(url, "rb") as file:
        return pq.ParquetFile(file).read(use_threads=False)


def read_slice(url: str, start: int, stop: int) -> pa.Table:
    """Read the rows ``start`` to ``stop`` of a table, from the row groups that hold them."""
    with fsspec.open(url, "rb") as file:
        parquet = pq.ParquetFile(file)
        first, last = start // ROW_GROUP_ROWS, -(-stop // ROW_GROUP_ROWS)
        groups = parquet.read_row_groups(list(range(first, last)), use_threads=False)
    return groups.slice(start - first * ROW_GROUP_ROWS, stop - start)


def remove_tables(url: str) -> None:
    """Remove a folder of tables, if there."""
    fs, path = url_to_fs(url)
    if fs.exists(path):
        fs.rm(path, recursive=True)
