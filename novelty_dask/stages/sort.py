"""Tables of distinct lines to sorted tables of distinct rows: one task reads a table, one writes a range."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from novelty_dask.execution.advances import note
from novelty_dask.objects.commits import Commits, Draft, Metrics
from novelty_dask.planning.stages import INGEST, SORT
from novelty_dask.planning.tiles import slice_tables
from novelty_dask.stages.ingest import (
    BYTES_PER_KEY,
    PieceRead,
    line_offsets,
    merge_spellings,
    text_columns,
)
from novelty_dask.stages.tasks import open_on_worker
from novelty_dask.storage.runs import WORK_FOLDER
from novelty_dask.storage.tables import SortedTable, Table, read_slice, read_table, write_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PARTITION_BYTES = 8 * 2**20
"""Text aimed at in one range of the sort key."""
TABLE_TYPES = {"item": "str", "key": "str"} | dict.fromkeys(
    ["n_rows", "n_bytes", "length", "checksum"], "int64"
)
"""The fields of `SortedTable` as columns of a frame."""


class LineTable(NamedTuple):
    """A table of lines, and the number of the line of the corpus from which its positions count."""

    table: Table
    offset: int


def key_ranges(keys: Sequence[str], partition_bytes: int) -> list[str]:
    """Return keys that cut the corpus into ranges of about equal bytes, without its ends.

    >>> key_ranges([f"org.example.{i:03d}" for i in range(10)], partition_bytes=4 * BYTES_PER_KEY)
    ['org.example.003', 'org.example.007']
    """
    # Each key stands for as many bytes of text, so every step-th of them ends a range of the wanted size.
    step = partition_bytes // BYTES_PER_KEY
    return sorted(set(sorted(keys)[step - 1 :: step]))


def line_tables(reads: Sequence[PieceRead]) -> list[LineTable]:
    """Return all tables of lines, in the order of the pieces."""
    return [
        LineTable(table, int(offset))
        for read, offset in zip(reads, line_offsets(reads), strict=True)
        for table in read.tables
    ]


def load_lines(url: str, lines: LineTable) -> pa.Table:
    """Return the lines of a table, with positions counted from the first line of the corpus."""
    note(url, SORT.name)
    table = read_table(open_on_worker(url).commits, INGEST, lines.table)
    # Only the client knows how many lines the pieces before this one have, and only when all were read.
    column = table.schema.get_field_index("position")
    return table.set_column(column, "position", pc.add(table["position"], lines.offset))


def write_range(url: str, lines: pa.Table, number: int) -> SortedTable:
    """Write the rows of one range of the sort key, distinct and in order."""
    # Distinct once more: the tables of two pieces may hold the same URL, which lies in one range, and so do
    # all spellings of a form, as they have one key.
    note(url, SORT.name)
    run = open_on_worker(url)
    draft, form = Draft(SORT.task(), run.objects), run.manifest.settings.normal_form
    rows = merge_spellings(lines, form)
    table = write_table(draft, f"{WORK_FOLDER}rows/{number:06d}.parquet", rows, text=text_columns(form))
    return SortedTable(*table, *draft.digests[table.key])


def sort_metrics(tables: Iterable[SortedTable]) -> Metrics:
    """Return the metrics of the commit of the sort: its tables, in the order of their rows."""
    return {"tables": sorted((each.table for each in tables), key=lambda table: table.key)}


def read_sorted_tables(commits: Commits) -> list[Table]:
    """Return the tables of the sort, whose order is that of their rows.

    Raises
    ------
    DamageError
        The sort is not committed.
    """
    return [Table(*table) for table in commits.get(SORT.task()).metrics["tables"]]


def read_sorted_rows(commits: Commits, start: int, stop: int) -> pa.Table:
    """Return consecutive rows from the tables in which they lie."""
    tables = read_sorted_tables(commits)
    slices = slice_tables([table.n_rows for table in tables], start, stop)
    return pa.concat_tables(
        read_slice(commits, SORT, tables[each.table], each.start, each.stop) for each in slices
    )
