"""Parquet and Arrow: one column, in parts that are read side by side."""

import json
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from novelty_dask.errors import InputError
from novelty_dask.readers import columnar
from novelty_dask.readers.columnar import ColumnarReader
from novelty_dask.sources.find import Source, find_sources
from novelty_dask.sources.pieces import Piece, split
from tests.support.books import Books

URLS = [f"https://a.example/{number}" for number in range(1_000)]
TABLE = pa.table(
    {
        "id": range(1_000),
        "url": URLS,
        "request": [{"to": {"url": url}} if number % 3 else None for number, url in enumerate(URLS)],
        "kind": pa.array(URLS).dictionary_encode(),
        "large": pa.array(URLS, pa.large_string()),
        "tags": [[url] for url in URLS],
    }
)


def write_parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, row_group_size=100)


def write_arrow(table: pa.Table, path: Path) -> None:
    feather.write_feather(table, str(path), compression="zstd", chunksize=100)


WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {"parquet": write_parquet, "arrow": write_arrow}
forms = pytest.mark.parametrize("form", WRITERS)


def write(folder: Path, form: str, table: pa.Table = TABLE) -> Source:
    WRITERS[form](table, folder / f"a.{form}")
    [source] = find_sources([f"{folder}/a.{form}"])
    return source


def read(source: Source, piece: Piece, form: str, column: str | None) -> Books:
    batches = list(ColumnarReader(form, column).read(source, piece))
    texts: dict[int, str] = {}
    for batch in batches:
        texts |= dict(zip(batch.numbers.tolist(), batch.texts, strict=True))
    reasons = {each.number: str(each.reason) for batch in batches for each in batch.rejected}
    return Books(texts, reasons, sum(batch.n_lines for batch in batches))


@forms
@pytest.mark.parametrize(
    "kind", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.string_view(), pa.large_string()], ids=str
)
@pytest.mark.parametrize("is_coded", [False, True], ids=["plain", "dictionary"])
def test_text_is_read_whatever_its_type(
    tmp_path: Path, form: str, kind: pa.DataType, *, is_coded: bool
) -> None:
    texts = [None, *URLS[:9]]
    encoded = pa.array([None if text is None else text.encode() for text in texts])
    try:
        values = encoded.cast(kind)
    except pa.ArrowNotImplementedError:
        pytest.skip("this version of Arrow makes none of these")
    if is_coded:
        # Coded by hand, as Arrow codes no views.
        values = pa.DictionaryArray.from_arrays(pa.array([None, *range(9)], pa.int32()), values[1:])
        if form == "parquet" and "view" in str(kind):
            pytest.skip("no writer of Parquet has these")
    source = write(tmp_path, form, pa.table({"url": values, "id": range(10)}))
    [batch] = ColumnarReader(form, "url", ["url"]).read(source, Piece(0, 0, None))
    assert batch.texts == URLS[:9]
    assert [json.loads(record) for record in batch.kept or ()] == [[url] for url in URLS[:9]]
    assert [str(each.reason) for each in batch.rejected] == ["missing"]


@forms
@pytest.mark.parametrize("column", ["url", "kind", "large"])
def test_a_column_is_read_in_pieces(tmp_path: Path, form: str, column: str) -> None:
    source, reader = write(tmp_path, form), ColumnarReader(form, column)
    pieces = split([source], reader.cut, piece_bytes=5_000)
    assert len(pieces) > 2
    found = [read(source, piece, form, column) for piece in pieces]
    assert [text for books in found for text in books.texts.values()] == URLS
    assert all([*books.texts] == [*range(books.n_lines)] for books in found)


class Counted(FileIO):
    """A file that counts the bytes that are read of it."""

    n_bytes = 0

    def readinto(self, buffer: Any) -> int | None:
        n_read = super().readinto(buffer)
        self.n_bytes += n_read or 0
        return n_read

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(-1 if size is None else size) or b""
        self.n_bytes += len(data)
        return data


@forms
def test_of_a_file_no_more_is_read_than_a_piece(tmp_path: Path, form: str) -> None:
    n_bytes = write(tmp_path, form, pa.table({"url": [f"{url}/{url}" for url in URLS] * 10})).n_bytes
    with Counted(tmp_path / f"a.{form}") as file:
        table = columnar.TABLES[form][0](cast("BinaryIO", file))
        before = file.n_bytes
        assert [part.n_rows for part in table.parts("url", 97, 99)] == [100, 100]
        assert file.n_bytes - before < n_bytes / 10


@forms
def test_a_field_within_fields_may_be_missing(tmp_path: Path, form: str) -> None:
    found = read(write(tmp_path, form), Piece(0, 0, None), form, "request.to.url")
    assert found.texts == {number: url for number, url in enumerate(URLS) if number % 3}
    assert found.reasons == dict.fromkeys(range(0, 1000, 3), "missing")


@forms
def test_rows_are_estimated_from_what_the_file_says(tmp_path: Path, form: str) -> None:
    estimate = ColumnarReader(form, "url").estimate(write(tmp_path, form), 100)
    assert estimate.n_lines == 1_000
    assert sum(map(len, URLS)) / 2 < estimate.n_bytes < 2 * sum(map(len, URLS))


@forms
@pytest.mark.parametrize(
    ("column", "message"),
    [
        (None, r"as in --column url \(it has: id, url, request.to.url, kind, large, tags"),
        ("link", "has no column 'link'"),
        ("id", "The column 'id' of '.*' is int64, not text"),
    ],
)
def test_a_column_that_is_no_text_is_refused(
    tmp_path: Path, form: str, column: str | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read(write(tmp_path, form), Piece(0, 0, None), form, column)


@forms
def test_a_part_that_is_too_large_is_refused(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columnar, "LARGEST_PART", 1_000)
    with pytest.raises(InputError, match="row groups of more than"):
        read(write(tmp_path, form), Piece(0, 0, None), form, "url")


@forms
def test_a_file_without_rows_has_none(tmp_path: Path, form: str) -> None:
    source = write(tmp_path, form, TABLE.slice(0, 0))
    assert read(source, Piece(0, 0, None), form, "url") == ({}, {}, 0)


@forms
@pytest.mark.parametrize("cut", [0.3, 0.7, 0.999])
def test_a_file_that_is_cut_is_refused_in_a_sentence(tmp_path: Path, form: str, cut: float) -> None:
    path = Path(write(tmp_path, form).path)
    path.write_bytes(path.read_bytes()[: int(cut * path.stat().st_size)])
    [source] = find_sources([str(path)])
    with pytest.raises(InputError, match=r"^Can't read '.*' to its end: .*\.$"):
        read(source, Piece(0, 0, None), form, "url")


@forms
def test_another_format_is_refused_by_name(tmp_path: Path, form: str) -> None:
    with pytest.raises(InputError, match=f"is not in the format '{form}'"):
        ColumnarReader(form, "url").check("'a.csv'", b"id,url\n")
