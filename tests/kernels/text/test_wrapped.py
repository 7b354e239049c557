"""URLs are taken out of what people write around them, and URLs alone stay as they are."""

import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novelty_dask.cli.terminal import defang
from novelty_dask.datasets import make_urls
from novelty_dask.kernels.text.wrapped import DEFANGED, count_wrapped, refang, unwrap

URL = "https://a.example/x"


@pytest.mark.parametrize(
    "line",
    [
        f'"{URL}"',
        f'"{URL}",',
        f"'{URL}'",
        f"`{URL}`",
        f"<{URL}>",
        f"({URL})",
        f"[{URL}]",
        f"“{URL}”",
        f"«{URL}».",
        f"- {URL}",
        f"* <{URL}>",
        f"• {URL};",
        f"12. {URL}",
        f"3) {URL}",
        f"[title]({URL})",
        f"- [a title]({URL} 'more'),",
        f"![image](<{URL}>)",
        f"{URL},",
        f"{URL}.",
        f'("{URL}")',
    ],
)
def test_a_url_is_taken_out(line: str) -> None:
    assert unwrap(line) == URL
    assert count_wrapped([line, URL]) == 1


@pytest.mark.parametrize(
    "line",
    [
        URL,
        "a.example",
        "https://a.example/wiki/A_(b)",
        "https://[2001:db8::1]/",
        "[2001:db8::1]",
        "- a remark",
        "2026.11.26",
        "1. step one",
        '"quoted words"',
        "(see below)",
        "#/route",
        "'",
        ",",
        "",
        "10.0.0.1",
        "https://a.example/?q=<x>",
        "see https://a.example/x for more",
    ],
)
def test_other_lines_stay_as_they_are(line: str) -> None:
    assert unwrap(line) == line
    assert count_wrapped([line]) == 0


@given(st.text(max_size=30))
def test_what_was_taken_out_holds_nothing_more(text: str) -> None:
    assert unwrap(unwrap(text)) == unwrap(text)
    assert unwrap(text) in text


@pytest.mark.parametrize(
    ("defanged", "url"),
    [
        ("hxxps://evil[.]example/a", "https://evil.example/a"),
        ("https[:]//evil[.]example/a", "https://evil.example/a"),
        ("hXXp://evil(.)example/a", "http://evil.example/a"),
        ("https[://]evil[.]example/a", "https://evil.example/a"),
        ("h**p://evil{.}example", "http://evil.example"),
        ("evil[dot]example", "evil.example"),
        ("evil(DOT)example", "evil.example"),
        ("tcp://evil[.]example[:]1", "tcp://evil.example:1"),
        ("user[@]evil[.]example", "user@evil.example"),
        (URL, URL),
        ("hxxp is a scheme", "hxxp is a scheme"),
    ],
)
def test_what_was_defanged_is_read(defanged: str, url: str) -> None:
    assert refang(defanged) == url


@given(st.text(st.sampled_from("ahtps:/.[]()x"), max_size=30).filter(lambda text: not DEFANGED.search(text)))
def test_what_the_command_defangs_comes_back(text: str) -> None:
    if not text.lower().startswith("hxxp"):
        assert refang("".join(defang(text))) == text


def test_made_urls_are_not_touched() -> None:
    urls = make_urls(2_000)[0]
    assert [refang(unwrap(url)) for url in urls] == urls


def test_real_urls_are_hardly_touched(corpora: Path) -> None:
    """Of 100,000 lines, those that end in a comma or full stop, of which nobody knows."""
    with lzma.open(corpora / "urls_1m.txt.xz", "rt", encoding="utf-8") as file:
        urls = [line.rstrip("\n") for line, _ in zip(file, range(100_000), strict=False)]
    changed = [url for url in urls if unwrap(url) != url]
    assert len(changed) <= 100, changed[:20]
    assert all(url[-1] in ",;.!" for url in changed), changed[:20]
