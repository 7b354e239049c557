"""No secret of a listed kind survives, wherever it stands and however it is encoded."""

import re
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novelty_dask.kernels.text.secrets import HIDDEN, NAMES, WORDS, hide, redact, secret_spans

CANARY = "c4n4rY"
SHOWN = {
    "https://a.example/x?page=2&q=token#top": "https://a.example/x?page=2&q=token#top",
    "https://me:pw@a.example/": "https://…@a.example/",
    "me@a.example/": "…@a.example/",
    "//me:p@w@a.example:8080/x": "//…@a.example:8080/x",
    "http:\\\\me:pw@a.example\\x": "http:\\\\…@a.example\\x",
    "https://a.example/?next=https://me:pw@b.example/": "https://a.example/?next=https://…@b.example/",
    "https://a.example/?to=ann@b.example&x=1": "https://a.example/?to=…@b.example&x=1",
    "https://a.example/?token=a;b&page=2": "https://a.example/?token=…&page=2",
    "https://a.example/?token=a?b#top": "https://a.example/?token=…#top",
    "https://a.example/?token=": "https://a.example/?token=",
    "https://a.example/x;jsessionid=0A/y?b=1": "https://a.example/x;jsessionid=…/y?b=1",
    "https://a.example/cb#access_token=a#b&state=1": "https://a.example/cb#access_token=…&state=1",
    "https://a.example/#/route?api-key=a": "https://a.example/#/route?api-key=…",
    "https://a.example/?X-Amz-Signature=a&user[pass%77ord]=b": (
        "https://a.example/?X-Amz-Signature=…&user[pass%77ord]=…"
    ),
    "https://a.example/?u=https%3A%2F%2Fb.example%2F%3Ftoken%3Da%26y%3D2&x=1": (
        "https://a.example/?u=https%3A%2F%2Fb.example%2F%3Ftoken%3D…%26y%3D2&x=1"
    ),
    "https://a.example/caf%C3%A9?q=%E5%8C%97": "https://a.example/caf%C3%A9?q=%E5%8C%97",
    "token=a": "token=…",
    "": "",
}


@pytest.mark.parametrize("url", SHOWN)
def test_secrets_are_hidden_and_nothing_else(url: str) -> None:
    assert redact(url) == SHOWN[url]
    assert redact(SHOWN[url]) == SHOWN[url]


@st.composite
def urls_with_secrets(draw: st.DrawFn) -> str:
    """URLs in which a canary is a user, a password, or the value of a parameter that is listed."""
    name = draw(st.sampled_from([*WORDS, *NAMES]))
    name = draw(st.sampled_from([name, name.upper(), name.title(), quote(name), f"{name[:2]}-{name[2:]}"]))
    if name.lower().replace("-", "") in WORDS:
        name = draw(st.sampled_from(["", "x_", "my."])) + name + draw(st.sampled_from(["", "2", "[]"]))
    value = draw(st.text("ab%.;:=+/", max_size=4)) + CANARY
    kind = draw(st.sampled_from(["user", "query", "fragment", "path", "route"]))
    if kind == "user":
        user = draw(st.sampled_from(["me:", "me@x:", ""])) + draw(st.text("ab%.;:=+&", max_size=4)) + CANARY
        url = f"{draw(st.sampled_from(['http://', '//', 'x://', '']))}{user}@a.example/x?y=1"
    elif kind == "path":
        url = f"http://a.example/x;{name}={CANARY}/y?z=1"
    else:
        before = {"query": "/x?", "fragment": "/x#", "route": "/x#/y?"}[kind]
        others = draw(st.sampled_from(["", "b=1&", "&", "b;", "c=%41&"]))
        url = f"http://a.example{before}{others}{name}={value}&z=1"
    for _ in range(draw(st.integers(0, 6))):
        url = f"https://b.example/go?to={quote(url, safe=draw(st.sampled_from(['', '/', ':/@'])))}"
    return url


@given(urls_with_secrets())
def test_no_secret_survives(url: str) -> None:
    assert CANARY in url
    assert CANARY not in redact(url)
    assert HIDDEN in redact(url)
    assert redact(redact(url)) == redact(url)


@given(st.text("ab@=%:/?&#;4053token…", max_size=40))
def test_spans_are_in_order_and_what_is_hidden_stays_hidden(text: str) -> None:
    spans = secret_spans(text)
    places = [place for span in spans for place in span]
    assert places == sorted(set(places))
    shown = "".join(text[a:b] for a, b in zip([0, *places[1::2]], [*places[::2], len(text)], strict=True))
    assert redact(text).replace(HIDDEN, "") == shown.replace(HIDDEN, "")


@given(urls_with_secrets(), st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), max_size=4))
def test_marks_move_with_what_they_are_on(url: str, parts: list[tuple[int, int]]) -> None:
    shown, marks = hide(url, parts)
    assert all(HIDDEN not in shown[start:stop] for start, stop in marks)
    secret = {place for start, stop in secret_spans(url) for place in range(start, stop)}
    marked = [place for start, stop in parts for place in range(start, min(stop, len(url)))]
    kept = [url[place] for place in marked if place not in secret]
    assert sorted(kept) == sorted(char for start, stop in marks for char in shown[start:stop])


@pytest.mark.parametrize("text", ["a", "%", "@", "=", "/", "a@", "a=", "%25", "?token=", "//a@"])
def test_time_grows_with_the_text(text: str) -> None:
    """Long lines are a hundred times as long as usual ones."""
    began = time.process_time()
    redact(text * (100_000 // len(text)))
    assert time.process_time() - began < 5


def test_the_documentation_lists_the_names() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "exports.md").read_text(encoding="utf-8")
    section = page.split("\n## Secrets\n")[1].split("\n## ")[0]
    assert set(re.findall(r"`([a-z]+)`", section)) >= {*WORDS, *NAMES}
