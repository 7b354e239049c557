"""Web archives: a URL for each capture, payloads passed unread, and cut files refused."""

import gzip
from itertools import accumulate
from pathlib import Path

import pytest

from novelty_dask.errors import InputError
from novelty_dask.readers.warc import HEADER_BYTES, WarcReader
from novelty_dask.sources.find import find_sources
from tests.support.books import Books, scan
from tests.support.fuzz import check_cuts, check_damaged, explode


def record(kind: str, url: str | None, payload: bytes = b"", version: str = "WARC/1.1") -> bytes:
    target = f"WARC-Target-URI: {url}\r\n" if url else ""
    head = f"{version}\r\nWARC-Type: {kind}\r\n{target}Content-Length: {len(payload)}\r\n\r\n"
    return head.encode() + payload + b"\r\n\r\n"


PAGE = b"HTTP/1.1 200 OK\r\n\r\nWARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: https://no.example/\r\n\r\n\0\xff"
RECORDS = [
    record("warcinfo", None, b"software: x\r\n"),
    record("request", "https://a.example/", b"GET / HTTP/1.1\r\n\r\n"),
    record("response", "https://a.example/", PAGE),
    record("metadata", "https://a.example/", b"fetchTimeMs: 1\r\n"),
    record("revisit", "<http://b.example/x>", version="WARC/1.0"),
    record("resource", "urn:pageinfo:https://a.example/"),
    record("response", "dns:a.example"),
    record("resource", "ftp://a.example/é"),
    record("conversion", "https://a.example/text", b"text\n\n\n"),
    record("response", "https://a.example/" + "x" * 9_000),
    record("response", "https://a.example/\n\tfolded"),
]
ARCHIVE = b"".join(RECORDS)
URLS = {
    2: "https://a.example/",
    4: "http://b.example/x",
    7: "ftp://a.example/é",
    8: "https://a.example/text",
    10: "https://a.example/",
}


def test_a_capture_has_its_url_at_the_number_of_its_record() -> None:
    check_cuts(WarcReader("warc"), ARCHIVE, (URLS, {9: "too-long"}, 11))
    check_cuts(WarcReader("wat"), ARCHIVE, ({3: "https://a.example/"}, {}, 11))


@pytest.mark.parametrize("old", [b"\n", b"\r\n", b"\r\n\r\n\r\n"])
def test_newlines_are_not_what_divides_records(old: bytes) -> None:
    content = b"".join(record.removesuffix(b"\r\n\r\n") + old for record in RECORDS)
    assert scan(WarcReader("warc"), content) == scan(WarcReader("warc"), ARCHIVE)
    assert scan(WarcReader("warc"), old).n_lines == 0


def test_a_file_that_is_cut_is_refused_wherever_it_is() -> None:
    ends = [*accumulate(map(len, RECORDS), initial=0)]
    # Between records nothing shows that there were more.
    for stop in {*range(0, len(ARCHIVE), 7)} - {end - behind for end in ends for behind in range(5)}:
        with pytest.raises(InputError, match=r"^'a' ends in the middle of a record; it is the record \d+"):
            scan(WarcReader("warc"), ARCHIVE[:stop])


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"WARC/1.0\r\nWARC-Type: response\r\n\r\n", "has a record without its length"),
        (b"WARC/1.0\r\nContent-Length: -1\r\n\r\n", "has a record without its length"),
        (b"WARC/1.0\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n", "has a record without its length"),
        (b"WARC\r\n\r\n", "holds something else than a record of a web archive; it is the record 0"),
        (ARCHIVE + b"<html>", "holds something else than a record of a web archive; it is the record 11"),
        (b"WARC/1.0\r\n" + b"x: y\r\n" * HEADER_BYTES, "has a record with a header of more than 1 MiB"),
    ],
)
def test_what_is_no_record_is_refused(content: bytes, fault: str) -> None:
    with pytest.raises(InputError, match=f"^'a' {fault}"):
        scan(WarcReader("warc"), content)


def test_another_format_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="is not in the format 'warc'"):
        WarcReader("warc").check("'a'", b"https://a.example/\n")


def test_damaged_files_have_an_account_or_a_sentence() -> None:
    check_damaged(WarcReader("warc"), b"".join(RECORDS[:9]), 300)


def test_payloads_and_headers_without_an_end_cost_little() -> None:
    head = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: https://a.example/\r\n"
    large = 2**27
    books, peak_bytes = explode(
        WarcReader("warc"), head + b"Content-Length: %d\r\n\r\n" % large, b"x", large, ARCHIVE
    )
    assert isinstance(books, Books)
    assert books.n_lines == 12
    assert peak_bytes < 2**20
    fault, peak_bytes = explode(WarcReader("warc"), head, b"x", large, ARCHIVE)
    assert "header of more than 1 MiB" in str(fault)
    assert peak_bytes < 8 * HEADER_BYTES


def test_captures_are_estimated_by_the_head_of_a_file(tmp_path: Path) -> None:
    chance = bytes(range(256)) * 30
    records = [record("response", f"https://a.example/{number}", chance) for number in range(1_000)]
    (tmp_path / "a.warc").write_bytes(b"".join(records))
    (tmp_path / "a.warc.gz").write_bytes(b"".join(map(gzip.compress, records)))
    for source in find_sources([f"{tmp_path}/*"]):
        assert 800 < WarcReader("warc").estimate(source, 2**17).n_lines < 1_200
