"""Tables of distinct lines to sorted tables of distinct rows: one task reads a table, one writes a range."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from novelty_dask.execution.advances import note
from novelty_dask.kernels.text.urls import DIGEST_BYTES, SEPARATOR, form_key
from novelty_dask.objects.commits import Commits, Draft, Metrics
from novelty_dask.planning.slices import slice_tables
from novelty_dask.planning.stages import INGEST, SORT
from novelty_dask.stages.ingest import (
    BYTES_PER_KEY,
    KEPT_FIELD,
    LINE_SCHEMA,
    TIME_FIELDS,
    PieceRead,
    distinct,
    line_offsets,
    text_columns,
    with_fields,
    with_kept,
    with_times,
)
from novelty_dask.stages.tasks import open_on_worker
from novelty_dask.storage.runs import WORK_FOLDER
from novelty_dask.storage.tables import (
    KEPT,
    SortedTable,
    Table,
    has_times,
    join_times,
    read_slice,
    read_table,
    read_uncommitted,
    write_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from novelty_dask.storage.runs import StoredRun

SUFFIX = ".parquet"
PARTITION_BYTES = 8 * 2**20
"""Text aimed at in one range of the sort key."""
TABLE_TYPES = {"item": "str", "key": "str"} | dict.fromkeys(
    ["n_rows", "n_bytes", "length", "checksum"], "int64"
)
"""The fields of `SortedTable` as columns of a frame."""
ROW_SCHEMA = LINE_SCHEMA.append(pa.field("spellings", pa.int64()))
"""Rows of spellings, whose number they have; rows of lines that are compared as they are need none."""


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
    ranges: list[str] = []
    for form, cuts in groupby(sorted(set(sorted(keys)[step - 1 :: step])), _uncut):
        inside = list(cuts)
        # A form that has more text than a range is cut between its spellings, and is in no range with others,
        # so that each of its ranges has one row.
        # Behind the form all its keys go on with NUL, so that they end before the next character.
        ranges.extend([form] if len(inside) == 1 else [form, *inside, f"{form}\1"])
    return list(dict.fromkeys(ranges))


def _uncut(key: str) -> str:
    """Return the least key of the form of a spelling; of a line that is compared as it is, its own."""
    return form_key(key) if _is_spelling(key) else key


def _is_spelling(key: str) -> bool:
    """Return whether a key is that of a spelling, not of a form or of a line that is compared as it is."""
    return key.count(SEPARATOR) == 2


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
    # Distinct once more: the tables of two pieces may hold the same URL, which lies in one range.
    note(url, SORT.name)
    run = open_on_worker(url)
    draft, form = Draft(SORT.task(), run.objects), run.manifest.settings.normal_form
    rows = distinct(lines) if form == "raw" else merge_spellings(lines)
    table = write_table(draft, f"{WORK_FOLDER}rows/{number:06d}{SUFFIX}", rows, text=text_columns(form))
    return SortedTable(*table, *draft.digests[table.key])


def merge_spellings(lines: pa.Table) -> pa.Table:
    """Return rows of lines, one for each form, in the order of the keys of forms.

    A row has the URL that was read first, the sum of the counts, and the number of URLs.

    >>> lines = {"url": ["a.example/", "A.example"], "position": [1, 0], "count": [2, 1]}
    >>> merge_spellings(distinct(pa.table(lines), "page")).to_pylist()
    [{'key': 'example.a ', 'url': 'A.example', 'position': 0, 'count': 3, 'spellings': 2}]
    """
    aggregates = [("key", "first"), ("position", "min"), ("count", "sum"), *join_times(lines)]
    urls = lines.group_by("url", use_threads=False).aggregate(aggregates)
    spellings = pa.table(
        {
            "key": _form_keys(urls["key_first"]),
            "url": urls["url"],
            "position": urls["position_min"],
            "count": urls["count_sum"],
            "spellings": np.ones(urls.num_rows, np.int64),
        }
    )
    rows = _first_of_each(with_times(with_kept(spellings, lines), urls)).sort_by("key")
    # What is left is the sort key, whose length is about that of the form.
    parts = pc.split_pattern(rows["key"], SEPARATOR)
    further = [KEPT_FIELD] if KEPT in rows.column_names else []
    further += TIME_FIELDS if has_times(rows) else []
    return rows.set_column(0, "key", pc.list_element(parts, 0)).cast(with_fields(ROW_SCHEMA, further))


def _form_keys(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the form keys of keys of spellings."""
    # As `form_key` does, for all at once.  What is cut off is ASCII, so that it may be counted in bytes.
    digest = len(SEPARATOR) + 2 * DIGEST_BYTES
    return pc.binary_slice(keys.cast(pa.large_binary()), 0, -digest).cast(pa.large_string())


def _first_of_each(rows: pa.Table) -> pa.Table:
    """Return one row for each key: the first by position, with the sums of all."""
    aggregates = [("url", "first"), ("position", "first"), ("count", "sum"), ("spellings", "sum")]
    kept = [KEPT] if KEPT in rows.column_names else []
    aggregates += [*((name, "first") for name in kept), *join_times(rows)]
    grouped = rows.sort_by("position").group_by("key", use_threads=False).aggregate(aggregates)
    return grouped.rename_columns([*ROW_SCHEMA.names, *kept, *(name for name, _ in join_times(rows))])


def join_ranges(run: StoredRun, tables: Iterable[SortedTable], ranges: Sequence[str]) -> list[SortedTable]:
    """Return tables in order, with those of one form joined to one of one row."""
    groups: list[list[SortedTable]] = []
    for table, start in zip(sorted(tables, key=lambda table: table.key), ["", *ranges], strict=True):
        if _is_spelling(start):
            groups[-1].append(table)
        else:
            groups.append([table])
    return [_join(run, group) if len(group) > 1 else group[0] for group in groups]


def _join(run: StoredRun, parts: Sequence[SortedTable]) -> SortedTable:
    """Write the one row of the parts of a form, or none if they have none."""
    row = read_uncommitted(run.objects, SORT, parts[0])
    for part in parts[1:]:
        # One after the other: as many rows as there are ranges could be more than a task may hold.
        row = _first_of_each(pa.concat_tables([row, read_uncommitted(run.objects, SORT, part)]))
    draft, form = Draft(SORT.task(), run.objects), run.manifest.settings.normal_form
    # Not in the place of a part, which a worker that was given up may still write.
    key = f"{parts[0].key.removesuffix(SUFFIX)}-joined{SUFFIX}"
    table = write_table(draft, key, row, text=text_columns(form))
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
