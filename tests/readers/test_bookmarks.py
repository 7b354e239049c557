"""Bookmarks of browsers: the addresses of links."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novelty_dask.readers import bookmarks, documents
from novelty_dask.readers.bookmarks import BookmarksReader
from tests.support.books import Books, scan
from tests.support.fuzz import check_cuts, check_damaged, explode, outcome

BOOKMARKS = """\ufeff<!DOCTYPE NETSCAPE-Bookmark-file-1>
<!-- <a href="https://no.example/"> -->
<TITLE>Bookmarks</TITLE>
<DL><p>
    <DT><H3 ADD_DATE="1">Folder</H3>
    <DT><A HREF="https://a.example/?a=1&amp;b=2" ADD_DATE="1" ICON="data:image/png;base64,iVBOR">A &lt; B</A>
    <DT><a add_date=1 href='https://é.example/'>x
    <DT><A HREF="javascript:alert('https://a.example/')">x</A>
    <DT><A HREF="place:sort=8">x</A>
    <DT><A NAME="x">x</A>
    <DT><A HREF="https://a.example/&#0;">x</A>
    <DT><A HREF=https://a.example/last>x</A>
</DL><p>
""".encode()
URLS = {
    0: "https://a.example/?a=1&b=2",
    1: "https://é.example/",
    4: "https://a.example/\ufffd",
    5: "https://a.example/last",
}


@pytest.mark.parametrize("part_bytes", [7, 13, 2**16])
def test_links_with_a_host_are_records(monkeypatch: pytest.MonkeyPatch, part_bytes: int) -> None:
    monkeypatch.setattr(documents, "PART_BYTES", part_bytes)
    check_cuts(BookmarksReader(), BOOKMARKS, (URLS, {}, 6))
    check_damaged(BookmarksReader(), BOOKMARKS)


def test_what_is_no_text_is_rejected() -> None:
    content = (
        b'<a href="https://a.example/\xff"><a href="https://a.example/\ne"><a href="https://b.example/">'
    )
    expected = ({2: "https://b.example/"}, {0: "invalid-utf8", 1: "malformed"}, 3)
    assert scan(BookmarksReader(), content) == expected


def test_what_is_no_html_is_refused() -> None:
    found = outcome(BookmarksReader(), BOOKMARKS.splitlines()[0] + b"\n<![x[", 2**18)
    # Some versions of Python take it for a comment.
    assert isinstance(found, Books) or found.startswith("'a' holds what is no HTML (line 2); get it again")


@pytest.mark.timeout(60)
def test_what_never_closes_takes_no_time() -> None:
    for filling in (b"<a ", b"<!", b"<a a='", b"<", b"</", b"<![", b"<a/"):
        found = outcome(BookmarksReader(), filling * (2**17 // len(filling)), 2**18)
        assert "ends in the middle of its HTML" in found or "is no HTML" in found


@pytest.mark.parametrize("head", [b'<a href="https:', b"<!--", b"<a ", b"<script>", b"&", b"text"])
def test_texts_without_an_end_cost_little(head: bytes) -> None:
    books, peak_bytes = explode(BookmarksReader(), head, b"x", 2**23, b'"></a>')
    assert isinstance(books, Books) or "holds a text of more than 256 KiB" in books
    assert peak_bytes < 12 * 2**20


PIECES = [
    *("<DL><p>", "</DL>", "\n", "text & more", '<DT><A HREF="https://a.example/?a=1&amp;b=2">x</A>', "<dd>"),
    *(
        "<a href='https://b.example/&amp;'>",
        '<a href="https://c.example/&copy=1">',
        "<a href=https://d.example>",
    ),
    *(
        '<a add_date="1" href="https://e.example/" href="https://no.example/">',
        "<!-- <a href='x'> -->",
        "<p x=>",
    ),
    *(
        '<a title=">" href="https://f.example/a\nb">',
        "<script>",
        "</script>",
        '<a data-href="https://no.example/">',
    ),
    *("<A\tHREF='https://g.example/'/>", '<h3 href="x">', "<title>", "</title>", '<a b="', '">', "<", "&#"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=9), st.sampled_from([5, 64, 2**16]))
def test_tags_as_browsers_write_them_are_those_of_the_parser(pieces: list[str], part_bytes: int) -> None:
    content = "".join(pieces).encode()
    with pytest.MonkeyPatch.context() as patch:
        found = outcome(BookmarksReader(), content, 2**18)
        patch.setattr(documents, "PART_BYTES", part_bytes)
        assert outcome(BookmarksReader(), content, 2**18) == found
        # Without those that are read by a pattern.
        patch.setattr(bookmarks, "_TAG", re.compile("(?!)"))
        assert outcome(BookmarksReader(), content, 2**18) == found
