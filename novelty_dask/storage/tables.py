"""Parquet tables of the ingest stage: what a shuffle reads and leaves, removed when the rows are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from novelty_dask.objects.commits import Commits, Digest, Draft, read_verified
from novelty_dask.planning.budget import Extent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from novelty_dask.objects.protocol import Objects
    from novelty_dask.planning.stages import Stage

ROW_GROUP_ROWS = 16_384
KEPT = "kept"
"""Column of further fields of records, a list in JSON in each row; tables without such fields lack it."""
TIMES = {"first_seen": "min", "last_seen": "max"}
"""Columns of times, in microseconds since 1970, each with what joins those of several lines; as above."""
TIME_BYTES = 16
"""Bytes of both in a row."""


class Table(NamedTuple):
    """A stored table of URLs: the item that wrote it, its key, its rows, and the bytes of their text."""

    item: str
    key: str
    n_rows: int
    n_bytes: int

    @property
    def extent(self) -> Extent:
        """Its rows, and the bytes of their text."""
        return Extent(self.n_rows, self.n_bytes)


class SortedTable(NamedTuple):
    """A table that is not committed yet: the fields of `Table` and of its digest."""

    item: str
    key: str
    n_rows: int
    n_bytes: int
    length: int
    checksum: int

    @property
    def table(self) -> Table:
        """The table."""
        return Table(*self[:4])

    @property
    def digest(self) -> Digest:
        """Length and checksum of its bytes."""
        return Digest(self.length, self.checksum)


def write_table(draft: Draft, key: str, table: pa.Table, text: Sequence[str] = ("url",)) -> Table:
    """Write a table in small row groups, so that a part can be read.

    Its text is the longest of some columns, as the others are forms, and what rows keep of records.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=ROW_GROUP_ROWS, compression="lz4")
    draft.write(key, memoryview(sink.getvalue()))
    n_bytes = max(_text_bytes(table[name]) for name in text)
    if KEPT in table.column_names:
        n_bytes += _text_bytes(table[KEPT])
    if has_times(table):
        n_bytes += TIME_BYTES * table.num_rows
    return Table(draft.task.item, key, table.num_rows, n_bytes)


def has_times(table: pa.Table) -> bool:
    """Return whether the rows of a table have times."""
    return set(TIMES) <= set(table.column_names)


def join_times(table: pa.Table) -> list[tuple[str, str]]:
    """Return what joins the times of several rows to those of one; nothing if they have none."""
    return [*TIMES.items()] if has_times(table) else []


def _text_bytes(column: pa.ChunkedArray) -> int:
    """Return the bytes of the text of a column."""
    n_bytes: int = pc.sum(pc.binary_length(column)).as_py() or 0
    return n_bytes


def read_table(commits: Commits, stage: Stage, table: Table) -> pa.Table:
    """Read a whole table of a stage.

    Raises
    ------
    DamageError
        It is not what was written.
    """
    # In one thread, here and below: a worker has as many tasks as threads already.
    return _open(commits, stage, table).read(use_threads=False)


def read_uncommitted(objects: Objects, stage: Stage, table: SortedTable) -> pa.Table:
    """Read a whole table of a stage that is not committed yet.

    Raises
    ------
    DamageError
        It is not what was written.
    """
    data = read_verified(objects, stage.task(table.item), table.key, table.digest)
    return pq.ParquetFile(pa.BufferReader(data)).read(use_threads=False)


def read_slice(commits: Commits, stage: Stage, table: Table, start: int, stop: int) -> pa.Table:
    """Read the rows ``start`` to ``stop`` of a table, from the row groups that hold them."""
    parquet = _open(commits, stage, table)
    first, last = start // ROW_GROUP_ROWS, -(-stop // ROW_GROUP_ROWS)
    groups = parquet.read_row_groups(list(range(first, last)), use_threads=False)
    return groups.slice(start - first * ROW_GROUP_ROWS, stop - start)


def _open(commits: Commits, stage: Stage, table: Table) -> pq.ParquetFile:
    """Return a table whose bytes are as they were written."""
    # All of it, also for a few rows: the checksum is that of the whole.
    data = commits.read(stage.task(table.item), table.key)
    return pq.ParquetFile(pa.BufferReader(data))
