"""Quantities from which memory and disk are projected: the extent of a corpus, and the budget of a worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from novelty_dask.planning.matrix import Matrix


class Extent(NamedTuple):
    """Consecutive rows, the bytes of their text, and the most that a task holds to decompress it."""

    n_rows: int
    n_bytes: int
    decompressor_bytes: int = 0


class Known(NamedTuple):
    """Quantities of a reference, or of another run that is read, that the memory of tasks depends on.

    Parameters
    ----------
    n_rows, block_rows : int
        Its rows, and those of its blocks.
    nonzeros : int
        Non-zeros of the block that has most.
    reading_bytes : int
        Most bytes that are held to read the URLs of a block.
    n_left : int
        Rows that were seen lately enough to be candidates; 0 if all are.
    """

    n_rows: int
    block_rows: int
    nonzeros: int
    reading_bytes: int
    n_left: int = 0


def known_of(run: Any) -> Known | None:
    """Return these quantities of what has them all, such as a reference, if there is one."""
    return Known(**{name: getattr(run, name) for name in Known._fields}) if run else None


@dataclass(frozen=True)
class Budget:
    """Settings that the memory of a task depends on besides its block, and the limit of a worker.

    Parameters
    ----------
    n_neighbors : int
        Neighbors kept of a row.
    n_features : int
        Columns of the hashed matrix.
    entries_a_byte : float
        Most entries of a row for each byte of its text.
    threads : int
        Tasks that a worker runs at once.
    limit : int
        Bytes that a worker may use.
    workers : int
        Worker processes: the more there are, the more tiles are planned.
    buffer : int
        Bytes of moved rows that a process may keep besides its tasks; above 0 only where one process works
        alone.
    entries_a_row : int
        Most entries of a row besides those.
    possible_columns : int or None
        Columns that occur in large corpora, by and large; all if None.
    shared : int
        Bytes that the workers share; 0 where the limit of each was given.
    known : Known or None
        Reference that rows are compared with instead of with each other.
    base, added : Known or None
        Run that grows, and its new rows.
    is_grouped : bool
        True if rows have neighbors outside their groups alone.
    is_in_time : bool
        True if rows are compared with those that were seen before them.
    period_rows : int or None
        Rows of a period then; chosen if None.
    matrix : Matrix or None
        The matrix whose rows are compared; None for lines.
    """

    n_neighbors: int
    n_features: int
    entries_a_byte: float
    threads: int
    limit: int
    workers: int = 1
    buffer: int = 0
    entries_a_row: int = 0
    possible_columns: int | None = None
    shared: int = 0
    known: Known | None = None
    base: Known | None = None
    added: Known | None = None
    is_grouped: bool = False
    is_in_time: bool = False
    period_rows: int | None = None
    matrix: Matrix | None = None

    def entries(self, n_rows: int, n_bytes: int, n_columns: int) -> int:
        """Return the most entries of rows of some bytes of text in a number of columns."""
        return min(round(n_bytes * self.entries_a_byte) + n_rows * self.entries_a_row, n_rows * n_columns)


def budget_of(settings: Any, features: Any, *, threads: int, limit: int, **others: Any) -> Budget:
    """Return the budget of a worker for a run with some settings and features; others are its parameters."""
    return Budget(
        n_neighbors=settings.n_neighbors,
        n_features=features.n_features,
        entries_a_byte=features.entries_a_byte,
        threads=threads,
        limit=limit,
        entries_a_row=features.entries_a_row,
        possible_columns=features.possible_columns,
        is_grouped=settings.outside_groups is not None,
        is_in_time=settings.time_column is not None,
        period_rows=settings.period_rows,
        **others,
    )


class Load(NamedTuple):
    """Quantities that a task of any stage may have to hold.

    Parameters
    ----------
    rows : int
        Rows of a block.
    text_bytes : int
        Bytes of their text.
    span_blocks : int
        Blocks that a comparison holds while another passes by.
    decompressor_bytes : int
        Bytes held to decompress a source.
    moved_bytes : int
        Bytes of all rows on their way from the tables that were read to those that are sorted.
    span_bytes : int
        Bytes of text in these blocks together; of one block if 0.
    all_rows : int
        Rows of all blocks.
    """

    rows: int = 0
    text_bytes: int = 0
    span_blocks: int = 1
    decompressor_bytes: int = 0
    moved_bytes: int = 0
    span_bytes: int = 0
    all_rows: int = 0


def megabytes(size: int) -> str:
    """Return bytes in megabytes, rounded up.

    >>> megabytes(1_234_500_000)
    '1,235 MB'
    """
    return f"{-(-size // 10**6):,} MB"
