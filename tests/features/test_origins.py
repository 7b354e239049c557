"""Each character of a normal form comes from some of the URL."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from novelty_dask.features.origins import find_origins
from novelty_dask.kernels.choices import NormalForm
from novelty_dask.kernels.text.urls import normalize

FORMS: list[NormalForm] = ["raw", "page", "template"]
close = st.text("aB1-_./?#&=%:@;x ééİ北", min_size=1, max_size=40)
lines = close | close.map("http://www.a.example/{}".format) | close.map("http://a.example/?{}".format)


@pytest.mark.parametrize("form", FORMS)
@given(lines)
def test_all_characters_of_a_form_have_an_origin(form: NormalForm, line: str) -> None:
    normal, origins = find_origins(line, form)
    assert normal == normalize(line, form)
    assert len(origins) == len(normal)
    assert all(0 <= places.start < places.stop <= len(line) for places in origins)


@given(lines)
def test_a_line_is_its_own_origin(line: str) -> None:
    assert find_origins(line, "raw") == (line, [range(i, i + 1) for i in range(len(line))])


@pytest.mark.parametrize(
    ("line", "form", "parts"),
    [
        ("http://x.example/b?y=1&x=2&y=1", "page", "x . e x a m p l e / b ? x = 2 ? y = 1 & y = 1"),
        ("/orders/77/a1b2", "template", "/ o r d e r s / 77 / a 1 b 2"),
        ("A.example/b/../%7e", "page", "A . e x a m p l e / b/../%7e"),
    ],
)
def test_origins(line: str, form: NormalForm, parts: str) -> None:
    assert [line[each.start : each.stop] for each in find_origins(line, form)[1]] == parts.split()


def test_a_parameter_that_is_there_twice_has_two_places() -> None:
    _, origins = find_origins("a.example?y=1&x=2&y=1", "page")
    starts = [places.start for places in origins[len("a.example?") :]]
    assert starts == [14, 15, 16, 9, 10, 11, 12, 17, 18, 19, 20]


def test_long_lines_take_little_time() -> None:
    line = (
        "http://www.a.example/" + "%7E/aB" * 1_500 + "/?" + "&".join(f"q{i % 7}=%41{i}" for i in range(900))
    )
    start = time.process_time()
    _, origins = find_origins(line, "template")
    assert time.process_time() - start < 1
    assert len({places.start for places in origins}) > 500
