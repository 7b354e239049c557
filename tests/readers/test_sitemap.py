"""Sitemaps: their locations, and neither entities nor other files."""

import pytest

from novelty_dask.errors import InputError
from novelty_dask.readers import documents
from novelty_dask.readers.sitemap import SitemapReader
from tests.support.books import Books, scan
from tests.support.fuzz import check_cuts, check_damaged, explode

SITEMAP = """\ufeff
<?xml version="1.0" encoding="UTF-8"?>
<!-- <url><loc>https://no.example/</loc></url> -->
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
<url><loc> https://a.example/?a=1&amp;b=2
 </loc><lastmod>2025-01-01</lastmod></url>
<url><image:image><image:loc>https://a.example/x.png</image:loc></image:image></url>
<url><image:image><image:loc>https://no.example/</image:loc></image:image><loc>https://é.example/</loc></url>
<url><loc><![CDATA[https://a.example/<x>]]></loc></url>
<url><loc></loc></url>
<url><loc>https://a.example/x
y</loc></url>
</urlset>
""".encode()
URLS = {0: "https://a.example/?a=1&b=2", 2: "https://é.example/", 3: "https://a.example/<x>"}
INDEX = b"<m:sitemapindex xmlns:m='x'><m:sitemap><m:loc>https://a.example/1.xml</m:loc></m:sitemap></m:sitemapindex>"
LAUGHS = b"""<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<urlset><url><loc>https://a.example/&b;</loc></url></urlset>"""


def test_locations_are_those_of_pages() -> None:
    check_cuts(SitemapReader(), SITEMAP, (URLS, {1: "missing", 4: "blank", 5: "malformed"}, 6))
    check_cuts(SitemapReader(), INDEX, ({0: "https://a.example/1.xml"}, {}, 1))


def test_another_encoding_may_be_declared() -> None:
    content = (
        "<?xml version='1.0' encoding='iso-8859-1'?><urlset><url><loc>https://é.example</loc></url></urlset>"
    )
    assert scan(SitemapReader(), content.encode("latin-1")).texts == {0: "https://é.example"}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (LAUGHS, "declares entities of XML, which are not expanded; get it again, or write"),
        (b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:9/">%x;]><urlset/>', "declares entities"),
        (b"<rss><url><loc>x</loc></url></rss>", "is XML, but no sitemap: its root is 'rss'"),
        (b"<urlset><url></loc></urlset>", r"is no well-formed XML \(line 1: mismatched tag\)"),
        (b"<urlset>&x;</urlset>", r"is no well-formed XML \(line 1: undefined entity\)"),
        (b"<?xml version='1.0' encoding='x'?><urlset/>", "is no well-formed XML"),
        (b"<?xml version='1.0' encoding='utf-7'?><urlset/>", "is no well-formed XML"),
        (b"<urlset>" + b"<a>" * 1_000, "has more than 100 elements of XML within one another"),
        (SITEMAP[:-12], "ends in the middle of its XML"),
        (b"", "ends in the middle of its XML"),
    ],
)
def test_what_is_no_sitemap_is_refused(content: bytes, fault: str) -> None:
    with pytest.raises(InputError, match=f"^'a' {fault}"):
        scan(SitemapReader(), content)


def test_a_document_type_is_not_opened() -> None:
    content = b'<!DOCTYPE urlset SYSTEM "http://127.0.0.1:9/x.dtd">' + INDEX
    assert len(scan(SitemapReader(), content).texts) == 1


@pytest.mark.parametrize("part_bytes", [7, 13, 2**16])
def test_damaged_files_have_an_account(monkeypatch: pytest.MonkeyPatch, part_bytes: int) -> None:
    monkeypatch.setattr(documents, "PART_BYTES", part_bytes)
    check_damaged(SitemapReader(), SITEMAP)
    check_cuts(SitemapReader(), SITEMAP, (URLS, {1: "missing", 4: "blank", 5: "malformed"}, 6))


@pytest.mark.parametrize(
    ("head", "fault"),
    [
        (b"<urlset><url><loc>https://a.example/", ""),
        (b"<urlset><url><loc>https://a.example/</loc></url><!--", "holds a text of more than 1,024 KiB"),
        (b"<urlset><url a='", "holds a text of more than 1,024 KiB"),
    ],
)
def test_texts_without_an_end_cost_little(head: bytes, fault: str) -> None:
    books, peak_bytes = explode(SitemapReader(), head, b"x", 2**25, b"</loc></url>\n</urlset>")
    assert isinstance(books, Books) or fault in books
    assert not isinstance(books, Books) or books == ({}, {0: "too-long"}, 1)
    assert peak_bytes < 8 * 2**20


def test_memory_is_that_of_a_part() -> None:
    record = b"<url><loc>https://a.example/</loc></url>\n"
    books, peak_bytes = explode(SitemapReader(), b"<urlset>", record, 10**6, b"</urlset>")
    assert isinstance(books, Books)
    assert peak_bytes < 10 * 2**20
