"""HAR and MISP: records of one document of JSON, which is never held."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novelty_dask.errors import InputError
from novelty_dask.readers import documents
from novelty_dask.readers.documents import DocumentReader
from novelty_dask.readers.json_documents import HarReader, MispReader
from novelty_dask.readers.json_scanner import DEEPEST
from tests.support.books import Books, scan
from tests.support.fuzz import check_cuts, check_damaged, explode


def entry(url: Any) -> dict[str, Any]:
    headers = [{"name": "url", "value": "https://no.example/"}, {"request": {"url": "https://no.example/"}}]
    return {"time": 1.5e3, "request": {"headers": headers, "url": url}, "response": {"redirectURL": "x"}}


URLS = [
    "https://a.example/",
    "data:,x",
    "https://é.example/\n",
    "wss://a.example/",
    7,
    "blob:https://a.example/1",
]
HAR = json.dumps(
    {
        "log": {
            "version": "1.2",
            "pages": [{"request": {"url": "https://no.example/"}}],
            "entries": [*map(entry, URLS), {}, "https://no.example/", [entry("https://no.example/")]],
        },
        "entries": [entry("https://no.example/")],
    },
    indent=1,
).encode()
REQUESTS = (
    {0: "https://a.example/", 2: "https://é.example/", 3: "wss://a.example/"},
    {4: "missing", 6: "missing"},
    7,
)

ATTRIBUTES = [
    {"type": "url", "value": "https://a.example/x", "Tag": [{"type": "url", "value": "https://no.example/"}]},
    {"type": "ip-dst", "value": "192.0.2.7"},
    {"value": "a.example", "type": "domain"},
    {"type": "domain|ip", "value": "b.example|192.0.2.7"},
    {"type": "hostname|port", "value": "c.example|8080"},
    {"type": "link"},
    {"type": "uri", "value": "a\nb"},
    {"value": "x"},
]
EVENT = {"info": "x", "Attribute": ATTRIBUTES, "Object": [{"name": "url", "Attribute": ATTRIBUTES[:1]}]}
FOUND = {
    0: "https://a.example/x",
    2: "a.example",
    3: "b.example",
    4: "c.example:8080",
    8: "https://a.example/x",
}
MISP = json.dumps({"response": [{"Event": EVENT}]}).encode()
INDICATORS = (FOUND, {5: "missing", 6: "malformed"}, 9)
SAMPLES = [(HarReader(), HAR, REQUESTS), (MispReader(), MISP, INDICATORS)]
samples = pytest.mark.parametrize(("reader", "content", "expected"), SAMPLES, ids=["har", "misp"])


@samples
@pytest.mark.parametrize("part_bytes", [7, 13, 2**16])
def test_records_are_those_of_the_list(
    monkeypatch: pytest.MonkeyPatch, reader: DocumentReader, content: bytes, expected: Any, part_bytes: int
) -> None:
    monkeypatch.setattr(documents, "PART_BYTES", part_bytes)
    check_cuts(reader, b"\xef\xbb\xbf \n" + content, expected)
    check_damaged(reader, content)


def test_events_may_stand_in_other_ways() -> None:
    for document in ({"Event": EVENT}, [{"Event": EVENT}], {"response": EVENT}):
        assert scan(MispReader(), json.dumps(document).encode()) == INDICATORS


@pytest.mark.parametrize("reader", [HarReader(), MispReader()])
@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b'{"log": {"entries": {}}, "Event": {}}', "has no list '(log.entries|Attribute)'; get it again"),
        (b'{"log": ', "ends in the middle of its JSON"),
        (b"", "ends in the middle of its JSON"),
        (b'{"log": ]', "is no well-formed JSON"),
        (b'{"log": {"entries": [], "Attribute": []}} {', "is no well-formed JSON"),
        (b"[" + b"9" * 5_000 + b"]", "has no list"),
        (b"[}", "is no well-formed JSON"),
        (b"{'log': 1}", "is no well-formed JSON"),
        (b"[" * (DEEPEST + 1), f"has more than {DEEPEST} lists and objects within one another"),
        (b'{"a":' * 10**6, f"has more than {DEEPEST} lists and objects within one another"),
    ],
)
def test_what_is_no_such_document_is_refused(reader: DocumentReader, content: bytes, fault: str) -> None:
    with pytest.raises(InputError, match=f"^'a' {fault}"):
        scan(reader, content)


@pytest.mark.parametrize("name", ["url", "x"])
def test_a_text_without_an_end_costs_little(name: str) -> None:
    head = b'{"log": {"entries": [{"request": {"%b": "https://a.example/' % name.encode()
    books, peak_bytes = explode(HarReader(), head, b"x", 2**22, b'", "url": "https://a.example/"}}]}}')
    assert books == ({0: "https://a.example/"}, {}, 1)
    assert peak_bytes < 2**20
    books, peak_bytes = explode(HarReader(), head, b"\\u0041", 2**21, b'"}}]}}')
    assert books == ({}, {0: "too-long" if name == "url" else "missing"}, 1)
    assert peak_bytes < 2**24
    fault, peak_bytes = explode(HarReader(), b'{"log": ', b"9 ", 2**21, b"]")
    assert "is no well-formed JSON" in str(fault)
    assert peak_bytes < 2**20


def test_memory_is_that_of_a_part() -> None:
    filling = b'{"request": {"url": "https://a.example/"}},'
    books, peak_bytes = explode(HarReader(), b'{"log": {"entries": [', filling, 2**18, b"{}]}}")
    assert isinstance(books, Books)
    assert peak_bytes < 12 * 2**20


VALUES = st.recursive(
    st.sampled_from(
        ['"x"', '"https://a.example/"', '"\\u00e9"', '"\\x"', "7", "null", "{}", "[]", '"domain"']
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda values: f"[{', '.join(values)}]"),
        st.lists(
            st.tuples(st.sampled_from(["request", "url", "type", "value", "Attribute", "a"]), inner),
            max_size=3,
        ).map(lambda fields: "{" + ",".join(f'"{name}":\n{value}' for name, value in fields) + "}"),
    ),
    max_leaves=12,
)
"""JSON in which names occur more than once, and records within records."""


@pytest.mark.parametrize("reader", [HarReader(), MispReader()])
@given(records=st.lists(VALUES, max_size=4))
def test_records_that_are_whole_are_those_of_their_tokens(reader: DocumentReader, records: list[str]) -> None:
    content = '{"log": {"entries": [%s]}, "Attribute": [%s]}' % ((", ".join(records),) * 2)
    with pytest.MonkeyPatch.context() as patch:
        at_once = scan(reader, content.encode())
        patch.setattr(documents, "PART_BYTES", 1)
        assert scan(reader, content.encode()) == at_once
