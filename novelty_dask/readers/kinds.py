"""Kinds of texts that are no lists, and how they begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from novelty_dask.kernels.choices import TABLES

if TYPE_CHECKING:
    from novelty_dask.kernels.choices import InputFormat


class Kind(NamedTuple):
    """What a text is.

    Parameters
    ----------
    name : str
        As messages say it, behind "looks like".
    form : str or None
        The format to read it by, None if it can't be read.
    """

    name: str
    form: InputFormat | None = None

    @property
    def has_columns(self) -> bool:
        """True if a column of it can be named."""
        return self.form in TABLES

    @property
    def remedy(self) -> str:
        """What messages tell to do."""
        if self.has_columns:
            return "name the column to score, as in --column url"
        return (
            f"read it with --input-format {self.form}" if self.form else "write its URLs as text, one a line"
        )


STARTS = {
    b"<!doctype netscape-bookmark": Kind("the bookmarks of a browser"),
    b"<!doctype html": Kind("an HTML page"),
    b"<html": Kind("an HTML page"),
    b"<urlset": Kind("a sitemap", "sitemap"),
    b"<sitemapindex": Kind("a sitemap", "sitemap"),
    b"<?xml": Kind("XML"),
    b"warc/1.": Kind("a WARC file", "warc"),
    b"warc/0.": Kind("a WARC file", "warc"),
    b"cdx ": Kind("a CDX index", "cdx"),
    b"#separator ": Kind("a log of Zeek"),
    b"[adblock": Kind("a list of an ad blocker"),
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
    rb'\S+ \S+ \S+ \[[^\]]+\] "': Kind("the log of a web server"),
    rb"\s*\d+\.\d{3}\s+\d+ \S+ \S+/\d{3} \d+ [A-Z]+ ": Kind("the log of a proxy"),
    rb"(?:0\.0\.0\.0|127\.0\.0\.1|::1?)\s+\S": Kind("a hosts file"),
    rb"\|\|\S+\^": Kind("a list of an ad blocker"),
}
"""Beginnings of lines."""
