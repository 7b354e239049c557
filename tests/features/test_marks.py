"""What is marked of a line is what none of its neighbors has, in the characters that it comes from."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from novelty_dask.features.features import Features
from novelty_dask.features.marks import find_marks
from novelty_dask.features.ngrams import NgramFeatures
from novelty_dask.features.url import UrlFeatures

URL, NGRAMS = UrlFeatures(2**22), NgramFeatures((3, 3), 2**20)
BOTH = pytest.mark.parametrize("features", [URL, NGRAMS, NgramFeatures((2, 4), 64), UrlFeatures(8)])

close = st.text("aB1-_./?#&=%:@ éİΣ北", min_size=1, max_size=30)
plain = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
lines = close | plain | close.map("http://a.example/{}".format)


@BOTH
@settings(deadline=None, max_examples=60)
@given(lines)
def test_places_have_the_columns_that_are_counted(features: Features, line: str) -> None:
    counts = features.count([line])
    columns = [place.column for place in features.find_places(line)]
    found, numbers = np.unique(np.array(columns, np.int64), return_counts=True)
    assert found.tolist() == counts.indices.tolist()
    assert numbers.tolist() == counts.data.tolist()
    assert all(0 <= index < len(line) for place in features.find_places(line) for index in place.characters)


@BOTH
@settings(deadline=None, max_examples=60)
@given(lines, st.lists(lines, max_size=3))
def test_nothing_is_marked_exactly_if_all_is_covered(
    features: Features, line: str, neighbors: list[str]
) -> None:
    known = set(features.count(neighbors).indices.tolist())
    is_covered = set(features.count([line]).indices.tolist()) <= known
    marks = find_marks(features, line, neighbors)
    assert (not marks) == is_covered
    assert marks == sorted(marks)
    assert all(0 <= start < stop <= len(line) for start, stop in marks)
    assert all(before[1] < after[0] for before, after in pairwise(marks))


@BOTH
@given(lines)
def test_nothing_is_new_beside_a_twin(features: Features, line: str) -> None:
    assert find_marks(features, line, ["x", line]) == []


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


def test_everything_is_new_without_neighbors() -> None:
    assert find_marks(URL, "a.example/b", []) == [(0, 11)]
    assert find_marks(NGRAMS, "İ  x北", []) == [(0, 5)]
