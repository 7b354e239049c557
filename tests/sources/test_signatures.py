"""A file that is no text is told by how it begins, and refused by name."""

import bz2
import gzip
import io
import lzma
import sqlite3
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from novelty_dask.errors import InputError
from novelty_dask.kernels.text.lines import read_lines
from novelty_dask.objects.local import LocalObjects
from novelty_dask.pipeline.given import give_names
from novelty_dask.pipeline.inputs import identify_run
from novelty_dask.settings import ResultSettings
from novelty_dask.sources.find import Source, find_sources
from novelty_dask.sources.pieces import Piece, read_chunks
from novelty_dask.sources.signatures import HEAD_BYTES, check_head, check_name, check_text
from novelty_dask.sources.streams import copy_stream
from tests.support.files import zstd

TEXT = b"https://a.example/\n" * 50


def make_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", TEXT)


def make_tar(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"), io.BytesIO())


def make_parquet(path: Path) -> None:
    pq.write_table(pa.table({"url": ["https://a.example/"]}), path)


def make_arrow(path: Path) -> None:
    table = pa.table({"url": ["https://a.example/"]})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


def make_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("create table urls (url text)")
    connection.commit()
    connection.close()


def make(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


OTHERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "zip": (make_zip, "is an archive; unpack it"),
    "tar": (make_tar, "is an archive; unpack it"),
    "lz4": (make(b"\x04\x22\x4d\x18" + bytes(9)), "is compressed with lz4; decompress it"),
    "parquet": (make_parquet, "is a Parquet file; name the column"),
    "arrow": (make_arrow, "is an Arrow file; name the column"),
    "database": (make_database, "is a database; write its URLs as text"),
    "pdf": (make(b"%PDF-1.7\n"), "is a PDF file; write its URLs as text"),
    "program": (make(b"\x7fELF\x02\x01\x01" + bytes(9)), "is a program; name a file of URLs"),
    "png": (make(b"\x89PNG\r\n\x1a\n" + bytes(9)), "is an image; name a file of URLs"),
    "jpeg": (make(b"\xff\xd8\xff\xe0" + bytes(9)), "is an image; name a file of URLs"),
    "utf-16": (make(TEXT.decode().encode("utf-16")), "is UTF-16 text; convert it"),
    "utf-16-be": (make(b"\xfe\xff" + TEXT.decode().encode("utf-16-be")), "is UTF-16 text; convert it"),
    "utf-32": (make(TEXT.decode().encode("utf-32")), "is UTF-16 text; convert it"),
}
COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd.compress,
}
TWICE = {
    name: (make(pack(TEXT)), f"is compressed with {name} more than once; decompress it")
    for name, pack in COMPRESSED.items()
}
others = pytest.mark.parametrize(("make", "fault"), OTHERS.values(), ids=OTHERS.keys())
inner = pytest.mark.parametrize(("make", "fault"), (OTHERS | TWICE).values(), ids=(OTHERS | TWICE).keys())


def read(source: Source) -> bytes:
    return b"".join(read_chunks(source, Piece(0, 0, None)))


@others
def test_other_formats_are_refused_before_anything_runs(
    tmp_path: Path, make: Callable[[Path], None], fault: str
) -> None:
    make(tmp_path / "urls.txt")
    with pytest.raises(InputError, match=rf"urls\.txt' {fault}"):
        identify_run(give_names([str(tmp_path)]), ResultSettings())


@pytest.mark.parametrize("pack", COMPRESSED.values(), ids=COMPRESSED.keys())
@pytest.mark.parametrize("name", ["urls.txt", "urls", "urls.bz2", "urls.log.1"])
def test_compressed_files_are_read_whatever_their_names(
    tmp_path: Path, pack: Callable[[bytes], bytes], name: str
) -> None:
    (tmp_path / name).write_bytes(pack(TEXT))
    [source] = find_sources([str(tmp_path)])
    assert read(source) == TEXT


@inner
def test_other_formats_are_refused_inside_compressed_files(
    tmp_path: Path, make: Callable[[Path], None], fault: str
) -> None:
    make(tmp_path / "urls.txt")
    (tmp_path / "urls.bz2").write_bytes(bz2.compress((tmp_path / "urls.txt").read_bytes()))
    [source] = find_sources([str(tmp_path / "urls.bz2")])
    with pytest.raises(InputError, match=rf"urls\.bz2' {fault}"):
        read(source)


@inner
def test_other_formats_are_refused_on_standard_input(
    tmp_path: Path, make: Callable[[Path], None], fault: str
) -> None:
    make(tmp_path / "urls.txt")
    content = (tmp_path / "urls.txt").read_bytes()
    if "more than once" in fault:
        content = gzip.compress(content)
    with pytest.raises(InputError, match=rf"^Standard input {fault}"):
        copy_stream(io.BytesIO(content), LocalObjects(tmp_path), "work/stdin")
    assert not (tmp_path / "work" / "stdin").exists()


BINARY = {
    "random": Random(1).randbytes(400),
    "random, long": Random(2).randbytes(2**19),
    "NUL": bytes(1_000),
    "this program": Path(sys.executable).read_bytes()[4 : 2**19],
    "ends of lines": b"".join(bytes(50) + b"\n" for _ in range(9)),
    "utf-16 without its mark": TEXT.decode().encode("utf-16-le"),
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("content", BINARY.values(), ids=BINARY.keys())
def test_binary_files_are_refused_by_what_they_hold(
    tmp_path: Path, content: bytes, pack: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "urls").write_bytes(pack(content))
    with pytest.raises(InputError, match=r"urls' is binary; name a file of URLs as text, one a line\.$"):
        read(find_sources([str(tmp_path)])[0])
    with pytest.raises(InputError, match=r"^Standard input is binary; "):
        copy_stream(io.BytesIO(content), LocalObjects(tmp_path), "work/stdin")


COLORED = b"\x1b[01;31m\x1b[Khttp\x1b[m\x1b[K://a.example/\n"
TEXTS = {
    "few controls": b"\0\1\2\n" * 5 + b"a\0b\n",
    "some controls": TEXT + b"http://a.example/\x01\x02\x7f\n" * 30,
    "a block of NUL": TEXT + bytes(4_096) + b"\n" + TEXT,
    "a field separator": b"http://a.example/some/page/of/a/site\x01news\x011\n" * 500,
    "colors": COLORED * 500,
    "cp1251": "http://пример.example/страница\n".encode("cp1251") * 500,
    "shift-jis": "http://例え.example/日本\n".encode("shift-jis") * 500,
    "iso-2022-jp": "http://例え.example/日本\n".encode("iso-2022-jp") * 500,
}


@pytest.mark.parametrize("content", TEXTS.values(), ids=TEXTS.keys())
def test_text_with_controls_or_of_another_encoding_is_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "urls").write_bytes(content)
    assert read(find_sources([str(tmp_path)])[0]) == content
    assert copy_stream(io.BytesIO(content), LocalObjects(tmp_path), "work/stdin").n_bytes == len(content)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("content", [b"a.example\rb.example\r", b"a.example\r" * 100_000, b"\ra\rb"])
def test_lines_that_end_in_cr_alone_are_refused(
    tmp_path: Path, content: bytes, pack: Callable[[bytes], bytes]
) -> None:
    name = "a.txt" if pack is bytes else "a.gz"
    (tmp_path / name).write_bytes(pack(content))
    with pytest.raises(InputError, match=rf"{name}' is text whose lines end in CR alone; convert it"):
        read(find_sources([str(tmp_path)])[0])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r",
        b"a.example\r",
        b"a.example\r\n",
        b"a\rb\nc\n",
        b"x" * 100_000 + b"\r" + b"x" * 100_000 + b"\n",
        b"\r\n\r\n",
        b"\xef\xbb\xbfhttps://a.example/",
        b"PK.example/",
        b"BZ.example/",
        b"\x1f\n",
        "﻿https://例え.example/\n".encode(),
    ],
)
def test_text_is_not_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    assert read(find_sources([str(tmp_path)])[0]) == content


def test_each_line_of_an_unmarked_utf16_file_is_rejected() -> None:
    batches = list(read_lines([TEXT.decode().encode("utf-16-le")]))
    assert [batch.texts for batch in batches] == [[]] * len(batches)
    assert {str(each.reason) for batch in batches for each in batch.rejected} == {"nul"}


@pytest.mark.parametrize(
    "name", ["a.zip", "A.ZIP", "a.tar", "a.tar.gz", "a.tgz", "a.tbz", "a.tbz2", "a.txz", "a.tzst", "a.7z"]
)
def test_archives_are_refused_by_their_names(name: str) -> None:
    with pytest.raises(InputError, match="is an archive"):
        check_name(name)


@pytest.mark.parametrize("name", ["a.txt", "zip", "a.zip.txt", "tar/a.gz", "a.tar.d/b"])
def test_other_names_are_not(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_is_recognized(encoding: str) -> None:
    with pytest.raises(InputError, match="is UTF-16 text"):
        check_head("a.txt", "\ufeffhttps://example.org/\nhttps://example.org/x\n".encode(encoding))


@pytest.mark.parametrize("head", [b"", b"\xff", b"\xef\xbb\xbfhttps://", b"https://"])
def test_utf8_is_not_taken_for_utf16(head: bytes) -> None:
    check_head("a.txt", head)


def test_a_head_of_any_length_is_looked_at() -> None:
    for n_bytes in range(HEAD_BYTES + 1):
        check_head("a.txt", b"h" * n_bytes)
        check_text("a.txt", b"h" * n_bytes)
