"""Tables of rows in files on disk, one for each bucket, by which more rows are sorted than fit in memory."""

from __future__ import annotations

import tempfile
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    Each = Callable[[Sequence[Path]], Iterable[Path]]

PART_ROWS = 16_384
"""Rows, or lines, that are converted to a table at once."""
BUCKET_BYTES = 16 * 2**20
FAN_OUT = 64
"""Buckets of one level of the sort by numbers."""


def distribute(table: pa.Table, row_buckets: NDArray[np.int64], folder: Path) -> None:
    """Append each row to the file of its bucket, keeping their order."""
    # Stable, here and in `sort_by_key`: rows that tie keep the order of storage, as is promised.
    order = np.argsort(row_buckets, kind="stable")
    table = table.take(order)
    buckets, starts = np.unique(row_buckets[order], return_index=True)
    for bucket, start, stop in zip(buckets, starts, [*starts[1:], len(order)], strict=True):
        part = table.slice(start, stop - start)
        # Each part is a stream of its own, so that no file stays open, however many buckets there are.
        with (
            (folder / f"{bucket:08}").open("ab") as file,
            pa.ipc.new_stream(file, part.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as stream,
        ):
            stream.write_table(part)


def read_tables(path: Path) -> Iterator[pa.Table]:
    """Yield the tables that were appended to a file."""
    with pa.OSFile(str(path)) as file:
        while file.tell() < file.size():
            yield pa.ipc.open_stream(file).read_all()


def with_key(table: pa.Table, keys: NDArray[Any]) -> pa.Table:
    """Return a table with the keys by which it is to be sorted, as its last column."""
    return table.append_column("key", pa.array(keys))


def keys_of(table: pa.Table) -> NDArray[Any]:
    """Return the keys of a table."""
    # By its place, as any other column may have the same name.
    keys: NDArray[Any] = table.column(table.num_columns - 1).to_numpy()
    return keys


def sort_by_key(tables: Iterable[pa.Table]) -> pa.Table:
    """Return tables joined and sorted by their keys, which are dropped; ties keep their order."""
    table = pa.concat_tables(tables)
    ordered = table.take(np.argsort(keys_of(table), kind="stable"))
    return ordered.remove_column(table.num_columns - 1)


def sort_by_number(
    tables: Iterable[pa.Table], numbers: range, folder: Path | None, each: Each = iter
) -> Iterator[pa.Table]:
    """Yield rows in the order of their keys, which are numbers, as consecutive tables.

    Parameters
    ----------
    tables : iterable of pyarrow.Table
        Tables with keys, as of `with_key`.
    numbers : range
        Numbers that occur, each once or never.
    folder : Path, optional
        Folder for the buckets; the system's temporary folder by default.
    each : callable
        Returns what it takes, one by one, and may report that: the buckets, if there are several.

    Yields
    ------
    pyarrow.Table
        The next rows, of about `BUCKET_BYTES` bytes at most, without the keys.
    """
    tables = iter(tables)
    taken, n_bytes = [], 0
    for table in tables:
        taken.append(table)
        n_bytes += table.nbytes
        # A single number can't be divided any further, however large its row.
        if n_bytes > BUCKET_BYTES and len(numbers) > 1:
            break
    else:
        yield from [sort_by_key(taken)] if taken else []
        return
    # No estimate of bytes is needed: a bucket that is too large for memory is divided again.
    step = -(-len(numbers) // FAN_OUT)
    with tempfile.TemporaryDirectory(prefix="novelty-", dir=folder) as temporary:
        for table in chain(taken, tables):
            distribute(table, (keys_of(table) - numbers.start) // step, Path(temporary))
        del taken, table
        for bucket in each(sorted(Path(temporary).iterdir())):
            within = numbers[int(bucket.name) * step :][:step]
            yield from sort_by_number(read_tables(bucket), within, folder)
            bucket.unlink()
