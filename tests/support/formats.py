"""Files of each format that hold some URLs, one a record, in their order."""

import html
import json
from collections.abc import Callable, Iterable


def _lines(lines: Iterable[str]) -> bytes:
    """Return lines as a file."""
    return "".join(f"{line}\n" for line in lines).encode()


def _cdx(urls: list[str]) -> bytes:
    """Return a CDX index."""
    fields = (
        f"example,a)/{number} 20250101000000 {url} text/html 200 A - - 9 9 f"
        for number, url in enumerate(urls)
    )
    return _lines([" CDX N b a m s k r M S V g", *fields])


def _cdxj(urls: list[str]) -> bytes:
    """Return a CDXJ index."""
    return _lines(f"example,a)/ 20250101000000 {json.dumps({'url': url, 'status': '200'})}" for url in urls)


def _warc(urls: list[str]) -> bytes:
    """Return a web archive, of which half of the records are requests."""
    tail = "Content-Length: 4\r\n\r\n\0\r\n\0\r\n\r\n"
    records = (
        f"WARC/1.1\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\n{tail}"
        for url in urls
        for kind in ("request", "response")
    )
    return "".join(records).encode()


def _wat(urls: list[str]) -> bytes:
    """Return what was drawn from a web archive, as JSON."""
    content = '{"Envelope": {}}'
    head = f"Content-Length: {len(content)}\r\n\r\n{content}\r\n\r\n"
    records = (f"WARC/1.0\r\nWARC-Type: metadata\r\nWARC-Target-URI: {url}\r\n{head}" for url in urls)
    return "".join(records).encode()


def _sitemap(urls: list[str]) -> bytes:
    """Return a sitemap."""
    start = '<?xml version="1.0"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
    return _lines([start, *(f"<url><loc>{html.escape(url)}</loc></url>" for url in urls), "</urlset>"])


def _log(urls: list[str]) -> bytes:
    """Return the log of a proxy in the combined format."""
    targets = (url.replace("\\", "\\\\").replace('"', '\\"') for url in urls)
    start = '192.0.2.7 - - [01/Jan/2025:00:00:00 +0000] "GET'
    return _lines(f'{start} {target} HTTP/1.1" 200 99 "-" "Mozilla/5.0 (X11)"' for target in targets)


def _har(urls: list[str]) -> bytes:
    """Return what a browser recorded."""
    entries = [{"request": {"method": "GET", "url": url}, "response": {"content": {}}} for url in urls]
    return json.dumps({"log": {"version": "1.2", "entries": entries}}).encode()


def _bookmarks(urls: list[str]) -> bytes:
    """Return the bookmarks of a browser."""
    links = (f'<DT><A HREF="{html.escape(url)}" ADD_DATE="1">Title</A>' for url in urls)
    return _lines(["<!DOCTYPE NETSCAPE-Bookmark-file-1>", "<DL><p>", *links, "</DL><p>"])


def _misp(urls: list[str]) -> bytes:
    """Return an event of MISP, half of whose attributes are those of objects."""
    attributes = [{"type": "url", "value": url, "Tag": [{"name": "x"}]} for url in urls]
    half = len(urls) // 2
    return json.dumps(
        {"Event": {"Attribute": attributes[:half], "Object": [{"Attribute": attributes[half:]}]}}
    ).encode()


WRITERS: dict[str, Callable[[list[str]], bytes]] = {
    "cdx": _cdx,
    "cdxj": _cdxj,
    "warc": _warc,
    "wat": _wat,
    "sitemap": _sitemap,
    "log": _log,
    "har": _har,
    "bookmarks": _bookmarks,
    "misp": _misp,
}
"""What writes some URLs, by format."""
