"""Access logs: the address of each request, with the host that was logged or given."""

import json
from pathlib import Path

import pytest

from novelty_dask.errors import InputError
from novelty_dask.readers import record_lines
from novelty_dask.readers.logs import LogReader
from novelty_dask.readers.requests import parse_json
from tests.support.books import Books, scan
from tests.support.fuzz import check_cuts, check_damaged, check_pieces, explode

COMBINED = rb"""192.0.2.7 - - [01/Jan/2025:00:00:00 +0000] "GET /x?a=1 HTTP/1.1" 200 99 "-" "M/5.0 \"x\""
2001:db8::1 - frank [01/Jan/2025:00:00:01 +0000] "POST /a b/\x22\"\xc3\xa9 HTTP/2.0" 404 - "/[" "x"
192.0.2.7, 192.0.2.8 - - [01/Jan/2025:00:00:02 +0000] "GET http://b.example/y HTTP/1.0" 302 0
192.0.2.7 - - [01/Jan/2025:00:00:02 +0000] "CONNECT b.example:443 HTTP/1.1" 405 0
192.0.2.7 - - [01/Jan/2025:00:00:02 +0000] "GET /old" 200 5
192.0.2.7 - - [01/Jan/2025:00:00:03 +0000] "\x16\x03\x01" 400 0 "-" "-"
192.0.2.7 - - [01/Jan/2025:00:00:04 +0000] "-" 408 - "-" "-"

something else
"""
PATHS = {0: "/x?a=1", 1: '/a b/""é', 2: "http://b.example/y", 3: "b.example:443", 4: "/old"}
REASONS = {5: "malformed", 6: "malformed", 7: "blank", 8: "malformed"}
WITH_HOST = b"""a.example:80 192.0.2.7 - - [01/Jan/2025:00:00:00 +0000] "GET /x HTTP/1.1" 200 99 "-" "x"
b.example:8080 192.0.2.7 - - [01/Jan/2025:00:00:00 +0000] "GET /y HTTP/1.1" 200 99 "-" "x"
192.0.2.7 - - [01/Jan/2025:00:00:00 +0000] "GET /z HTTP/1.1" 200 99 "-" "x"
"""
SQUID = b"""1735689600.123    45 192.0.2.7 TCP_MISS/200 99 GET http://a.example/x - HIER_DIRECT/x text/html
1735689601.456 60000 192.0.2.7 TCP_TUNNEL/200 39 CONNECT b.example:443 - HIER_DIRECT/192.0.2.1 -
1735689602.000     0 192.0.2.7 NONE/400 3871 NONE error:invalid-request - HIER_NONE/- text/html
"""
ZEEK_HEADER = (
    b"#separator \\x09\n#path\thttp\n#fields\tts\tuid\tmethod\thost\turi\tstatus_code\n#types\ttime\tstring\n"
)
ZEEK = (
    ZEEK_HEADER
    + b"1.5\tCx\tGET\ta.example\t/x?a\\x22\t200\n1.6\tCy\tGET\t-\t/y\t200\n1.7\tCz\t-\ta.example\t-\t-\n1.8\n"
    + ZEEK_HEADER.splitlines(keepends=True)[2]
    + b"#close\t2025-01-01-00-00-00\n"
)
JSON = b"""{"request": "GET /x HTTP/1.1", "host": "a.example", "status": 200}
{"request_uri": "/y?a=1", "http_host": "a.example:443"}
{"method": "GET", "uri": "/z", "host": ""}
{"host": "a.example"}
["GET /x HTTP/1.1"]
{"request": "GET /x
"""
SAMPLES = {"combined": COMBINED, "with-host": WITH_HOST, "squid": SQUID, "zeek": ZEEK, "json": JSON}
samples = pytest.mark.parametrize("content", SAMPLES.values(), ids=SAMPLES)


def test_without_a_host_the_path_is_the_record() -> None:
    check_cuts(LogReader(None), COMBINED, (PATHS, REASONS, 9))


@pytest.mark.parametrize("host", ["c.example", "https://c.example/"])
def test_a_host_is_put_before_paths_alone(host: str) -> None:
    base = host.rstrip("/")
    expected = {number: base + text if text.startswith("/") else text for number, text in PATHS.items()}
    check_cuts(LogReader(host), COMBINED, (expected, REASONS, 9))


def test_the_host_that_was_logged_comes_first() -> None:
    expected = {0: "a.example/x", 1: "b.example:8080/y", 2: "c.example/z"}
    check_cuts(LogReader("c.example"), WITH_HOST, (expected, {}, 3))


def test_proxies_log_whole_addresses() -> None:
    check_cuts(
        LogReader("c.example"), SQUID, ({0: "http://a.example/x", 1: "b.example:443"}, {2: "malformed"}, 3)
    )


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b'192.0.2.7 - - [1/Jan] "GET /x HTTP/1.1" 404 9\n', ["GET", "404"]),
        (b'192.0.2.7 - - [1/Jan] "PUT /x HTTP/1.1" - 9\n', ["PUT", None]),
        (b"1735689600.123 45 192.0.2.7 TCP_MISS/200 99 GET http://a.example/ - -\n", ["GET", "200"]),
        (b'{"request": "POST /x HTTP/1.1", "status": 500}\n', ["POST", "500"]),
        (b'{"request_uri": "/x", "request_method": "GET"}\n', ["GET", None]),
        (b"#fields\turi\tmethod\tstatus_code\n/x\tGET\t-\n", ["GET", None]),
    ],
)
def test_rows_keep_method_and_status(content: bytes, kept: list[str | None]) -> None:
    reader = LogReader(None, ["method", "status"])
    [batch] = reader.scan("'a.log'", iter([content]), is_start=True)
    assert batch.kept is not None
    assert [json.loads(record) for record in batch.kept] == [kept]


def test_the_header_of_zeek_names_the_fields() -> None:
    reasons = {6: "missing", 7: "malformed"}
    check_cuts(LogReader(None), ZEEK, ({4: 'a.example/x?a"', 5: "/y"}, reasons, 10))
    check_cuts(LogReader("c.example"), ZEEK, ({4: 'a.example/x?a"', 5: "c.example/y"}, reasons, 10))


def test_of_fields_with_one_meaning_the_first_with_a_text_counts() -> None:
    assert parse_json(b'{"uri": "/x", "request_method": "", "method": "GET"}') == (b"/x", b"", b"GET", b"")


def test_requests_are_told_by_fields_of_json() -> None:
    expected = {0: "a.example/x", 1: "a.example/y?a=1", 2: "c.example/z"}
    check_cuts(LogReader("c.example"), JSON, (expected, {3: "missing", 4: "malformed", 5: "malformed"}, 6))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"https://a.example/\n", "is no access log that is known"),
        (b"#fields\tts\tuid\tproto\n", "is a log of Zeek without the field 'uri'"),
        (ZEEK + b"#fields\turi\thost\n", "was joined from logs with other fields"),
    ],
)
def test_what_is_no_log_of_requests_is_refused(content: bytes, fault: str) -> None:
    with pytest.raises(InputError, match=f"^'a' {fault}"):
        scan(LogReader(None), content)


def test_an_empty_log_has_no_lines() -> None:
    assert scan(LogReader(None), b"").n_lines == 0
    assert scan(LogReader(None), b"\n\n").reasons == {0: "blank", 1: "blank"}


@samples
def test_pieces_hold_what_the_file_does(tmp_path: Path, content: bytes) -> None:
    check_pieces(LogReader("c.example"), tmp_path / "access.log", content)


@samples
def test_damaged_files_have_an_account_or_a_sentence(content: bytes) -> None:
    check_damaged(LogReader(None), content)


@samples
def test_a_line_without_an_end_costs_little(content: bytes) -> None:
    head = content + content.splitlines()[0][:90]
    books, peak_bytes = explode(LogReader(None), head, b'" [\\', 2**24, b"\n" + content)
    assert isinstance(books, Books)
    n_lines = content.count(b"\n")
    assert books.n_lines == 2 * n_lines + 1
    assert books.reasons.get(n_lines, "skipped") in ("too-long", "skipped")
    assert peak_bytes < 8 * record_lines.RECORD_BYTES


@samples
def test_a_long_line_takes_no_time(content: bytes) -> None:
    for filling in (b"a", b" ", b"\\", b'\\"', b"[", b"a ", b"] ", b"1.", b"/200 "):
        line = content.splitlines()[0][:90] + filling * (2**19 // len(filling))
        assert scan(LogReader(None), content + line + b"\n").n_lines == content.count(b"\n") + 1
