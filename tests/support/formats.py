"""Files of each format that hold some URLs, one a record, in their order."""

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


WRITERS: dict[str, Callable[[list[str]], bytes]] = {"cdx": _cdx, "cdxj": _cdxj}
"""What writes some URLs, by format."""
