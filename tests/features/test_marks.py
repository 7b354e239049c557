"""What is marked of a line is what none of its neighbors has, in the characters that it comes from."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.utils import murmurhash3_32

from novelty_dask.features.choose import make_features
from novelty_dask.features.marks import choose_marks, find_marks
from novelty_dask.features.places import choose_places, murmurhash3
from novelty_dask.kernels.text.urls import normalize
from novelty_dask.settings import ResultSettings

ALL = [
    ResultSettings(features="url"),
    ResultSettings(features="ngrams"),
    ResultSettings(features="ngrams", ngram_range=(2, 4), n_features=64),
    ResultSettings(features="url", n_features=8),
    ResultSettings(features="url", normal_form="page"),
    ResultSettings(features="url", normal_form="template"),
    ResultSettings(features="ngrams", normal_form="web"),
]
URL, NGRAMS = map(choose_places, ALL[:2])
ALL_OF_THEM = pytest.mark.parametrize(
    "chosen",
    ALL,
    ids=[
        "url",
        "ngrams",
        "few ngrams",
        "few columns",
        "url of pages",
        "url of templates",
        "ngrams of web forms",
    ],
)

close = st.text("aB1-_./?#&=%:@ éİΣ北", min_size=1, max_size=30)
plain = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
lines = close | plain | close.map("http://a.example/{}".format)


def form_of(line: str, chosen: ResultSettings) -> str:
    """The normal form of a line, for which it has to have one."""
    form = normalize(line, chosen.normal_form)
    assume(form is not None)
    assert form is not None
    return form


@ALL_OF_THEM
@settings(deadline=None, max_examples=60)
@given(lines)
def test_places_have_the_columns_that_are_counted(chosen: ResultSettings, line: str) -> None:
    counts = make_features(chosen).count([form_of(line, chosen)])
    places = [*choose_places(chosen)(line)]
    columns = [place.column for place in places]
    found, numbers = np.unique(np.array(columns, np.int64), return_counts=True)
    assert found.tolist() == counts.indices.tolist()
    assert numbers.tolist() == counts.data.tolist()
    assert all(0 <= index < len(line) for place in places for index in place.characters)


@ALL_OF_THEM
@settings(deadline=None, max_examples=60)
@given(lines, st.lists(lines, max_size=3))
def test_nothing_is_marked_exactly_if_all_is_covered(
    chosen: ResultSettings, line: str, neighbors: list[str]
) -> None:
    features = make_features(chosen)
    known = set(features.count([form_of(each, chosen) for each in neighbors]).indices.tolist())
    is_covered = set(features.count([form_of(line, chosen)]).indices.tolist()) <= known
    marks = find_marks(choose_places(chosen), line, neighbors)
    assert choose_marks(chosen, make_features)(line, neighbors) == marks
    assert (not marks) == is_covered
    assert marks == sorted(marks)
    assert all(0 <= start < stop <= len(line) for start, stop in marks)
    assert all(before[1] < after[0] for before, after in pairwise(marks))


@ALL_OF_THEM
@given(lines)
def test_nothing_is_new_beside_a_twin(chosen: ResultSettings, line: str) -> None:
    assert form_of(line, chosen)
    assert find_marks(choose_places(chosen), line, ["x.example", line]) == []


@pytest.mark.parametrize(
    ("line", "neighbors", "marked"),
    [
        ("https://a.example/x/new", ["http://a.example/x/old"], "new"),
        ("https://a.example/x?b=1", ["https://a.example/x?c=1"], "b"),
        ("https://a.example/x?id=7", ["https://a.example/x?id=8"], ""),
        ("https://a.example/5QqWz8rT3kLm/x", ["https://a.example/7HhGf2dS9aBc/x"], ""),
        ("https://shop.a.example/", ["https://www.a.example/", "https://shop.b.example/"], "shop.a"),
        ("ftp://a.example/", ["https://a.example/"], "ftp"),
        ("https://a.example:8443/", ["https://a.example/"], "8443"),
        ("https://me@a.example/", ["https://a.example/"], "me"),
        ("https://a.example/%2Egit", ["https://a.example/"], "/%2Egit"),
        ("https://a.example/", ["https://a.example/b"], "/"),
        ("https://a.example", ["https://a.example/b"], "e"),
    ],
)
def test_what_is_new_in_urls(line: str, neighbors: list[str], marked: str) -> None:
    assert "".join(line[start:stop] for start, stop in find_marks(URL, line, neighbors)) == marked


@pytest.mark.parametrize(
    ("line", "neighbors", "marked"),
    [
        ("HTTP://WWW.a.example:80/x/%6Eew/?utm_source=m#top", ["https://a.example/x/old"], "%6Eew"),
        ("https://a.example/new?b=1&a=2&utm_source=b", ["a.example/old?a=2&b=3"], "/new"),
        ("https://a.example/x/../../y//", ["https://a.example/"], "/y"),
        ("https://www.a.example/x/", ["http://a.example/x"], ""),
        ("https://Bücher.example/", ["https://xn--bcher-kva.example"], ""),
    ],
)
def test_what_is_new_in_pages_is_marked_as_it_was_written(
    line: str, neighbors: list[str], marked: str
) -> None:
    found = find_marks(choose_places(ResultSettings(features="url", normal_form="page")), line, neighbors)
    assert "".join(line[start:stop] for start, stop in found) == marked


def test_everything_is_new_without_neighbors() -> None:
    assert find_marks(URL, "a.example/b", []) == [(0, 11)]
    assert find_marks(NGRAMS, "İ  x北", []) == [(0, 5)]


@given(st.binary(max_size=20))
def test_hashes_are_those_of_scikit_learn(data: bytes) -> None:
    assert murmurhash3(data) == murmurhash3_32(data, positive=True)
