"""Tables as text: which field of which record is scored, and no line without an account."""

import csv
import io
import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from novelty_dask.errors import InputError
from novelty_dask.kernels.text.lines import is_comment
from novelty_dask.readers import delimited
from novelty_dask.readers.delimited import DelimitedReader
from tests.support.books import Books, scan

FEED = b"""################
# feed of links
# id,dateadded,url
"1","2025-01-01","https://a.example/x,y"
"2","2025-01-02","https://b.example/"
id,dateadded,url

"3","2025-01-03"
# end
"""


def read(content: bytes, column: str | None = "url", form: str = "csv") -> Books:
    return scan(DelimitedReader(form, column), content)


@pytest.mark.parametrize("column", ["url", "2"])
def test_a_column_is_named_or_numbered(column: str) -> None:
    content = b"id,url,seen\n1,https://a.example/x,2025\n2,https://a.example/y,2025\n"
    assert read(content, column) == ({1: "https://a.example/x", 2: "https://a.example/y"}, {}, 3)


def test_a_number_needs_no_header() -> None:
    assert read(b"1,a.example\n2,b.example", "2").texts == {0: "a.example", 1: "b.example"}


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("csv", b"a;b,url\n1;2,x.example/?a;b|c\n"),
        ("csv", b"a,b;url\n1,2;x.example/?a,b|c\n"),
        ("csv", b"a,b|url\n1,2|x.example/?a,b;c\n"),
        ("tsv", b"a,b;c\turl\n1,2;3\tx.example/?a,b;c|d\n"),
    ],
)
def test_the_delimiter_is_what_gives_the_column(form: str, content: bytes) -> None:
    assert [*read(content, form=form).texts] == [1]
    assert read(content, form=form).texts[1].startswith("x.example/?a")
    assert read(content, form=form).texts[1].endswith(content[-2:].decode().strip())


def test_comments_headers_and_short_records_are_told_apart() -> None:
    found = read(FEED)
    assert found.texts == {3: "https://a.example/x,y", 4: "https://b.example/"}
    assert found.reasons == {0: "comment", 1: "comment", 2: "comment", 6: "blank", 7: "missing", 8: "comment"}
    assert found.n_lines == 9


def test_a_record_of_several_lines_stands_at_its_first() -> None:
    found = read(b'note,url\n"two\nlines",https://a.example/\nx,https://b.example/\n"y","two\nlines"\n')
    assert found.texts == {1: "https://a.example/", 3: "https://b.example/"}
    assert found.reasons == {4: "malformed"}
    assert found.n_lines == 6


@pytest.mark.parametrize("content", [b'1,"a.example\n2,b.example\n', b'1,"a.example"x\n2,b.example\n'])
def test_a_stray_quote_costs_no_line(content: bytes) -> None:
    assert [*read(content, "2").texts] == [0, 1]


def test_a_quote_that_stays_open_ends_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "RECORD_LINES", 10)
    found = read(b'1,a.example\n2,"b.example\n' + b"3,c.example\n" * 50, "2")
    assert len(found.texts) == 52


def test_a_field_that_is_too_long_is_rejected_and_the_rest_read() -> None:
    content = b"url,text\na.example," + b"x" * (delimited.RECORD_BYTES + 9) + b"\nb.example,y\n"
    assert read(content) == ({2: "b.example"}, {1: "too-long"}, 3)


def test_a_field_with_a_lone_cr_is_malformed_and_not_too_long() -> None:
    assert read(b"url,text\na.example,x\ry\nb.example,y\n") == ({2: "b.example"}, {1: "malformed"}, 3)


def test_bytes_that_are_no_text_are_rejected_in_the_column_alone() -> None:
    assert read(b"url,text\na.example,\xff\n\xff,x\n") == ({1: "a.example"}, {2: "invalid-utf8"}, 3)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (None, r"name the one to score, as in --column link url \(it has: id, link url\)"),
        ("URL", r"'a' has no column 'URL'; name another as --column \(it has: id, link url\)"),
        ("3", r"'a' has no column '3'"),
        ("0", r"'a' has no column '0'"),
    ],
)
def test_a_column_that_is_not_there_is_told_with_those_that_are(column: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(b"id,link url\n1,a.example\n", column)


def test_many_columns_are_not_all_told() -> None:
    with pytest.raises(InputError, match="and 9,980 more") as refusal:
        read(b",".join(b"c%d" % number for number in range(10_000)) + b"\n")
    assert len(str(refusal.value)) < 300


def test_an_empty_source_has_no_column() -> None:
    with pytest.raises(InputError, match="it is empty"):
        read(b"")


FIELDS = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=12)


@settings(deadline=None)
@given(
    records=st.lists(st.tuples(FIELDS, FIELDS, FIELDS), max_size=20),
    delimiter=st.sampled_from(",;|"),
    chunk_bytes=st.integers(1, 40),
)
@example(records=[('"', "#", "\n")], delimiter=",", chunk_bytes=1)
def test_written_tables_are_read_as_they_were(
    records: list[tuple[str, str, str]], delimiter: str, chunk_bytes: int
) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([("first", "url", "last"), *records])
    found = scan(DelimitedReader("csv", "url"), stream.getvalue().encode(), chunk_bytes)
    ends = itertools.accumulate([1, *(1 + sum(field.count("\n") for field in record) for record in records)])
    expected = {
        start: url.strip()
        for start, (_, url, _) in zip(ends, records, strict=False)
        if url.strip() and "\n" not in url.strip() and not is_comment(url.encode())
    }
    assert found.texts == expected
    assert len(found.texts) + len(found.reasons) == len(records)


@settings(deadline=None)
@given(
    content=st.lists(st.sampled_from([b'"', b",", b"\n", b"a", b"#", b"\xff", b" ", b"\r\n"])).map(b"".join)
)
def test_any_bytes_have_an_account(content: bytes) -> None:
    whole = b"url,x\n" + content
    found = scan(DelimitedReader("csv", "url"), whole, 7)
    assert found.n_lines == len(whole.removesuffix(b"\n").split(b"\n"))
    assert found == scan(DelimitedReader("csv", "url"), whole)
