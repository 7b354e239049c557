"""Quantities from which memory and disk are projected: the extent of a corpus, and the budget of a worker."""

from dataclasses import dataclass
from typing import NamedTuple


class Extent(NamedTuple):
    """Consecutive rows, the bytes of their text, and the most that a task holds to decompress it."""

    n_rows: int
    n_bytes: int
    decompressor_bytes: int = 0


@dataclass(frozen=True)
class Budget:
    """Settings that the memory of a task depends on besides its block, and the limit of a worker.

    Parameters
    ----------
    n_neighbors : int
        Neighbors kept of a row.
    n_features : int
        Columns of the hashed matrix.
    ngram_sizes : int
        Number of lengths of n-grams that are counted: about as many non-zeros for each byte of text.
    threads : int
        Tasks that a worker runs at once.
    limit : int
        Bytes that a worker may use.
    workers : int
        Worker processes: the more there are, the more tiles are planned.
    buffer : int
        Bytes of moved rows that a process may keep besides its tasks; above 0 only where one process works
        alone.
    shortest_ngram : int
        Length of the shortest n-grams, on which the number of columns that occur depends.
    shared : int
        Bytes that the workers share; 0 where the limit of each was given.
    """

    n_neighbors: int
    n_features: int
    ngram_sizes: int
    threads: int
    limit: int
    workers: int = 1
    buffer: int = 0
    shortest_ngram: int = 3
    shared: int = 0


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
    """

    rows: int = 0
    text_bytes: int = 0
    span_blocks: int = 1
    decompressor_bytes: int = 0
    moved_bytes: int = 0
    span_bytes: int = 0


def megabytes(size: int) -> str:
    """Return bytes in megabytes, rounded up.

    >>> megabytes(1_234_500_000)
    '1,235 MB'
    """
    return f"{-(-size // 10**6):,} MB"
