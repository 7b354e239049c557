"""The compiled features of URLs are those of the readable definition."""

import lzma
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from novelty_dask.features.definition import count_columns
from novelty_dask.kernels.text.url_features import count_url_features
from tests.support.text import URL_EXAMPLES

HARD = [
    "",
    *"/?#@:.[]%-_a0",
    "//",
    "://",
    "a://",
    "a:/",
    "-://x",
    "0://x",
    "a+b.c-d://x",
    "http://",
    "http:///x",
    "HTTP://A.Example:80/",
    "hTTpS://a.example.../x",
    "httpx://a.example",
    "htt://a.example",
    "//cdn.example.org",
    "a@b@c.example",
    "@a.example",
    "//@a.example",
    "//@@a.example:",
    "http://:80",
    "http://a:b@c:443/",
    "a.example:8080/x",
    "a.example:/x",
    "localhost:3000/x",
    "mailto:a@b.example",
    "hello, world.",
    "x.",
    ".x",
    "a..b/c",
    "a b.example/x",
    "[::1]:80/x",
    "[::g]/x",
    "[]/x",
    "[",
    "1.2.3.4",
    "1.2.3",
    "1..2.3",
    "http://1..2.3/",
    "http://1.2.3.4./",
    "http://a.XN--80ak6aa92e.example/5QqWz8rT3kLm",
    "http://80ak6aa92eQx.example/",
    "50%",
    "%zz%4",
    "%25%32%35",
    "/" * 40,
    "a.example" + "/d" * 9,
    "a.example" + "/d" * 9 + "/",
    "a=b&c=d",
    "?a&&b=&=c",
    "?&",
    "?b=1&a=2&b=3",
    "/x?y#z?w#v",
    "#?",
    "bücher.example/ÄÖ/straße?ü=ß",
    "é" * 9,
    "\x80\xbf\x02\x03\x00\u2028",
    "%80%BF%C3%A9x",
    "http://h/" + "ab1" * 60,
    "http://h/URLPathABCdefGHIjkl",
    "http://h/AWSCLI64PY3",
    "http://h/a1b2-c3d4-e5f6-a7b8",
    "http://h/a1B2c3D4e5F6_a1B2c3D4e5F6",
    "http://8lp1-qmxr3t-hxa9.example/8LP1-QMXR3T_HXA9.x?4345a7b9-9a63-4910-a426",
    "http://h/30-09-vjer09tg-ej5rg-9jker-gk0e-trgjk-r90jg-0rejg-9rr",
    "http://h/dev-win64-ab12cd34-x86_64/a1--b2c3-d4e5f6g7/-a1b2-c3d4-e5f6",
    "http://h/AbC1-2Bc-De3F-aBCd9/1URLPath-2URLPath/1a_2B_3cD-4e5-fgh",
    "http://h/deadbeef/decade1999/00d3adb33f/D3B07384d113",
    "http://h/x3f2504e0-4f89-11d3-9a0c-0305e82c33013f2504e0-4f89-11d3-9a0c-0305e82c3301-1",
    "http://h/3f2504e0%2D4f89-11d3-9a0c-0305e82c3301",
    "http://h/?" + "&".join(f"k{i}=v" for i in range(80)),
    "x" * 8_192,
    "?" + "&" * 8_000,
    "a." * 4_000,
]


def assert_same(lines: list[str], n_features: int = 2**30) -> None:
    """Columns and counts are those of the definition."""
    found = count_url_features(lines, n_features)
    assert found.shape == (len(lines), n_features)
    assert found.data.dtype == np.float32
    assert found.indices.dtype == np.int32
    for row, line in enumerate(lines):
        part = slice(found.indptr[row], found.indptr[row + 1])
        counted = dict(zip(found.indices[part].tolist(), found.data[part].tolist(), strict=True))
        assert counted == count_columns(line, n_features), line
        assert [*counted] == sorted(counted)


@pytest.mark.sampled
@pytest.mark.parametrize("n_features", [8, 1_001, 2**20, 2**22, 2**31 - 1])
def test_examples_and_hard_lines_have_the_features_of_the_definition(n_features: int) -> None:
    assert_same([*URL_EXAMPLES, *HARD], n_features)


plain = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
close = st.text("abcABC019-_./?#&=%:@[] é北", max_size=60)
escapes = st.lists(st.binary(max_size=12).map(lambda data: "".join(f"%{byte:02x}" for byte in data)))
serials = st.lists(st.text("0aB9xY", max_size=7), min_size=2, max_size=9).map("-".join)
tokens = st.text("0123456789abcdefABCDEFxyZ-_", min_size=6, max_size=48) | serials
urls = st.builds(
    "{}{}/{}/{}?{}={}#{}".format,
    st.sampled_from(["", "//", "http://", "HTTPS://", "ws://me@"]),
    tokens | st.just("a.example"),
    tokens,
    escapes.map("".join),
    tokens,
    close,
    tokens,
)


@settings(deadline=None, max_examples=300)
@given(st.lists(plain | close | urls | tokens, min_size=1, max_size=6))
@example([*HARD])
def test_features_are_those_of_the_definition(lines: list[str]) -> None:
    assert_same(lines)


@pytest.mark.parametrize("n_lines", [2_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_real_urls_have_the_features_of_the_definition(corpora: Path, n_lines: int) -> None:
    with lzma.open(corpora / "urls_1m.txt.xz", "rt", encoding="utf-8") as file:
        assert_same([line.rstrip("\n") for line in islice(file, n_lines)], 2**22)


def test_no_line_is_without_features_and_none_has_room_for_more() -> None:
    lines = [*URL_EXAMPLES, *HARD]
    counts = np.diff(count_url_features(lines, 2**22).indptr)
    assert counts.min() > 0
    sizes = np.array([len(line.encode()) for line in lines])
    assert (counts <= sizes * 3 / 2 + 10).all()


def test_rows_do_not_depend_on_the_rows_beside_them() -> None:
    whole = count_url_features(URL_EXAMPLES, 2**22)
    for row, line in enumerate(URL_EXAMPLES):
        alone = count_url_features([line], 2**22)
        assert whole[row].indices.tolist() == alone.indices.tolist()
        assert whole[row].data.tolist() == alone.data.tolist()
    assert count_url_features([], 2**22).shape == (0, 2**22)


@pytest.mark.parametrize(
    "line",
    ["http://a.example/?" + "&".join(f"{i:x}" for i in range(1_500)), "a." * 4_000 + "a/", "/a" * 4_000],
    ids=["names", "labels", "directories"],
)
def test_hostile_lines_take_time_in_proportion_to_their_length(line: str) -> None:
    usual = ["https://www.example.org/news/2024/05/a-title.html?utm_source=feed&id=42#top"] * (
        len(line) // 76
    )
    for texts in (usual, [line]):
        count_url_features(texts, 2**22)
    seconds = []
    for texts in (usual, [line]):
        began = time.thread_time()
        count_url_features(texts * 50, 2**22)
        seconds.append(time.thread_time() - began)
    assert seconds[1] < 20 * seconds[0]
