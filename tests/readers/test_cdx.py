"""Indexes of web archives: the URL of each line, wherever the header says that it is."""

from pathlib import Path

import pytest

from novelty_dask.errors import InputError
from novelty_dask.readers import record_lines
from novelty_dask.readers.cdx import CdxjReader, CdxReader
from novelty_dask.readers.record_lines import RecordLines
from tests.support.books import Books, scan
from tests.support.fuzz import check_cuts, check_damaged, check_pieces, explode

HEADER = b" CDX N b a m s k r M S V g\n"
CDX = b"""example,a)/ 20250101000000 https://a.example/ text/html 200 AAAA - - 912 334 a.warc.gz
example,a)/x 20250101000001 https://a.example/x?q=1 text/html 404 BBBB - - 800 1246 a.warc.gz
b.example/ 20080430204826 http://b.example:80/ text/html 200 CCCC - 2046 a.arc.gz
- 20250101000001 - warcinfo - - - - 300 0 a.warc.gz

no line of an index
"""
CDXJ = b"""!CDXJ 1.0 {"format": "cdxj"}
example,a)/ 20250101000000 {"url": "https://a.example/", "status": "200"}
example,a)/{x} 20250101000000 {"url": "https://a.example/%7Bx%7D \\u00e9", "mime": "a b"}
example,a)/y 20250101000000 {"status": "200"}
example,a)/z 20250101000000 {"url":
example,a)/z 20250101000000
"""
URLS = {0: "https://a.example/", 1: "https://a.example/x?q=1", 2: "http://b.example:80/"}
REASONS = {3: "missing", 4: "blank", 5: "malformed"}
SAMPLES: list[tuple[RecordLines, bytes]] = [
    (CdxReader(), CDX),
    (CdxReader(), HEADER + CDX),
    (CdxjReader(), CDXJ),
]
samples = pytest.mark.parametrize(("reader", "content"), SAMPLES, ids=["plain", "headed", "json"])


def test_urls_stand_behind_key_and_date() -> None:
    check_cuts(CdxReader(), CDX, (URLS, REASONS, 6))


def test_a_header_names_the_field_of_the_url() -> None:
    moved = {number + 1: url for number, url in URLS.items()}
    found = scan(CdxReader(), b"\xef\xbb\xbf" + HEADER + CDX + HEADER)
    assert (found.texts, found.n_lines) == (moved, 8)
    assert found.reasons == {4: "missing", 5: "blank", 6: "malformed"}
    other = b"\tCDX\tA\ta\n1\thttps://a.example/ x\nhttps://b.example/\n"
    assert scan(CdxReader(), other) == ({1: "https://a.example/ x"}, {2: "malformed"}, 3)


@pytest.mark.parametrize("content", [b" CDX N b m\n", CDX + b" CDX a N b\n", HEADER + CDX + b" CDX a N b\n"])
def test_a_header_that_names_other_fields_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match=r"^'a' (holds no URLs|was joined from CDX indexes with other)"):
        scan(CdxReader(), content)


def test_a_line_may_have_the_url_alone() -> None:
    assert scan(CdxReader(), b" CDX a\nhttps://a.example/\n") == ({1: "https://a.example/"}, {}, 2)
    content = b" CDX a b\nhttps://a.example/ 2025\nhttps://b.example/\n"
    assert scan(CdxReader(), content).texts == {1: "https://a.example/", 2: "https://b.example/"}


def test_the_json_of_a_line_has_the_url() -> None:
    expected = {1: "https://a.example/", 2: "https://a.example/%7Bx%7D é"}
    check_cuts(CdxjReader(), CDXJ, (expected, {3: "missing", 4: "malformed", 5: "malformed"}, 6))


@samples
def test_pieces_hold_what_the_file_does(tmp_path: Path, reader: RecordLines, content: bytes) -> None:
    check_pieces(reader, tmp_path / "a.cdx", content)


@samples
def test_damaged_files_have_an_account(reader: RecordLines, content: bytes) -> None:
    check_damaged(reader, content)


@samples
def test_a_line_without_an_end_costs_little(reader: RecordLines, content: bytes) -> None:
    books, peak_bytes = explode(
        reader, content + b"example,a)/ 20250101000000 ", b"x", 2**25, b"\n" + content
    )
    n_lines = content.count(b"\n")
    assert isinstance(books, Books)
    assert books.n_lines == 2 * n_lines + 1
    assert books.reasons[n_lines] == "too-long"
    assert peak_bytes < 8 * record_lines.RECORD_BYTES
