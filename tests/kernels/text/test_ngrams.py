import lzma
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.utils import murmurhash3_32

from novelty_dask.datasets import make_urls
from novelty_dask.kernels.text.ngrams import count_ngrams
from tests.support.reference import count_features

HARD = [
    "",
    "ab",
    "abc",
    "ABCabc",
    "https://例え.example/é?ключ=значение#🦊🦊",
    "aaaaaaaaaaaa",
    "a  b\tc",
    " \t x\u2003\u2003y\u3000",
    "\x1c\x1d\x85\xa0\u2028",
    "İSTANBUL.example",  # Its first letter is two characters in lower case.
    "ΌΣΟΣ/ΣΑΣ",  # A sigma's lower case depends on what follows.
    "ﬁ\u0301ẞ\u1e9e\u0130\u0130",
    "a\0b\0\0c",
    "\U0010ffff\uffff\ud7ff\ue000",
    "x" * 8_192,
    "é" * 5_000,
]
"""Texts in which bytes, characters, letter cases and white spaces are easily mixed up."""

MOST_NEGATIVE = "ajobr4/a"
"""Its hash is -2**31, whose absolute value is no 32-bit integer."""


def assert_same(texts: list[str], ngram_range: tuple[int, int], n_features: int) -> None:
    """The arrays are those of scikit-learn, byte for byte."""
    found = count_ngrams(texts, ngram_range, n_features)
    expected = count_features(texts, ngram_range, n_features)
    assert found.shape == expected.shape
    for name in ("indptr", "indices", "data"):
        array, wanted = getattr(found, name), getattr(expected, name)
        assert array.dtype == wanted.dtype
        assert array.tobytes() == wanted.tobytes()


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
latin = st.text("abcAB /.%3\t\u0130Σé例🦊", max_size=40)
ranges = st.integers(1, 16).flatmap(lambda n: st.tuples(st.just(n), st.integers(n, 16)))


@settings(deadline=None, max_examples=300)
@given(st.lists(texts | latin, min_size=1, max_size=8), ranges, st.integers(1, 2**24))
@example(HARD, (3, 3), 2**20)
@example(HARD, (1, 16), 2**24)
def test_counts_are_those_of_count_features(
    texts: list[str], ngram_range: tuple[int, int], n_features: int
) -> None:
    assert_same(texts, ngram_range, n_features)


@pytest.mark.parametrize("n_features", [1, 2, 3, 1_000, 2**20 - 1, 2**20, 2**24, 2**31 - 1])
@pytest.mark.parametrize("ngram_range", [(3, 3), (1, 1), (2, 5), (16, 16)])
def test_any_number_of_columns(ngram_range: tuple[int, int], n_features: int) -> None:
    assert_same([*HARD, *make_urls(200, seed=7)[0]], ngram_range, n_features)


@pytest.mark.parametrize("n_features", [1, 7, 1_000, 2**20, 2**31 - 1])
def test_the_hash_whose_sign_can_not_be_dropped(n_features: int) -> None:
    assert murmurhash3_32(MOST_NEGATIVE) == -(2**31)
    assert_same([MOST_NEGATIVE], (8, 8), n_features)
    assert count_ngrams([MOST_NEGATIVE], (8, 8), n_features).indices == 2**31 % n_features


def test_real_urls_are_counted_as_by_count_features(corpora: Path) -> None:
    with lzma.open(corpora / "urls_1m.txt.xz", "rt", encoding="utf-8") as lines:
        urls = [line.rstrip("\n") for line in islice(lines, 20_000)]
    assert_same(urls, (3, 3), 2**20)


def test_rows_do_not_depend_on_one_another() -> None:
    together = count_ngrams(HARD, (2, 4), 1_000)
    alone = sp.vstack([count_ngrams([text], (2, 4), 1_000) for text in HARD], format="csr")
    assert (together != alone).nnz == 0


def test_a_range_may_be_a_list() -> None:
    found, expected = (count_ngrams(["abcd"], ngram_range, 2**20) for ngram_range in ([3, 3], (3, 3)))
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.data, expected.data)


@pytest.mark.parametrize("texts", [[], ["", "a"]])
def test_texts_without_ngrams_are_an_empty_matrix(texts: list[str]) -> None:
    X = count_ngrams(texts, (3, 3), 2**20)
    assert X.shape == (len(texts), 2**20)
    assert X.dtype == np.float32
    assert X.nnz == 0


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        count_features(["abc\ud800"], (3, 3), 2**20)
    with pytest.raises(UnicodeEncodeError):
        count_ngrams(["abc\ud800"], (3, 3), 2**20)
