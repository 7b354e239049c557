"""Labels of rows, text or integers: a column of a file, or an array, read some rows at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from novelty_dask.errors import InputError, SettingsError, reading_errors
from novelty_dask.kernels.text.lines import MAX_BYTES
from novelty_dask.vectors.column_files import BATCH_ROWS, COLUMN_FILES, ColumnFile
from novelty_dask.vectors.files import load_archive, map_array

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

LabelType = Literal["", "str", "int64"]
REMEDY = "pass a Parquet or Arrow file, or an .npy or .npz file of one array"


class Labels:
    """Labels of rows in a file.

    Parameters
    ----------
    name : str
        Path of a Parquet or Arrow file, or of an ``.npy`` or ``.npz`` file.
    column : str, optional
        Column of the file, or array of the archive; needed where several may have labels.

    Attributes
    ----------
    n_rows : int
    dtype : {"str", "int64"}
    held_bytes : int
        Most bytes that are held to read any of them, besides them.

    Raises
    ------
    InputError
        The file can't be read, or has no such labels.
    SettingsError
        It has several columns or arrays, and none is named, or none to choose from.
    """

    def __init__(self, name: str, column: str | None = None) -> None:
        self.name = name
        self.dtype: LabelType
        self._problem = f"Can't read labels from {name!r}"
        self._file = ColumnFile(name) if name.endswith(COLUMN_FILES) else None
        if self._file:
            self._column, self.dtype = _choose(self._file.schema, column, name)
            self.n_rows = self._file.n_rows
            self.held_bytes = self._file.held_bytes(self._column)
            return
        self._array = _open_array(name, column)
        self.n_rows, self.dtype = len(self._array), "str" if self._array.dtype.kind == "U" else "int64"
        self.held_bytes = 0 if isinstance(self._array, np.memmap) else 2 * self._array.nbytes

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Return the labels of some rows.

        Raises
        ------
        InputError
            One is missing, or no label.
        """
        parts = [self._convert(values, first) for first, values in self._parts(start, stop)]
        empty: Any = np.empty(0, np.dtypes.StringDType() if self.dtype == "str" else np.int64)
        return np.concatenate([empty, *parts])

    def measure(self) -> int:
        """Return the most bytes of a label that is text, once all labels are checked; 0 for numbers.

        Raises
        ------
        InputError
            One is missing, or too long, or no label.
        """
        most = 0
        for first, values in self._parts(0, self.n_rows):
            labels = self._convert(values, first)
            if self.dtype == "str":
                most = max(most, self._measure(labels, first))
        # An array of texts has room for a byte, where all are empty.
        return max(most, self.dtype == "str")

    def _parts(self, start: int, stop: int) -> Iterator[tuple[int, Any]]:
        """Yield labels as they are stored, some at a time, with the number of the first of them."""
        with reading_errors(self._problem):
            if self._file:
                yield from self._file.read(self._column, start, stop)
            else:
                for first in range(start, stop, BATCH_ROWS):
                    yield first, self._array[first : min(first + BATCH_ROWS, stop)]

    def _convert(self, values: Any, first: int) -> NDArray[Any]:
        """Return labels as an array of text or of integers."""
        with reading_errors(f"{self._problem}, from row {first:,} on"):
            if isinstance(values, pa.Array):
                if values.null_count:
                    row = first + int(np.argmin(values.is_valid().to_numpy(zero_copy_only=False)))
                    message = f"Row {row:,} of {self.name!r} has no label; give it one."
                    raise InputError(message)
                # By its name, which text of any kind and categories have in common.
                values = values.cast(pa.string() if self.dtype == "str" else pa.int64())
                if self.dtype == "int64":
                    return np.asarray(values.to_numpy())
                return np.array(values.to_pylist(), np.dtypes.StringDType())
            if self.dtype == "str":
                return values.astype(np.dtypes.StringDType())  # type: ignore[no-any-return]
            if values.max(initial=0) > np.iinfo(np.int64).max:
                message = f"labels are integers of 64 bits, and one is {values.max():,}"
                raise ValueError(message)
            return values.astype(np.int64)  # type: ignore[no-any-return]

    def _measure(self, labels: NDArray[Any], first: int) -> int:
        """Return the most bytes of some texts."""
        with reading_errors(f"{self._problem}, from row {first:,} on"):
            sizes = [len(label.encode()) for label in labels.tolist()]
        most = max(sizes, default=0)
        if most > MAX_BYTES:
            message = (
                f"The label of row {first + sizes.index(most):,} in {self.name!r} has {most:,} bytes; pass "
                f"labels of at most {MAX_BYTES:,}."
            )
            raise InputError(message)
        return most


def _open_array(name: str, column: str | None) -> NDArray[Any]:
    """Return an array of labels of a file of NumPy.

    Raises
    ------
    InputError, SettingsError
        There is none.
    """
    if name.endswith(".npz"):
        array = load_archive(name, column)
    elif not name.endswith(".npy"):
        message = f"{name!r} is no file with labels; {REMEDY}, as labels."
        raise InputError(message)
    elif column is not None:
        message = f"label_column is {column!r}, and {name!r} has no columns; {REMEDY}, as labels."
        raise SettingsError(message)
    else:
        array = map_array(name)
    if getattr(array, "ndim", 0) != 1 or array.dtype.kind not in "iuU":
        message = (
            f"{name!r} has labels of type {array.dtype} and shape {array.shape}; pass a row of text (str) or "
            "integers."
        )
        raise InputError(message)
    return array  # type: ignore[no-any-return]


def _choose(schema: Any, column: str | None, name: str) -> tuple[str, LabelType]:
    """Return the name and the type of the column of labels."""
    types = {field.name: _label_type(field.type) for field in schema}
    known = [each for each, kind in types.items() if kind]
    named = ", ".join(map(repr, known)) or "none"
    if column is not None and column not in known:
        message = f"{name!r} has no column {column!r} of text or integers; it has {named}."
        raise InputError(message)
    if column is None and len(known) != 1:
        message = f"{name!r} has these columns of text or integers: {named}; name one with label_column."
        raise SettingsError(message)
    chosen = column or known[0]
    return chosen, types[chosen]


def _label_type(kind: Any) -> LabelType:
    """Return the type of labels that a column of some type has; empty if it can have none."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_integer(kind):
        return "int64"
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return "str" if is_text else ""
