"""Columns of lists in Parquet and Arrow files: a vector in each row, read some rows at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from novelty_dask.errors import InputError, SettingsError, reading_errors
from novelty_dask.vectors.column_files import ColumnFile

if TYPE_CHECKING:
    from numpy.typing import NDArray


class ListColumn:
    """Column of lists of numbers of equal length in a Parquet or an Arrow file.

    Parameters
    ----------
    name : str
        Path of the file; Arrow files end with ``.arrow`` or ``.feather``.
    column : str, optional
        Its name; needed where the file has several columns of lists.

    Attributes
    ----------
    shape : (int, int)
    held_bytes : int
        Bytes of the largest part that is decoded as a whole.

    Raises
    ------
    InputError
        The file can't be read, or has no such column.
    SettingsError
        It has several, and none is named.
    """

    def __init__(self, name: str, column: str | None = None) -> None:
        self.name = name
        self._file = ColumnFile(name)
        self.column = _choose(self._file.schema, column, name)
        self.shape = self._file.n_rows, self._count_columns(self._file.schema.field(self.column).type)
        self.held_bytes = 16 * self._file.most_rows * self.shape[1]

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return some rows.

        Raises
        ------
        InputError
            A row is missing, or its list has another length than that of the first.
        """
        with reading_errors(f"Can't read the column {self.column!r} of {self.name!r}"):
            lists = self._file.read(self.column, start, stop)
            found = [self._matrix(part, first) for first, part in lists]
        return np.concatenate(found) if found else np.empty((0, self.shape[1]))

    def _count_columns(self, kind: Any) -> int:
        """Return how long the lists are, by their type, or as the first of them is."""
        if pa.types.is_fixed_size_list(kind):
            return int(kind.list_size)
        for _, lists in self._file.read(self.column, 0, 1):
            return int(pc.list_value_length(lists)[0].as_py() or 0)
        return 0

    def _matrix(self, lists: Any, start: int) -> NDArray[Any]:
        """Return lists as rows."""
        lengths = pc.fill_null(pc.list_value_length(lists), -1).to_numpy(zero_copy_only=False)
        # Lists of a fixed size have one where they are null, too.
        lengths = np.where(lists.is_valid().to_numpy(zero_copy_only=False), lengths, -1)
        other = np.flatnonzero(lengths != self.shape[1])
        if other.size:
            length = lengths[other[0]]
            what = "no list" if length < 0 else f"{length:,} values"
            message = (
                f"Row {start + other[0]:,} of the column {self.column!r} has {what}, and the first row "
                f"{self.shape[1]:,}; make all as long."
            )
            raise InputError(message)
        values = lists.flatten().to_numpy(zero_copy_only=False)
        return np.asarray(values.reshape(len(lists), self.shape[1]))


def _choose(schema: Any, column: str | None, name: str) -> str:
    """Return the name of the column of lists."""
    columns = [field.name for field in schema if _is_list(field.type)]
    if column is not None:
        if column not in columns:
            message = f"{name!r} has no column {column!r} of lists of numbers; it has {_named(columns)}."
            raise InputError(message)
        return column
    if len(columns) > 1:
        message = f"{name!r} has several columns of lists: {_named(columns)}; name one with column."
        raise SettingsError(message)
    if not columns:
        message = f"{name!r} has no column of lists of numbers; store each vector as a list."
        raise InputError(message)
    return str(columns[0])


def _is_list(kind: Any) -> bool:
    """Return whether a type is that of lists of numbers."""
    types = pa.types
    if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        return False
    return bool(types.is_integer(kind.value_type) or types.is_floating(kind.value_type))


def _named(columns: list[str]) -> str:
    """Return the names of columns, or none."""
    return ", ".join(map(repr, columns)) or "none"
