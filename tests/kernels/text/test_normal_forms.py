import doctest
import json
import lzma
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from novelty_dask.datasets import make_urls
from novelty_dask.kernels.choices import NormalForm
from novelty_dask.kernels.text.lines import MAX_BYTES, LineBatch, Reason
from novelty_dask.kernels.text.normal_forms import normalize_array, normalize_texts, reject_nameless
from novelty_dask.kernels.text.templates import DIGITS, SYMBOLS
from novelty_dask.kernels.text.tokens import HEX, MIXED, UUID
from novelty_dask.kernels.text.tracking import SESSIONS, TRACKING
from novelty_dask.kernels.text.urls import normalize, sort_key

COMPILED: list[NormalForm] = ["web", "page", "template"]
forms = pytest.mark.parametrize("form", COMPILED)
A_UUID = "34220a16-7aed-9c15-29f3-4d17cddcecfc"
PIECES = [
    *["http", "https", "FTP", "ws", ":", "//", "/", "/", "?", "#", "#/", "#!", "@", "user", "www.", "WWW."],
    *["x", "Example", ".", "..", "/../", "/./", "example.org", "[::1]", "[", "]", ":80", ":443", ":21"],
    *[":8080", "%", "%2e", "%41", "%7E", "%2f", "%c3%a9", "%E4%BE%8B", "%ff", "%EF%B7%90", "%C2%85", "é"],
    *["例", "。", "ü", "xn--", "xn--bcher-kva", "&", "=", "a", "utm_source", "FBCLID", "PHPSESSID", "cfid"],
    *[";jsessionid=", ";", "0", "1", "12", "0x1", "aB3dE5fG7hI9", "d3b07384d113edec", A_UUID, "_", "-"],
    *[
        "aBcDeFgH",
        "x1x1x1x1x",
        "8lp1-qm4r",
        "-x3a9",
        " ",
        "\t",
        '"',
        "(",
        ",",
        "\\",
        "'",
        "|",
        "\u212a",
        "\u200d",
        "\u00ad",
    ],
    *["1.2.3.4", DIGITS, *SYMBOLS.values()],
]
"""Parts of URLs that are easily cut, decoded or masked in the wrong place, or twice."""
LINES = st.tuples(
    st.sampled_from(["", "", "http://", "https://www.", "x.example/", "//"]),
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=20),
).map("".join)


def assert_compiled_as_defined(lines: Sequence[str], form: NormalForm) -> None:
    """The compiled forms are those of the definition, and forms of forms are themselves."""
    found = normalize_array(pa.array(lines, pa.string()), form).to_pylist()
    assert found == [normalize(line, form) for line in lines]
    own = [each for each in found if each is not None]
    assert [normalize(each, form) for each in own] == own


@forms
@settings(deadline=None, max_examples=60)
@given(lines=st.lists(LINES, max_size=12))
@example(["x.example/%%41", "x.example/%1%41", "x.example/%a%41B", "//x.example/%4%31"])
@example([f"example.org{A_UUID}://WWW.:8080x", "www.%E4%BE%8B%2f#/", "http://x.y::/", "h1:///p"])
@example(["x.example/helloworldxy1111111111zz2222222222q", "x.example?a=9&a=10b", "x.example?a=9b&a=10"])
@example(["http://www.www.x.example", "http://www.example", "http://.../", "http://www..x", "www.[::1.2]"])
def test_compiled_forms_are_those_of_the_definition_and_idempotent(
    form: NormalForm, lines: list[str]
) -> None:
    assert_compiled_as_defined(lines, form)


@forms
def test_large_strings_as_pandas_makes_them_have_the_same_forms(form: NormalForm) -> None:
    lines = ["http://A.example/7", "b.example", "http://A.example/8"]
    forms = normalize_array(pa.array(lines, pa.large_string()), form)
    assert forms.to_pylist() == [normalize(line, form) for line in lines]


@forms
@settings(deadline=None, max_examples=60)
@given(lines=st.lists(st.binary(max_size=60).map(lambda line: line.decode("utf-8", "ignore")), max_size=20))
def test_any_bytes_that_are_utf8_have_the_form_of_the_definition(form: NormalForm, lines: list[str]) -> None:
    assert_compiled_as_defined(lines, form)


@forms
def test_made_urls_have_the_form_of_the_definition(form: NormalForm) -> None:
    assert_compiled_as_defined(make_urls(2_000)[0], form)


@pytest.mark.corpus
@forms
def test_hostile_lines_have_the_form_of_the_definition(corpora: Path, form: NormalForm) -> None:
    with lzma.open(corpora / "bad_input.jsonl.xz", "rt", encoding="utf-8") as lines:
        hostile = [json.loads(line)["input"].encode("utf-8", "ignore").decode() for line in lines]
    assert len(hostile) > 9_000
    assert_compiled_as_defined(hostile, form)


@pytest.mark.long
@pytest.mark.corpus
@forms
def test_real_urls_have_the_form_of_the_definition(corpora: Path, form: NormalForm) -> None:
    with lzma.open(corpora / "urls_1m.txt.xz", "rt", encoding="utf-8") as lines:
        assert_compiled_as_defined([line.rstrip("\n") for line in islice(lines, 100_000)], form)


@forms
@pytest.mark.parametrize(
    "line",
    [
        "http://x.example/" + "%" * 8_000,
        "http://x.example/?" + "&".join(f"{number % 97}" for number in range(2_500)),
        "http://" + "www." * 2_000,
        "http://x.example" + "/.." * 2_500,
        "http://x.example/" + ";jsessionid=" * 600,
        "http://x.example/" + "aB1" * 2_600,
        "http://" + "ü." * 400 + "example/",
    ],
)
def test_long_lines_have_the_form_of_the_definition(form: NormalForm, line: str) -> None:
    assert_compiled_as_defined([line, line], form)


@settings(deadline=None, max_examples=60)
@given(line=LINES)
@pytest.mark.parametrize("form", ["page", "template"])
def test_every_line_has_a_form_that_is_hardly_longer(form: NormalForm, line: str) -> None:
    found = normalize(line, form)
    assert found is not None
    # Only a host in punycode takes more bytes.
    assert len(found.encode()) <= len(line.encode()) + 253
    assert normalize(found, form) == found


@settings(deadline=None, max_examples=60)
@given(
    host=st.from_regex(r"[a-z0-9]{1,5}(\.[a-z0-9]{1,5}){1,3}\.example", fullmatch=True),
    path=st.from_regex(r"(/[a-z0-9~_-]{1,5}){0,3}", fullmatch=True),
)
@pytest.mark.parametrize(
    "spelling",
    [
        "http://{}{}",
        "HTTPS://www.{}:443{}/",
        "{}{}?fbclid=1",
        "//{}:80{}/;jsessionid=1/.",
        "http://@{}.{}#top",
    ],
)
@pytest.mark.parametrize("form", ["page", "template"])
def test_spellings_of_a_page_have_one_form_and_one_key(
    form: NormalForm, spelling: str, host: str, path: str
) -> None:
    plain, other = normalize(host + path, form), normalize(spelling.format(host.upper(), path), form)
    assert plain == other
    assert plain is not None
    assert sort_key(plain) == sort_key(other or "")


@pytest.mark.parametrize(
    ("line", "page"),
    [
        ("http://www.x.example/login/", "x.example/login"),
        ("https://X.example:443/%6Cogin?utm_source=a#top", "x.example/login"),
        ("x.example/login;jsessionid=0A", "x.example/login"),
        ("http://x.example./", "x.example"),
        ("http://x.example/?b=2&a=1&&a=0", "x.example?a=0&a=1&b=2"),
        ("http://x.example/?gclid=1&ScCid=2&phpsessid=3&ASPSESSIONIDAB=4&utm_=5", "x.example"),
        ("http://x.example/?a", "x.example?a"),
        ("http://x.example/?a=", "x.example?a="),
        ("http://x.example/a/./b/../c/%2e%2E/d", "x.example/a/d"),
        ("http://x.example/../../etc/passwd", "x.example/etc/passwd"),
        ("http://x.example//a//", "x.example//a"),
        ("http://x.example/a;v=1;JSESSIONID=2;w=3/b", "x.example/a;v=1;w=3/b"),
        ("http://x.example/a;jsessionid", "x.example/a;jsessionid"),
        ("http://x.example/#/route", "x.example#/route"),
        ("http://x.example/#!route", "x.example#!route"),
        ("http://x.example/#top/x", "x.example"),
        ("http://x.example/%7e%2f%25%zz%", "x.example/~%2F%25%zz%"),
        ("http://x.example/%c3%a9%ff%C2%85", "x.example/é%FF%C2%85"),
        ("http://x.example/Path", "x.example/Path"),
        ("https://bücher.example/", "xn--bcher-kva.example"),
        ("https://XN--BCHER-KVA.example/", "xn--bcher-kva.example"),
        ("https://b%C3%BCcher.example/", "xn--bcher-kva.example"),
        ("https://例え。jp", "xn--r8jz45g.jp"),
        ("https://x\u200d.example/", "x\u200d.example"),
        ("http://www.x.example:8080", "x.example:8080"),
        ("http://www.example", "www.example"),
        ("http://localhost:3000/", "//localhost:3000"),
        ("http://User@x.example/", "User@x.example"),
        ("http://[2001:DB8::1]:80/", "[2001:db8::1]"),
        ("FTP://x.example:21/pub/", "ftp://x.example/pub"),
        ("ftp://x.example:80/", "ftp://x.example:80"),
        # Without a host.
        ("/login/", "/login/"),
        ("localhost:3000/", "localhost:3000/"),
        ("GET /x/ HTTP/1.1", "GET /x/ HTTP/1.1"),
        ("hello, world.", "hello, world."),
        ("http:///x/", "http:///x/"),
        ("http://two words.example/", "http://two words.example/"),
        ("hxxp://a[.]example/", "hxxp://a[.]example/"),
        ('"http://x.example/"', '"http://x.example/"'),
        ("", ""),
    ],
)
def test_page(line: str, page: str) -> None:
    assert normalize(line, "page") == page
    assert normalize_texts([line], "page") == [page]


@pytest.mark.parametrize(
    ("line", "template"),
    [
        ("/orders/7", f"/orders/{DIGITS}"),
        ("/orders/777", f"/orders/{DIGITS}"),
        (f"/orders/{A_UUID}/view", f"/orders/{SYMBOLS[UUID]}/view"),
        ("http://x.example/d3b07384d113edec", f"x.example/{SYMBOLS[HEX]}"),
        ("http://x.example/aHR0cHM6Ly9leGFtcGxl.js", f"x.example/{SYMBOLS[MIXED]}.js"),
        ("http://cdn7.x.example:8080/7", f"cdn7.x.example:8080/{DIGITS}"),
        ("http://192.0.2.7/7", f"192.0.2.7/{DIGITS}"),
        ("http://x.example/?v=1z&v=9#/7", f"x.example?v={DIGITS}&v={DIGITS}z#/{DIGITS}"),
        ("http://x.example/?v=9z&v=1", f"x.example?v={DIGITS}&v={DIGITS}z"),
        ("http://x.example/v2/%2F20", f"x.example/v{DIGITS}/%2F{DIGITS}"),
        ("http://x.example/?utm_7=1", "x.example"),
    ],
)
def test_template(line: str, template: str) -> None:
    assert normalize(line, "template") == template
    assert normalize_texts([line], "template") == [template]


@pytest.mark.parametrize("name", [*TRACKING, *SESSIONS])
def test_each_name_of_the_list_is_left_out_in_any_case(name: str) -> None:
    lines = [f"x.example/?{name}=1&b=2", f"x.example/?b=2&{name.upper()}", f"x.example?b=2&x{name}&{name}x"]
    found = normalize_texts(lines, "page")
    assert found[:2] == ["x.example?b=2", "x.example?b=2"]
    assert found == [normalize(line, "page") for line in lines]


def test_an_array_may_be_empty_or_a_part_of_another() -> None:
    lines = pa.array(["http://a.example/", "http://ü.example/", "http://www.c.example/"], pa.string())
    for form in COMPILED:
        assert len(normalize_array(lines.slice(0, 0), form)) == 0
        assert len(normalize_array(pa.array([], pa.string()), form)) == 0
    assert normalize_array(lines.slice(1), "page").to_pylist() == ["xn--tda.example", "c.example"]
    assert normalize_array(lines, "raw") is lines


def test_lines_without_a_web_form_or_with_too_long_a_one_are_rejected() -> None:
    long = "http://a.example/" + "ü" * 4_000
    texts = ["a.example", "1,b.example", long, '"http://a.example/"', "30,https://a.example/", "ht!tp://x"]
    batch = reject_nameless(LineBatch(np.arange(10, 16), texts, [], 6))
    assert batch.texts == ["a.example"]
    assert batch.numbers.tolist() == [10]
    assert [(each.number, each.reason) for each in batch.rejected] == [
        (11, Reason.NOT_A_URL),
        (12, Reason.TOO_LONG),
        *((number, Reason.NOT_A_URL) for number in (13, 14, 15)),
    ]
    assert len(long.encode()) <= MAX_BYTES


def test_the_examples_of_the_documentation_are_true() -> None:
    page = Path(__file__).parents[3] / "docs" / "explanation" / "pages.md"
    results = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert results.attempted > 10
    assert results.failed == 0
