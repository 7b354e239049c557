"""What is no list of URLs is recognized, and lists are never taken for anything else."""

import lzma
import random
from collections import defaultdict
from itertools import islice
from pathlib import Path

import pytest

from novelty_dask.errors import InputError
from novelty_dask.readers.recognition import BEGINNING_BYTES, check_list, recognize

OTHERS = {
    "CSV": [
        b"id,url,note\n1,https://a.example/x,a\n2,https://a.example/y\n3,https://a.example/z,b\n",
        b"id,url,seen\n1,https://a.example/x,2025\n2,https://a.example/y,2025\n",
        b"1,a.example\n2,b.example\n3,c.example\n",
        b"url,label\nhttps://a.example/,1\nhttps://b.example/,0\n",
        b'# feed\n"https://a.example/","x"\n"https://b.example/","y"\n',
        b"id;url\r\n1;https://a.example/x\r\n2;https://a.example/y\r\n",
        b"\xef\xbb\xbfid,url\n1,https://a.example/x\n",
    ],
    "TSV": [b"first_seen\turl\n2025-01-01\thttps://a.example/\n2025-01-02\thttps://b.example/\n"],
    "JSON lines": [b'{"url": "https://a.example/"}\n{"url": "https://b.example/"}\n', b'{"url": "x"}'],
    "a log in JSON lines": [b'{"time": 1, "request": "GET /x HTTP/1.1"}\n'],
    "HAR": [b'{\n  "log": {"entries": []}\n}\n', b'{"log":{"version":"1.2","entries":[]}}'],
    "a MISP event": [
        b'{"Event": {"info": "x"}}',
        b'{"response": [{"Event": {"info": "x"}}]}',
        b'[{"Event": {}}]',
        b'{"response": {"Attribute": []}}',
    ],
    "JSON": [b'[{"url": "x"},\n{"url": "y"}]', b'["x",\n"y"]'],
    "an HTML page": [b"<!DOCTYPE html>\n<title>404</title>\n", b"\n <HTML lang=en>"],
    "the bookmarks of a browser": [b"<!DOCTYPE NETSCAPE-Bookmark-file-1>\n"],
    "a sitemap": [
        b"<?xml version='1.0'?>\n<!-- x -->\n<urlset xmlns='x'>",
        b"<urlset><url><loc>https://a.example/</loc></url></urlset>",
    ],
    "XML": [b"<?xml version='1.0'?><feed/>"],
    "a WARC file": [b"WARC/1.0\r\nWARC-Type: response\r\n", b"WARC/1.0\r\n\r\n" + bytes(9_999)],
    "a WAT file": [b'WARC/1.0\r\nWARC-Type: warcinfo\r\n\r\n\r\n\r\n{"Envelope": {}}'],
    "a CDX index": [
        b" CDX N b a m s k r M S V g\n",
        b"example,a)/x 20250101000000 https://a.example/x text/html 200 A - - 9 9 f\n",
    ],
    "a CDXJ index": [b'example,a)/x 20250101000000 {"url": "https://a.example/x"}\n'],
    "the log of a web server": [
        b'192.0.2.7 - - [01/Jan/2025:00:00:00 +0000] "GET /x HTTP/1.1" 200 9\n' * 3,
        b'a.example:80 192.0.2.7 - x [1] "GET /x HTTP/1.1" 200 9\n',
    ],
    "the log of a proxy": [b"1735689600.123    45 192.0.2.7 TCP_MISS/200 99 GET http://a.example/ - D/- t\n"],
    "a log of Zeek": [b"#separator \\x09\n"],
    "a hosts file": [b"# hosts\n127.0.0.1 localhost\n0.0.0.0 a.example\n"],
    "a list of an ad blocker": [b"[Adblock Plus 2.0]\n", b"||a.example^\n||b.example^\n"],
}
LISTS = [
    b"feed, of today\nhttps://a.example/1\nhttps://a.example/2\n",
    b"",
    b"\n",
    b"https://a.example/\n",
    b"https://a.example/1,2.html\nhttps://a.example/3,4.html\n",
    b'https://a.example/,x\nhttps://b.example/;y\nhttps://c.example/"z"\n',
    b"# feed\nhttps://a.example/\n",
    b"[2001:db8::1]:80/x\n[2001:db8::2]/y\n",
    b"{id}.example/x\n",
    b"a.example/1,b\na.example/2,b\n",
    b"#/route\n#/other\n",
    b"one, two\nthree, four\n",
    b"GET /x HTTP/1.1\nGET /y HTTP/1.1\n",
]


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in OTHERS.items() for text in texts])
def test_what_is_no_list_is_told_by_its_content(name: str, text: bytes) -> None:
    kind = recognize(text)
    assert kind
    assert kind.name == name
    with pytest.raises(InputError, match=f"^'a' looks like {name} .*--input-format lines\\.$"):
        check_list("'a'", text)


@pytest.mark.parametrize("text", LISTS)
def test_lists_are_lists(text: bytes) -> None:
    assert recognize(text) is None


def test_a_table_is_told_by_its_first_lines_wherever_they_are_cut() -> None:
    lines = b"id,url\n" + b"".join(b"%d,https://a.example/%d\n" % (number, number) for number in range(9_999))
    assert len(lines) > BEGINNING_BYTES
    for stop in range(BEGINNING_BYTES, BEGINNING_BYTES + 40):
        kind = recognize(lines[:stop])
        assert kind
        assert kind.table == "csv"


def test_no_list_of_real_urls_is_refused(corpora: Path) -> None:
    with lzma.open(corpora / "urls_1m.txt.xz", "rb") as file:
        urls = [line.rstrip(b"\n") for line in islice(file, 100_000)]
    chance, by_host = random.Random(1), defaultdict(list)
    for url in urls:
        by_host[url.split(b"/")[2] if url.count(b"/") > 2 else b""].append(url)
    samples = [chance.sample(urls, chance.choice([1, 2, 5, 100])) for _ in range(1_000)]
    # URLs of one site have commas in the same places.
    for sample in [*samples, *by_host.values()]:
        assert recognize(b"\n".join(sample)) is None, sample
