"""Tables in columns: Parquet and Arrow files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import count, repeat
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from novelty_dask.errors import InputError
from novelty_dask.progress import advance
from novelty_dask.readers.columns import describe_absence, name_column
from novelty_dask.readers.records import BATCH_RECORDS, Gathered
from novelty_dask.sources.estimate import Estimate
from novelty_dask.sources.pieces import opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from novelty_dask.kernels.text.lines import LineBatch
    from novelty_dask.sources.find import Source
    from novelty_dask.sources.pieces import Piece

VIEWS = {pa.types.is_string_view: pa.large_string(), pa.types.is_binary_view: pa.large_binary()}
"""Types of text by whose numbers nothing can be taken, and those that hold the same."""
TEXTS = (
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary),
    *VIEWS,
)
LARGEST_PART = 2**30
"""Most bytes of a column in one part of a file."""


class Part(NamedTuple):
    """Rows of a file that are stored together, and bytes of the column in them."""

    n_rows: int
    n_bytes: int


class Table(ABC):
    """An open file.

    Parameters
    ----------
    file : binary file

    Attributes
    ----------
    columns : list of str
        Names; those of fields within fields are joined by dots.
    """

    columns: list[str]

    @abstractmethod
    def __init__(self, file: BinaryIO) -> None: ...

    @abstractmethod
    def parts(self, column: str, start: int = 0, stop: int | None = None) -> list[Part]:
        """Return some parts of the file, by default all, and the bytes of a column in each."""

    @abstractmethod
    def arrays(self, columns: Sequence[str], start: int, stop: int) -> Iterator[list[pa.Array]]:
        """Yield the values of some columns in some parts."""


class ParquetTable(Table):
    """An open Parquet file; its parts are row groups."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = pq.ParquetFile(file)
        schema = self._file.schema
        self.columns = [schema.column(number).path for number in range(len(schema))]

    def parts(self, column: str, start: int = 0, stop: int | None = None) -> list[Part]:
        """Return some row groups."""
        metadata, place = self._file.metadata, self.columns.index(column)
        groups = map(metadata.row_group, range(metadata.num_row_groups)[start:stop])
        return [Part(group.num_rows, group.column(place).total_uncompressed_size) for group in groups]

    def arrays(self, columns: Sequence[str], start: int, stop: int) -> Iterator[list[pa.Array]]:
        """Yield the values of some columns in some row groups."""
        # One thread: parallelism is the scheduler's.
        groups = list(range(start, stop))
        for batch in self._file.iter_batches(
            BATCH_RECORDS, groups, [*dict.fromkeys(columns)], use_threads=False
        ):
            yield [_values(batch, column) for column in columns]


class ArrowTable(Table):
    """An open Arrow or Feather file; its parts are record batches."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = pa.ipc.open_file(file)
        self.columns = [*_paths(self._file.schema)]

    def parts(self, column: str, start: int = 0, stop: int | None = None) -> list[Part]:
        """Return some record batches."""
        # The format tells no sizes: each batch is opened, which maps or reads it, and forgotten.
        arrays = (
            next(self.arrays([column], number, number + 1))[0]
            for number in range(self._file.num_record_batches)[start:stop]
        )
        return [Part(len(array), array.nbytes) for array in arrays]

    def arrays(self, columns: Sequence[str], start: int, stop: int) -> Iterator[list[pa.Array]]:
        """Yield the values of some columns in some record batches."""
        for number in range(start, stop):
            batch = self._file.get_batch(number)
            yield [_values(batch, column) for column in columns]


TABLES: dict[str, tuple[type[Table], bytes]] = {
    "parquet": (ParquetTable, b"PAR1"),
    "arrow": (ArrowTable, b"ARROW1"),
}
"""What opens the files of a format, and how they begin."""


class ColumnarReader:
    """Reader of one column of files of tables.

    Parameters
    ----------
    form : {"parquet", "arrow"}
        Format.
    column : str or None
        Name of the column; names of fields within fields are joined by dots.
    keep : sequence of str
        Other columns that rows keep, named alike.
    """

    def __init__(self, form: str, column: str | None, keep: Sequence[str] = ()) -> None:
        self._form = form
        self._keep = keep
        self._table, self._mark = TABLES[form]
        self._column = column

    def check(self, name: str, beginning: bytes) -> None:
        """Refuse a file that does not begin like one of the format, and standard input."""
        if not beginning.startswith(self._mark):
            message = f"{name} is not in the format {self._form!r}; name its own as --input-format."
            raise InputError(message)

    def cut(self, source: Source, piece_bytes: int) -> list[int]:
        """Return the numbers of the parts with which pieces of about a size begin."""
        with opened(source) as file:
            table = self._table(file)
            starts, size = [0], 0
            for number, part in enumerate(table.parts(self._find(source, table))):
                if size >= piece_bytes:
                    starts.append(number)
                    size = 0
                size += part.n_bytes
            return starts

    def read(self, source: Source, piece: Piece) -> Iterator[LineBatch]:
        """Yield the values of the column in a piece."""
        with opened(source) as file:
            table = self._table(file)
            column = self._find(source, table)
            # Of this piece alone: to look at a batch of Arrow may be to read it.
            parts = table.parts(column, piece.start, piece.stop)
            n_rows, gathered = sum(part.n_rows for part in parts), Gathered()
            _check_size(source, parts)
            # As bytes: a file that was written carelessly may hold text that is no UTF-8.
            for array, *others in table.arrays([column, *self._keep], piece.start, piece.start + len(parts)):
                _check_text(source, column, array.type)
                kept = _records(source, self._keep, others) if others else repeat(None)
                values = array.cast(pa.large_binary()).to_pylist()
                for number, value, record in zip(count(gathered.end), values, kept, strict=False):
                    gathered.add(number, value, record)
                yield gathered.pop(gathered.end + len(array))
                advance(gathered.end, n_rows)

    def estimate(self, source: Source, _head_bytes: int) -> Estimate:
        """Return how many rows a file has, and the bytes of the column."""
        with opened(source) as file:
            table = self._table(file)
            parts = table.parts(self._find(source, table))
        return Estimate(sum(part.n_rows for part in parts), sum(part.n_bytes for part in parts))

    def _find(self, source: Source, table: Table) -> str:
        """Return the column; InputError if it is not named, or not there."""
        if self._column is None:
            raise InputError(name_column(source.shown, table.columns))
        for column in (self._column, *self._keep):
            if column not in table.columns:
                raise InputError(describe_absence(source.shown, column, table.columns))
        return self._column


def _paths(fields: Any, prefix: str = "") -> Iterator[str]:
    """Yield the names of the fields that hold no fields."""
    for field in fields:
        if pa.types.is_struct(field.type):
            # By their numbers: older versions of Arrow have no list of them.
            inner = [field.type.field(number) for number in range(field.type.num_fields)]
            yield from _paths(inner, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}"


def _values(batch: pa.RecordBatch, column: str) -> pa.Array:
    """Return the values of a column, which may be a field within fields."""
    outer, *names = column.split(".")
    array = batch.column(outer)
    for name in names:
        # With the missing values of the outer field, which `field` would lose.
        array = pa.compute.struct_field(array, name)
    return _decoded(array) if pa.types.is_dictionary(array.type) else array


def _decoded(array: pa.DictionaryArray) -> pa.Array:
    """Return the values of an array that has each of them once."""
    for is_view, other in VIEWS.items():
        if is_view(array.type.value_type):
            array = pa.DictionaryArray.from_arrays(array.indices, array.dictionary.cast(other))
    return array.dictionary_decode()


def _check_text(source: Source, column: str, kind: pa.DataType) -> None:
    """Refuse a column that is no text."""
    # Older writers do not say of bytes that they are text.
    if not any(is_text(kind) for is_text in TEXTS):
        message = f"The column {column!r} of {source.shown} is {kind}, not text; name another as --column."
        raise InputError(message)


def _records(
    source: Source, names: Sequence[str], arrays: Sequence[pa.Array]
) -> Iterator[tuple[str | None, ...]]:
    """Yield the values of further columns as text, a record at a time."""
    columns = []
    for name, array in zip(names, arrays, strict=True):
        try:
            columns.append(array.cast(pa.string()).to_pylist())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            message = (
                f"The column {name!r} of {source.shown} is {array.type} and can't be kept; leave it out."
            )
            raise InputError(message) from None
    yield from zip(*columns, strict=True)


def _check_size(source: Source, parts: list[Part]) -> None:
    """Refuse a file with a part that is too large to be read."""
    if any(part.n_bytes > LARGEST_PART for part in parts):
        message = f"{source.shown} has row groups of more than 1 GiB of text; write it with smaller ones."
        raise InputError(message)
