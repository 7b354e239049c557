"""The two stages that are Dask collections: a bag reads the pieces, and a shuffle sorts their lines."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from novelty_dask.counts import refusal_line, refused
from novelty_dask.errors import InputError, shell_quoted
from novelty_dask.execution.bags import make_bag
from novelty_dask.planning.memory import moved_bytes
from novelty_dask.planning.stages import SORT, VECTORIZE
from novelty_dask.stages import sort
from novelty_dask.stages.ingest import (
    PieceRead,
    count_source_lines,
    ingest,
    line_schema,
    read_results,
)
from novelty_dask.stages.rejected import count_rejected, explain_dates, explain_empty, explain_refusal
from novelty_dask.storage.tables import SortedTable
from novelty_dask.storage.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from novelty_dask.execution.executors import Executor
    from novelty_dask.objects.commits import Metrics
    from novelty_dask.pipeline.session import Session
    from novelty_dask.storage.runs import StoredRun


def read_sources(session: Session, needed: set[str]) -> Generator[Metrics, None, None]:
    """Read pieces into tables of distinct lines; yield the metrics of each as it comes.

    Raises
    ------
    InputError
        A source has changed.
    """
    run = session.run
    # Also if nothing is left to read: the record of the stage has this projection.
    session.limits.start_reading(session.inputs)
    if needed:
        session.inputs.check_copy()
        session.inputs.check_unchanged()
        parts = [part for part in session.inputs.parts() if str(part[0]) in needed]
        yield from session.executor.compute(make_bag(parts, ingest, run.url, session.epoch))
        # A file that was replaced meanwhile may have given the old lines of one piece and the new ones of the
        # next.
        session.inputs.check_unchanged()


def sort_rows(session: Session, needed: set[str]) -> Generator[Metrics, None, None]:
    """Sort the lines that were read, unless that is done; yield the metrics of each table as it comes.

    Raises
    ------
    InputError
        There is no URL in the sources, or a line of them was rejected and none should be.
    BudgetError, ClusterError
        The rows would not fit in memory, or on the disk of temporary files.
    """
    if not needed:
        # One each, as the stage is recorded with as many tasks as tables.
        yield from ({} for _ in sort.read_sorted_tables(session.run.commits))
        return
    reads = read_results(session.run.commits)
    # First of all: a line without a time could be the first of its row.
    if refusal := explain_dates(session.run, reads, _source_names(session)):
        raise InputError(refusal)
    if not any(read.tables for read in reads):
        raise InputError(explain_empty(count_rejected(reads)))
    check_strict(session, reads)
    sorting = Sorting(reads)
    session.limits.check_sort(sorting.moved_bytes)
    yield from sorting.run(session.executor, session.run, session.epoch)


def check_strict(session: Session, reads: Sequence[PieceRead]) -> None:
    """Refuse sources if a line of them was rejected, if that is wanted.

    Raises
    ------
    InputError
        It is, and says where the first is.
    """
    names = _source_names(session)
    if session.is_strict and (refusal := explain_refusal(session.run.commits, reads, names)):
        raise InputError(refusal)


def _source_names(session: Session) -> list[str]:
    """Return the names of the sources, in quotes."""
    return [source.shown for source in session.inputs.sources]


def check_none_rejected(run: StoredRun) -> None:
    """Refuse a complete run of sources if a line of them was rejected.

    Raises
    ------
    InputError
        It says how many were.
    """
    totals = run.manifest.totals
    if totals and refused(totals.rejected):
        command = f"novelty rejected {shell_quoted(run.url)}"
        message = f"{refusal_line(totals)}; mend those that `{command}` lists, or leave out strict."
        raise InputError(message)


def make_plan(session: Session) -> None:
    """Count the rows and plan blocks that fit the budget; the plan of a run never changes again.

    Raises
    ------
    BudgetError
        Not even the smallest blocks fit.
    """
    reads, tables = read_results(session.run.commits), sort.read_sorted_tables(session.run.commits)
    lines, rows = sum(read.n_lines for read in reads), sum(table.n_rows for table in tables)
    rejected = count_rejected(reads)
    skipped = sum(read.n_skipped for read in reads)
    # Every line is a row, a duplicate of one, rejected, or none such as a header.
    duplicates = lines - rows - sum(rejected.values()) - skipped
    session.manifest.totals = Totals(
        lines=lines,
        rows=rows,
        duplicates=duplicates,
        rejected=rejected,
        skipped=skipped,
        source_lines=count_source_lines(reads, len(session.inputs.sources)),
        wrapped=sum(read.n_wrapped for read in reads),
    )
    session.limits.plan([table.extent for table in tables], session.inputs)


def measure_blocks(session: Session) -> None:
    """Record how many non-zeros the widest block has, as wide as which the weighted matrix is made."""
    tasks = VECTORIZE.tasks(session.shape)
    # Tasks are pure functions: blocks that are counted again have the same non-zeros.
    session.manifest.widest_block = max(session.run.commits.get(task).metrics["nonzeros"] for task in tasks)


class Sorting:
    """The sort of the distinct lines of all pieces into tables of distinct rows.

    Parameters
    ----------
    reads : sequence of PieceRead
        The results of all pieces.

    Attributes
    ----------
    moved_bytes : int
        Bytes of rows that the shuffle moves between processes; 0 where none is needed.
    """

    def __init__(self, reads: Sequence[PieceRead]) -> None:
        self.tables = sort.line_tables(reads)
        self.ranges = sort.key_ranges([key for read in reads for key in read.keys], sort.PARTITION_BYTES)
        moved = [each.table.extent for each in self.tables] if self.ranges else []
        self.moved_bytes = moved_bytes(moved)

    def run(self, executor: Executor, run: StoredRun, epoch: int) -> Generator[Metrics, None, None]:
        """Sort, and commit all tables together; yield the metrics of each table as it comes."""
        executor.reserve(self.moved_bytes)
        tables: list[SortedTable] = []
        for table in self._sort(executor, run):
            tables.append(table)
            # Metrics are added up: only the first table reports the temporary files of all.
            yield {} if len(tables) > 1 else {"temporary_bytes": self.moved_bytes}
        tables = sort.join_ranges(run, tables, self.ranges)
        # One commit for all tables: a shuffle moves all lines again, whichever of its tables are missing.
        digests = {table.key: table.digest for table in tables}
        run.commit(digests, SORT.task(), epoch, sort.sort_metrics(tables))

    def _sort(self, executor: Executor, run: StoredRun) -> Generator[SortedTable, None, None]:
        """Yield the sorted tables as they come."""
        load, write = partial(sort.load_lines, run.url), partial(sort.write_range, run.url)
        if not self.ranges:
            # Rows that fit in one range need no shuffle, nor what is imported for it.
            yield write(pa.concat_tables(map(load, self.tables)), 0)
            return
        from novelty_dask.execution.shuffle import shuffle  # noqa: PLC0415 - Dask's dataframes import slowly

        schema = line_schema(run.manifest.settings)
        tables = shuffle(load, self.tables, schema, self.ranges, write, sort.TABLE_TYPES)
        for frame in executor.compute(tables):
            yield from (SortedTable(*row) for row in frame.itertuples(index=False))
