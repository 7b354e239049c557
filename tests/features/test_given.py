"""Features of a vectorizer that the user gives: what it must be, and what becomes of its rows."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer

from novelty_dask.errors import SettingsError
from novelty_dask.features.choose import make_features
from novelty_dask.features.given import Carried, GivenFeatures, using
from novelty_dask.features.ngrams import NgramFeatures
from novelty_dask.settings import ResultSettings

LINES = ["https://a.example/x?aaa", "", "https://b.example/é", "abcabc"]
HASHING = {"analyzer": "char", "norm": None, "alternate_sign": False, "n_features": 2**12}


class Fixed:
    """A vectorizer that makes the same of everything."""

    def __init__(self, row: Any) -> None:
        self.row = row

    def transform(self, lines: list[str]) -> Any:
        """Return a row for each line."""
        return sp.csr_matrix(np.array([self.row] * len(lines)))


class Broken(Fixed):
    """A vectorizer that fails, or makes something else."""

    def transform(self, lines: list[str]) -> Any:
        """Raise, or return what was given."""
        if isinstance(self.row, Exception):
            raise self.row
        return self.row


def test_a_hashing_vectorizer_makes_the_bytes_of_our_kernel() -> None:
    given = GivenFeatures.of(HashingVectorizer(ngram_range=(2, 3), **HASHING))
    own = NgramFeatures((2, 3), 2**12)
    counts, expected = given.count(LINES), own.count(LINES)
    for name in ("data", "indices", "indptr"):
        assert np.array_equal(getattr(counts, name), getattr(expected, name))
    frequency = np.bincount(counts.indices, minlength=2**12)
    idf = given.inverse_document_frequency(frequency, 4)
    assert idf.tobytes() == own.inverse_document_frequency(frequency, 4).tobytes()
    assert given.weigh(counts, idf).data.tobytes() == own.weigh(expected, idf).data.tobytes()


def test_rows_as_they_are_have_unit_length_and_keep_their_bits_if_they_have_it() -> None:
    tfidf = TfidfVectorizer(analyzer="char", dtype=np.float32).fit(LINES)
    given = GivenFeatures.of(tfidf, "as_is")
    rows = given.count(LINES)
    idf = given.inverse_document_frequency(np.ones(given.n_features, np.int64), 4)
    assert set(idf.tolist()) == {1}
    expected = tfidf.transform(LINES)
    expected.sort_indices()
    assert given.weigh(rows, idf).data.tobytes() == expected.data.tobytes()
    assert GivenFeatures.of(Fixed([3, 0, 4]), "as_is").weigh(
        sp.csr_matrix(np.array([[3, 0, 4]], np.float32)), idf
    ).data.tolist() == pytest.approx([0.6, 0.8])


def test_room_for_entries_is_enough_for_urls() -> None:
    for ngram_range in ((3, 3), (1, 5)):
        given = GivenFeatures.of(
            HashingVectorizer(ngram_range=ngram_range, **{**HASHING, "n_features": 2**20})
        )
        for text in ("https://www.example.com/a/b?c=d&e=f", "x" * 50, "0123456789abcdef" * 100):
            assert given.count([text]).nnz <= given.entries_a_byte * len(text) + given.entries_a_row


def test_the_name_tells_vectorizers_and_weights_apart() -> None:
    names = {
        GivenFeatures.of(vectorizer, weights).name
        for vectorizer in (Fixed([1, 0]), Fixed([2, 0]), HashingVectorizer(**HASHING))
        for weights in ("tfidf", "as_is")
    }
    assert len(names) == 6
    for name in names:
        assert ResultSettings.make(features=name).features == name


@pytest.mark.parametrize(
    ("vectorizer", "weights", "sentence"),
    [
        (HashingVectorizer(norm=None), "tfidf", r"negative or infinite values; .* alternate_sign=False"),
        (
            HashingVectorizer(alternate_sign=False),
            "tfidf",
            r"values below 1, which are no counts; .* norm=None",
        ),
        (TfidfVectorizer(), "as_is", "The vectorizer is not fitted; fit it first"),
        (Fixed([np.nan, 1]), "as_is", "negative or infinite values"),
        (Fixed([np.inf, 1]), "as_is", "negative or infinite values"),
        (Broken(np.eye(3)), "tfidf", "made a ndarray; pass one that makes sparse matrices"),
        (Broken(KeyError("x")), "tfidf", "The vectorizer failed on a text: 'x'"),
        (CountVectorizer, "tfidf", "A vectorizer has a method transform; pass one"),
        (len, "tfidf", "A vectorizer has a method transform; pass one"),
        (Fixed([1, 0]), "idf", "no weights 'idf'; pass 'tfidf' or 'as_is'"),
    ],
)
def test_what_can_not_be_compared_is_refused(vectorizer: Any, weights: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        GivenFeatures.of(vectorizer, weights)


def test_another_shape_than_at_first_is_refused() -> None:
    given = GivenFeatures.of(Fixed([1, 0]))
    given.vectorizer.row = [1, 0, 0]
    with pytest.raises(SettingsError, match=r"matrix of shape \(1, 3\) of 1 lines; it must be \(1, 2\)"):
        given.count(["a"])


def test_features_are_found_where_they_are_in_use_and_are_those_of_the_run() -> None:
    given, other = GivenFeatures.of(Fixed([1, 0])), GivenFeatures.of(Fixed([2, 0]))
    settings = ResultSettings.make(**given.settings)
    with pytest.raises(SettingsError, match=r"compares by the vectorizer Fixed:[0-9a-f]{16}; pass the same"):
        make_features(settings)
    with using(given):
        assert make_features(settings) is given
        task = Carried(lambda _: make_features(settings))
        with (
            using(other),
            pytest.raises(SettingsError, match=r"the vectorizer Fixed:\w+, not Fixed:\w+; pass the same"),
        ):
            make_features(settings)
    # As on a worker, where nothing is in use.
    assert task("0") is given
