"""Tables of distinct lines to sorted tables of distinct rows, by Dask's own shuffle."""

from collections.abc import Generator, Sequence
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from novelty_dask.execution.executors import Executor, Figures
from novelty_dask.objects.commits import Commit, Draft, TaskId
from novelty_dask.objects.owners import check_epoch
from novelty_dask.planning.memory import Budget, Extent, check_limit, moved_bytes, sort_bytes
from novelty_dask.stages.ingest import LINES, SAMPLE_BYTES, PieceRead, distinct, line_offsets
from novelty_dask.stages.tasks import reach
from novelty_dask.storage.layout import WHOLE
from novelty_dask.storage.runs import WORK_FOLDER, StoredRun
from novelty_dask.storage.tables import SortedTable, Table, read_table, write_table

SORTED = TaskId("sort", WHOLE)
TABLE_TYPES = {"item": "str", "key": "str"} | dict.fromkeys(
    ["n_rows", "n_bytes", "length", "checksum"], "int64"
)
"""The fields of `SortedTable` as columns of a frame."""
PARTITION_BYTES = 8 * 2**20
"""Text aimed at in one range of the sort key."""


def key_ranges(keys: Sequence[str], partition_bytes: int) -> list[str]:
    """Keys that cut the corpus into ranges of about equal bytes, without its ends.

    >>> key_ranges([f"org.example.{i:03d}" for i in range(10)], partition_bytes=4 * SAMPLE_BYTES)
    ['org.example.003', 'org.example.007']
    """
    step = partition_bytes // SAMPLE_BYTES
    return sorted(set(sorted(keys)[step - 1 :: step]))


def sort_rows(
    executor: Executor, run: StoredRun, epoch: int, budget: Budget, reads: Sequence[PieceRead]
) -> Generator[Figures, None, list[Table]]:
    """Sort the distinct lines of all pieces into tables of distinct rows, and commit them together.

    Yields
    ------
    dict
        Whenever a table is done; the first says how many bytes the temporary files may have taken.

    Returns
    -------
    list of Table
        The order of their URLs is that of their rows.

    Raises
    ------
    BudgetError, ClusterError
        They would not fit in memory, or on the disk of temporary files.
    """
    found: list[SortedTable] = []
    ranges = key_ranges([key for read in reads for key in read.keys], PARTITION_BYTES)
    moved = [table for read in reads for table in read.tables] if ranges else []
    temporary_bytes = moved_bytes(Extent(table.n_rows, table.n_bytes) for table in moved)
    run.manifest.memory["sort"] = sort_bytes(budget, temporary_bytes)
    check_limit({"sort": run.manifest.memory["sort"]}, budget)
    executor.reserve(temporary_bytes)
    for table in _sorted(executor, run.url, reads, ranges):
        found.append(table)
        yield {} if len(found) > 1 else {"temporary_bytes": temporary_bytes}
    figures = {"tables": sorted((each.table for each in found), key=lambda table: table.key)}
    check_epoch(run.objects, epoch)
    stamps = {each.key: each.stamp for each in found}
    run.commits.add(SORTED, Commit(run.manifest.fingerprint, epoch, stamps, figures))
    return sorted_tables(figures)


def sorted_tables(figures: Figures) -> list[Table]:
    """The tables in the figures of the sort's commit."""
    return [Table(*table) for table in figures["tables"]]


def _sorted(
    executor: Executor, url: str, reads: Sequence[PieceRead], ranges: Sequence[str]
) -> Generator[SortedTable, None, None]:
    """The sorted tables, as they come."""
    numbered = [
        (table, int(offset))
        for read, offset in zip(reads, line_offsets(reads), strict=True)
        for table in read.tables
    ]
    load, write = partial(_load, url), partial(_sort, url)
    if not ranges:
        # What fits in one range needs no shuffle, nor what is imported for it.
        yield write(pa.concat_tables(map(load, numbered)), 0)
        return
    from novelty_dask.execution.shuffle import shuffle  # noqa: PLC0415 - Dask's dataframes take long to import

    for frame in executor.compute(shuffle(load, numbered, LINES, ranges, write, TABLE_TYPES)):
        yield from (SortedTable(*row) for row in frame.itertuples(index=False))


def _sort(url: str, lines: pa.Table, number: int) -> SortedTable:
    """Write the rows of one range, distinct and in order."""
    draft = Draft(SORTED, reach(url).objects)
    table = write_table(draft, f"{WORK_FOLDER}rows/{number:06d}.parquet", distinct(lines))
    return SortedTable(*table, *draft.stamps[table.key])


def _load(url: str, numbered: tuple[Table, int]) -> pa.Table:
    """A table of lines, with positions counted from the first line of the corpus."""
    table, offset = numbered
    lines = read_table(reach(url).commits, "ingest", table)
    column = lines.schema.get_field_index("position")
    return lines.set_column(column, "position", pc.add(lines["position"], offset))
