"""The two stages that Dask collections do: a bag of pieces is read, a shuffle sorts what they leave."""

from collections.abc import Generator, Sequence
from functools import partial

import pyarrow as pa

from novelty_dask.execution.bags import make_bag
from novelty_dask.execution.executors import Executor
from novelty_dask.objects.commits import Metrics
from novelty_dask.planning.budget import Extent
from novelty_dask.planning.memory import moved_bytes
from novelty_dask.planning.stages import SORT
from novelty_dask.sources.find import Source
from novelty_dask.sources.pieces import Piece
from novelty_dask.stages.ingest import LINES, PieceRead, ingest
from novelty_dask.stages.sort import (
    PARTITION_BYTES,
    TABLE_TYPES,
    key_ranges,
    line_tables,
    load_lines,
    sort_metrics,
    write_range,
)
from novelty_dask.storage.runs import StoredRun
from novelty_dask.storage.tables import SortedTable


def read_sources(
    executor: Executor,
    run: StoredRun,
    epoch: int,
    parts: Sequence[tuple[int, Piece, Source]],
) -> Generator[Metrics, None, None]:
    """Read pieces into tables of distinct lines; yield the metrics of each as it comes."""
    bag = make_bag(parts, ingest, run.url, epoch, run.manifest.settings.normal_form)
    yield from executor.compute(bag)


class Sorting:
    """Sorts the distinct lines of all pieces into tables of distinct rows, and commits them together.

    Parameters
    ----------
    reads : sequence of PieceRead
        The results of all pieces.

    Attributes
    ----------
    moved_bytes : int
        Bytes of rows on the way from process to process, 0 where no shuffle is needed.
    """

    def __init__(self, reads: Sequence[PieceRead]) -> None:
        self.tables = line_tables(reads)
        self.ranges = key_ranges([key for read in reads for key in read.keys], PARTITION_BYTES)
        moved = [each.table for each in self.tables] if self.ranges else []
        self.moved_bytes = moved_bytes(Extent(table.n_rows, table.n_bytes) for table in moved)

    def run(self, executor: Executor, run: StoredRun, epoch: int) -> Generator[Metrics, None, None]:
        """Sort; yield whenever a table is done, first the bytes that temporary files may have taken.

        Raises
        ------
        ClusterError
            The rows would not fit on the disk of temporary files.
        """
        executor.reserve(self.moved_bytes)
        tables: list[SortedTable] = []
        for table in self._sort(executor, run.url):
            tables.append(table)
            yield {} if len(tables) > 1 else {"temporary_bytes": self.moved_bytes}
        stamps = {table.key: table.stamp for table in tables}
        run.commit(stamps, SORT.task(), epoch, sort_metrics(tables))

    def _sort(self, executor: Executor, url: str) -> Generator[SortedTable, None, None]:
        """Yield the sorted tables as they come."""
        load, write = partial(load_lines, url), partial(write_range, url)
        if not self.ranges:
            # Rows that fit in one range need no shuffle, nor what is imported for it.
            yield write(pa.concat_tables(map(load, self.tables)), 0)
            return
        from novelty_dask.execution.shuffle import shuffle  # noqa: PLC0415 - Dask's dataframes import slowly

        frames = executor.compute(shuffle(load, self.tables, LINES, self.ranges, write, TABLE_TYPES))
        for frame in frames:
            yield from (SortedTable(*row) for row in frame.itertuples(index=False))
