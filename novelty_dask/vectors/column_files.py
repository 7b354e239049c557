"""Parquet and Arrow files, whose columns are read some rows at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from novelty_dask.errors import reading_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

ARROW_FILES = (".arrow", ".feather")
COLUMN_FILES = (".parquet", ".pq", *ARROW_FILES)
"""Ends of the names of files that have columns."""
BATCH_ROWS = 4_096
"""Rows that are decoded at once."""


class ColumnFile:
    """Parquet or Arrow file.

    Parameters
    ----------
    name : str
        Its path; Arrow files end with ``.arrow`` or ``.feather``.

    Attributes
    ----------
    schema : pyarrow.Schema
    n_rows : int
    most_rows : int
        Rows of the largest part that is decoded as a whole.

    Raises
    ------
    InputError
        The file can't be read.
    """

    def __init__(self, name: str) -> None:
        self._is_arrow = name.endswith(ARROW_FILES)
        with reading_errors(f"Can't read {name!r}"):
            self._file: Any = (
                pa.ipc.open_file(pa.memory_map(name)) if self._is_arrow else pq.ParquetFile(name)
            )
            self.schema: Any = self._file.schema if self._is_arrow else self._file.schema_arrow
            self._parts = range(
                self._file.num_record_batches if self._is_arrow else self._file.num_row_groups
            )
            sizes = self._part_sizes()
        self._starts = np.cumsum([0, *sizes])
        self.n_rows, self.most_rows = sum(sizes), max(sizes, default=0)

    def read(self, column: str, start: int, stop: int) -> Iterator[tuple[int, Any]]:
        """Yield the values of consecutive rows, some at a time, with the number of the first of them."""
        for part, first in enumerate(self._starts[:-1].tolist()):
            if first >= stop or self._starts[part + 1] <= start:
                continue
            at = first
            for values in self._values(part, column):
                if at + len(values) > start:
                    yield max(start, at), values.slice(max(start - at, 0), stop - max(start, at))
                at += len(values)
                if at >= stop:
                    break

    def held_bytes(self, column: str) -> int:
        """Return the most bytes that are held to read any values of a column: twice a part, as it is read."""
        if self._is_arrow:
            return 2 * max((self._file.get_batch(part).nbytes for part in self._parts), default=0)
        groups = map(self._file.metadata.row_group, self._parts)
        chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
        return 2 * max(
            (each.total_uncompressed_size for each in chunks if each.path_in_schema == column), default=0
        )

    def _part_sizes(self) -> list[int]:
        """Return the rows of each part that can be read alone."""
        if self._is_arrow:
            return [self._file.get_batch(part).num_rows for part in self._parts]
        return [self._file.metadata.row_group(part).num_rows for part in self._parts]

    def _values(self, part: int, column: str) -> Iterator[Any]:
        """Yield the values of a part in batches."""
        if self._is_arrow:
            values = self._file.get_batch(part).column(column)
            yield from (values.slice(at, BATCH_ROWS) for at in range(0, len(values), BATCH_ROWS))
        else:
            for batch in self._file.iter_batches(BATCH_ROWS, row_groups=[part], columns=[column]):
                yield batch.column(column)
