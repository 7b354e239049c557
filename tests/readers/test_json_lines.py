"""JSON lines: which field of which object is scored."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.errors import InputError
from novelty_dask.readers import json_lines
from novelty_dask.readers.json_lines import JsonLinesReader
from tests.support.books import scan


def test_fields_within_fields_are_found() -> None:
    lines = [{"request": {"endpoint": "https://a.example/x"}}, {"request.endpoint": "b.example"}]
    content = "\n".join(map(json.dumps, lines)).encode()
    assert scan(JsonLinesReader("request.endpoint"), content).texts == {
        0: "https://a.example/x",
        1: "b.example",
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "blank"),
        (b"{", "malformed"),
        (b"not json", "malformed"),
        (b"[" * 100_000, "malformed"),
        (b'{"url": "\xff"}', "malformed"),
        (b'{"url": "\\ud800"}', "malformed"),
        (b'{"url": "a\\nb"}', "malformed"),
        (b'{"url": null}', "missing"),
        (b'{"url": 7}', "missing"),
        (b'{"url": {"url": "x"}}', "missing"),
        (b'{"link": "x"}', "missing"),
        (b'["url"]', "missing"),
        (b'"url"', "missing"),
        (b'{"url": ""}', "blank"),
        (b'{"url": "\\u0000"}', "nul"),
    ],
)
def test_what_has_no_text_there_is_rejected(line: bytes, reason: str) -> None:
    found = scan(JsonLinesReader("url"), line + b'\n{"url": "a.example"}\n')
    assert found == ({1: "a.example"}, {0: reason}, 2)


def test_a_line_that_is_too_long_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "RECORD_BYTES", 100)
    found = scan(JsonLinesReader("url"), b'{"text": "' + b"x" * 999 + b'"}\n{"url": "a.example"}\n', 64)
    assert found == ({1: "a.example"}, {0: "too-long"}, 2)


def test_the_field_must_be_named() -> None:
    with pytest.raises(InputError, match=r"as in --column request.url \(it has: id, request.url\)"):
        scan(JsonLinesReader(None), b'{"id": 1, "request": {"url": "a.example"}}\n')


def test_the_names_of_fields_are_those_of_the_first_object() -> None:
    with pytest.raises(InputError, match=r"\(it has: url\)"):
        scan(JsonLinesReader(None), b'\n# feed\n{"url": "a.example"}\n{"link": "b.example"}\n')


VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["url", "a", "a.url"]), inner)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(values=st.lists(VALUES, max_size=10), chunk_bytes=st.integers(1, 30))
def test_every_line_has_an_account(values: list[object], chunk_bytes: int) -> None:
    content = "".join(f"{json.dumps(value)}\n" for value in values).encode()
    found = scan(JsonLinesReader("url"), content, chunk_bytes)
    assert found.n_lines == len(found.texts) + len(found.reasons) == len(values)
    for number, value in enumerate(values):
        text = value.get("url") if isinstance(value, dict) else None
        stripped = text.strip() if isinstance(text, str) else ""
        is_comment = stripped.startswith("#") and stripped[1:2] in ("", "#", " ", "\t")
        is_plain = stripped and not {*stripped} & {"\n", "\0"} and not is_comment
        assert found.texts.get(number) == (stripped if is_plain else None)
