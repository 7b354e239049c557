import json
import lzma
import time
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from novelty_dask.kernels.text.urls import form_key, normalize, sort_key, spelling_key

# Text that is likely to be cut in the wrong place.
URL_PIECES = st.lists(
    st.sampled_from(
        [
            "http",
            "foo",
            ":",
            "/",
            "//",
            "?",
            "#",
            "@",
            ".",
            "..",
            "[",
            "]",
            "12",
            "a.b",
            "%2e",
            "\\",
            " ",
            "\t",
            "é",
        ]
    ),
    max_size=12,
).map("".join)
ANY_TEXT = st.one_of(URL_PIECES, st.text(), st.text(st.characters(categories=None), max_size=20))


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://a.example.org/x?y", "org.example.a /x?y"),
        ("https://a.example.org", "org.example.a "),
        ("https://a.example.org/", "org.example.a /"),
        ("https://a.example.org?y=/z", "org.example.a ?y=/z"),
        ("https://a.example.org#y", "org.example.a #y"),
        ("a.example.org/x", "org.example.a /x"),
        ("a.example.org:8080/x", "org.example.a /x"),
        ("//a.example.org/x", "org.example.a /x"),
        ("a.example.org/x?u=http://b.example/", "org.example.a /x?u=http://b.example/"),
        ("a.example.org?u=http://b.example/", "org.example.a ?u=http://b.example/"),
        ("https://A.Example.ORG/X", "org.example.a /X"),
        ("https://a.example.org./x", "org.example.a /x"),
        ("https://user:pass@a.example.org:443/x", "org.example.a /x"),
        ("https://user@b@a.example.org/x", "org.example.a /x"),
        ("https://a.example.org:/x", "org.example.a /x"),
        ("https://a.example.org/x@b:80", "org.example.a /x@b:80"),
        ("http://192.0.2.7/x", "192.0.2.7 /x"),
        ("http://192.0.2.7:8080/x", "192.0.2.7 /x"),
        ("http://192.0.2.7./x", "192.0.2.7 /x"),
        ("http://[2001:DB8::1]/x", "[2001:db8::1] /x"),
        ("http://[2001:db8::1]:80/x", "[2001:db8::1] /x"),
        ("http://[::192.0.2.7]/x", "[::192.0.2.7] /x"),
        ("localhost:3000", "localhost "),
        ("http:///x", " /x"),
        ("/x", " /x"),
        ("mailto:me@a.example", "example.a "),
        ("", " "),
    ],
)
def test_sort_key(url: str, key: str) -> None:
    assert sort_key(url) == key


LINE = ANY_TEXT.map(lambda text: text.replace("\0", "").encode("utf-8", "ignore").decode())
"""What may be a line: neither NUL nor half a character."""


@settings(deadline=None, max_examples=500)
@given(forms=st.lists(LINE, min_size=2, max_size=6), urls=st.lists(LINE, min_size=2, max_size=6))
@example(forms=["0.a/7", "a.0/7"], urls=["0.a/7", "a.0/7"])
@example(forms=["a", "a\1", "a.", "A", "a:", "a:80", "//a", "x://a", "u@a"], urls=["a", "b"])
def test_forms_with_one_form_key_are_equal_and_their_spellings_side_by_side(
    forms: list[str], urls: list[str]
) -> None:
    keys = {form: {form_key(spelling_key(form, url)) for url in urls} for form in forms}
    assert {len(found) for found in keys.values()} == {1}
    assert len(set.union(*keys.values())) == len(keys)
    # By sort key first, then by form: no spelling of another form is between two of one.
    ordered = sorted((spelling_key(form, url), form) for form in keys for url in urls)
    assert [sort_key(form) for _, form in ordered] == sorted(sort_key(form) for _, form in ordered)
    assert len([*groupby(form for _, form in ordered)]) == len(keys)


def test_different_urls_have_different_keys() -> None:
    assert len({spelling_key("a", f"http://a/?utm_id={number}") for number in range(1_000)}) == 1_000


@settings(deadline=None, max_examples=500)
@given(ANY_TEXT)
def test_sort_key_takes_any_text(url: str) -> None:
    assert " " in sort_key(url)


@pytest.mark.sampled
@settings(deadline=None, max_examples=200)
@given(host=st.from_regex(r"[a-z0-9-]{1,5}(\.[a-z0-9-]{1,5}){0,3}", fullmatch=True), path=st.text())
@pytest.mark.parametrize("form", ["{}/", "//{}/", "http://{}/", "FTP://u:p@{}:21/", "//@{}.:/"])
def test_sort_key_is_of_host_and_path_only(form: str, host: str, path: str) -> None:
    key = sort_key(f"https://{host}/{path}")
    assert sort_key(form.format(host.upper()) + path) == key
    assert key.endswith(f" /{path}")


def test_sort_key_puts_sites_and_their_subdomains_side_by_side() -> None:
    urls = ["https://a.example/2", "http://b.test/", "https://www.a.example/", "https://a.example/1"]
    assert sorted(urls, key=sort_key) == [urls[3], urls[0], urls[2], urls[1]]


@pytest.mark.parametrize(
    "url", [":" * 10**6, "http://" + "a." * 10**6, "@" * 10**6 + ":1", "[" * 10**6, "a" * 10**6]
)
def test_sort_key_takes_linear_time(url: str) -> None:
    start = time.process_time()
    sort_key(url)
    assert time.process_time() - start < 1


@pytest.mark.parametrize("url", ["", " x ", "http://[bad/", "Example.org/../x", "\ud800"])
def test_raw_form_is_the_text_itself(url: str) -> None:
    assert normalize(url) == normalize(url, "raw") == url


@pytest.mark.parametrize(
    ("url", "web"),
    [
        ("https://example.org", "https://example.org/"),
        ("HTTPS://Example.ORG:443/a/./b/../c?b&a#f", "https://example.org/a/c?b&a#f"),
        ("example.org/x", "http://example.org/x"),
        ("example.org:8080/x", "http://example.org:8080/x"),
        ("localhost:3000", "http://localhost:3000/"),
        ("//example.org/x", "http://example.org/x"),
        ("  https://example.org/a\tb ", "https://example.org/ab"),
        ("https://bücher.example/é", "https://xn--bcher-kva.example/%C3%A9"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://[2001:DB8:0::1]/", "http://[2001:db8::1]/"),
        ("http:example.org", "http://example.org/"),
        ("javascript:alert(1)", "javascript:alert(1)"),
        ("data:text/html,<b>", "data:text/html,<b>"),
        ("file:///etc/x", "file:///etc/x"),
        ("mailto:me@a.example", "mailto:me@a.example"),
        ("https://u:p@example.org/", "https://u:p@example.org/"),
        ("https://example.org/%zz", "https://example.org/%zz"),
        ("", None),
        (" ", None),
        ("/x", None),
        ("///x", None),
        ("\\x", None),
        ("?x", None),
        ("#x", None),
        ("two words", None),
        ("ht!tp://x", None),
        ('"http://example.org/"', None),
        ('"example.org/x"', None),
        ("(example.org)", None),
        ("1,example.org", None),
        ("30,https://example.org/", None),
        ("//example.org,x/", None),
        ("User-agent: *", None),
        ("example.org/x,y", "http://example.org/x,y"),
        ("https://example.org,x/", "https://example.org,x/"),
        ("1http://example.org/", None),
        ("example.org/?u=ht!tp://x", "http://example.org/?u=ht!tp://x"),
        ("user@example.org:80//x", "http://user@example.org//x"),
        ("http://", None),
        ("http://[bad/", None),
        ("http://[::1", None),
        ("http://example.org:99999/", None),
        ("http://exa mple.org/", None),
        ("http://a\0b/", None),
        ("http://example.org/\ud800", None),
    ],
)
def test_web_form(url: str, web: str | None) -> None:
    assert normalize(url, "web") == web


@settings(deadline=None, max_examples=1000)
@given(ANY_TEXT)
@example("foo:1\t2")
@example("foo:12 ")
@example("foo:\x0012")
@example("web:/.//x")
def test_web_form_never_raises_and_is_idempotent(url: str) -> None:
    web = normalize(url, "web")
    assert web is None or normalize(web, "web") == web


@pytest.mark.corpus
def test_hostile_lines(corpora: Path) -> None:
    with lzma.open(corpora / "bad_input.jsonl.xz", "rt") as lines:
        urls = [json.loads(line)["input"] for line in lines]
    assert len(urls) > 9000
    for url in urls:
        assert " " in sort_key(url)
        web = normalize(url, "web")
        assert web is None or normalize(web, "web") == web
