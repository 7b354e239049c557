"""Kinds of texts that are no lists, and how they begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from novelty_dask.kernels.choices import InputFormat


class Kind(NamedTuple):
    """What a text is.

    Parameters
    ----------
    name : str
        As messages say it, behind "looks like".
    form : str or None
        The format to read it by, None if there is none that needs no column.
    table : str or None
        The format to read a column of it by, None if it has no columns.
    """

    name: str
    form: InputFormat | None = None
    table: InputFormat | None = None

    @property
    def remedy(self) -> str:
        """What messages tell to do."""
        ways = [f"read it with --input-format {self.form}"] if self.form else []
        if self.table:
            ways.append("name the column to score, as in --column url")
        return ", or ".join(ways) or "write its URLs as text, one a line"


STARTS = {
    b"<!doctype netscape-bookmark": Kind("the bookmarks of a browser", "bookmarks"),
    b"<!doctype html": Kind("an HTML page"),
    b"<html": Kind("an HTML page"),
    b"<urlset": Kind("a sitemap", "sitemap"),
    b"<sitemapindex": Kind("a sitemap", "sitemap"),
    b"<?xml": Kind("XML"),
    b"warc/1.": Kind("a WARC file", "warc"),
    b"warc/0.": Kind("a WARC file", "warc"),
    b"cdx ": Kind("a CDX index", "cdx"),
    b"#separator ": Kind("a log of Zeek", "log"),
    b"[adblock": Kind("a list of an ad blocker", "hosts"),
}
"""Beginnings of texts in small letters, without white space before them."""
SPECIAL: dict[Kind | None, tuple[bytes, Kind]] = {
    STARTS[b"warc/1."]: (rb'\r?\n\r?\n\{"(?:Container|Envelope)"', Kind("a WAT file", "wat")),
    STARTS[b"<?xml"]: (rb"<(?:[\w-]+:)?(?:urlset|sitemapindex)[\s>]", Kind("a sitemap", "sitemap")),
}
"""What is in some texts of a kind, and the kind that they are then."""
PATTERNS = {
    # The time has 14 digits; behind it, where an object of JSON is not, is the URL.
    rb"\S+ \d{14} \{": Kind("a CDXJ index", "cdxj"),
    rb"\S+ \d{14} [^\s{]\S* ": Kind("a CDX index", "cdx"),
    rb'(?:\S+ )?\S+ \S+ \S+ \[[^\]]+\] "': Kind("the log of a web server", "log"),
    rb"\s*\d+\.\d{3}\s+\d+ \S+ \S+/\d{3} \d+ [A-Z]+ ": Kind("the log of a proxy", "log"),
    rb"(?:0\.0\.0\.0|127\.0\.0\.1|::1?)\s+\S": Kind("a hosts file", "hosts"),
    rb"\|\|\S+\^|! ": Kind("a list of an ad blocker", "hosts"),
}
"""Beginnings of lines."""
JSON_LINES = Kind("JSON lines", table="jsonl")
JSON_LOG = Kind("a log in JSON lines", "log", "jsonl")
REQUEST = rb'"request"\s*:\s*"[A-Z]+ [^"]* HTTP/'
"""What is in the lines of such a log."""
DOCUMENTS = {
    rb'\{\s*"log"\s*:\s*\{\s*"(?:version|creator|browser|pages|entries|comment)"': Kind("HAR", "har"),
    rb'(?:\{\s*"response"\s*:\s*)?\[?\s*\{\s*"(?:Event|Attribute)"\s*:\s*[\[{]': Kind("a MISP event", "misp"),
}
"""Beginnings of documents of JSON."""
