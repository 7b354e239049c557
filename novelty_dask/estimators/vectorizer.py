"""The features of URLs, or of lines of text, as a vectorizer of scikit-learn."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Set
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from novelty_dask.execution.arrays import compute_partitions, is_collection, make_arrays
from novelty_dask.features.choose import make_features
from novelty_dask.kernels.text.normal_forms import normalize_texts
from novelty_dask.kernels.text.tfidf import document_frequency
from novelty_dask.settings import ResultSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BATCH_TEXTS = 65_536
"""Texts that are counted at once, to fit."""
DIGEST_BYTES = 16
"""Bytes by which equal forms in different partitions are known."""


class UrlVectorizer(TransformerMixin, BaseEstimator):
    """Vectorizer of URLs, or of lines of text, to the weights by which a run compares them.

    Fitted on the rows of a run, it gives the columns and the weights of the run, to the last bit.

    Parameters
    ----------
    features : {"url", "ngrams"}
        Parts of URLs, or character n-grams, as for plain text.
    ngram_range : (int, int), optional
        Shortest and longest character n-grams, by default 3 and 3; for "ngrams" alone.
    n_features : int, optional
        Number of columns, by default 2**22 for "url" and 2**20 for "ngrams".
    normal_form : {"raw", "web", "page", "template"}, optional
        Form in which texts are compared; by default "page" for "url", and "raw" for "ngrams".

    Attributes
    ----------
    idf_ : ndarray of float32, shape (n_features,)
        Weight of each column.
    n_rows_ : int
        Number of distinct forms that were fitted.

    Notes
    -----
    Texts with equal forms are counted once by `fit`, as they are one row of a run; `transform` returns a row
    for each text.  The columns are hashed and have no names, so that no data frame is made of them.

    Examples
    --------
    >>> X = UrlVectorizer().fit_transform(["https://a.example/x", "http://www.a.example/x", "b.example"])
    >>> X.shape[0], bool((X[0] != X[1]).nnz == 0)
    (3, True)
    """

    def __init__(
        self,
        features: str = "url",
        *,
        ngram_range: tuple[int, int] | None = None,
        n_features: int | None = None,
        normal_form: str | None = None,
    ) -> None:
        self.features = features
        self.ngram_range = ngram_range
        self.n_features = n_features
        self.normal_form = normal_form

    def fit(self, X: Any, y: object = None) -> Self:
        """Count how many distinct forms have each column.

        Parameters
        ----------
        X : list, Series or array of str, or Bag, Series or one-dimensional Array of Dask
            The texts.  Of what Dask holds, 16 bytes a distinct form come into memory.
        y : ignored

        Returns
        -------
        UrlVectorizer
            Itself.

        Raises
        ------
        SettingsError
            A parameter is impossible.
        TypeError, ValueError
            What is given is not one column of texts, or there is no text.
        """
        settings = self._settings()
        if is_collection(X):
            frequency, n_rows = _count_partitions(X, settings)
        else:
            forms = [*dict.fromkeys(_forms(check_texts(X), settings))]
            frequency, n_rows = _frequency(forms, settings), len(forms)
        if not n_rows:
            message = "There is no text to fit; pass at least one."
            raise ValueError(message)
        self.n_rows_ = n_rows
        self.idf_ = make_features(settings).inverse_document_frequency(frequency, n_rows)
        return self

    def transform(self, X: Any) -> Any:
        """Return the weights of texts.

        Parameters
        ----------
        X : list, Series or array of str, or Bag, Series or one-dimensional Array of Dask

        Returns
        -------
        csr_matrix of float32, shape (n_texts, n_features)
            Rows of unit length; a Dask array of such blocks of what Dask holds.
        """
        check_is_fitted(self)
        if is_collection(X):
            meta: Any = sp.csr_matrix(np.empty((0, self.idf_.size), np.float32))
            return make_arrays(X, _weigh_part, self, {"weights": meta})[0]
        settings = self._settings()
        features = make_features(settings)
        return features.weigh(features.count(_forms(check_texts(X), settings)), self.idf_)

    def _settings(self) -> ResultSettings:
        """Return the parameters as settings of a run, with their defaults."""
        # What is None has a default that depends on the other parameters.
        given = {name: value for name, value in self.get_params().items() if value is not None}
        return ResultSettings.make(**given)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: of the weights, those of columns that were seen."""
        # Dask sends the estimator with a graph.  Millions of columns have the weight of a column never seen.
        state = dict(super().__getstate__())
        if "idf_" in state:
            unseen = self.idf_.max()
            [seen] = np.nonzero(self.idf_ != unseen)
            if 2 * seen.size < self.idf_.size:
                state["idf_"] = (self.idf_.size, unseen, seen.astype(np.uint32), self.idf_[seen])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what was pickled."""
        if isinstance(state.get("idf_"), tuple):
            size, unseen, seen, weights = state["idf_"]
            idf = np.full(size, unseen)
            idf[seen] = weights
            state = {**state, "idf_": idf}
        super().__setstate__(state)

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn may pass: texts."""
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


def is_text(X: Any) -> bool:
    """Return whether rows are given as texts, by the first of them; of Dask, whether they have no columns."""
    if is_collection(X):
        return getattr(X, "ndim", 1) == 1
    return _is_column(X) and isinstance(next(iter(X), None), str)


def _is_column(X: Any) -> bool:
    """Return whether something may be a column of texts."""
    # What can be read but once is none: texts are looked at, fitted and transformed.
    is_other = isinstance(X, str | bytes | Mapping | Set | Iterator) or not isinstance(X, Iterable)
    return not is_other and getattr(X, "ndim", 1) == 1


def check_texts(X: Any) -> list[str]:
    """Return texts as a list.

    Raises
    ------
    TypeError
        One is none, or they are no column of texts.
    """
    if not _is_column(X):
        message = f"X is {type(X).__name__}; pass one column of texts, such as a list."
        raise TypeError(message)
    texts = X.tolist() if hasattr(X, "tolist") else list(X)
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            message = (
                f"Text number {number:,} (from 0) is {type(text).__name__}; convert it, or leave it out."
            )
            raise TypeError(message)
    return texts


def _weigh_part(vectorizer: UrlVectorizer, texts: Any) -> tuple[sp.csr_matrix]:
    """Return the weights of the texts of a partition."""
    return (vectorizer.transform(_as_column(texts)),)


def _as_column(texts: Any) -> Any:
    """Return the texts of a partition, which may be an iterator, as a column."""
    return texts if hasattr(texts, "ndim") else list(texts)


def _forms(texts: Sequence[str], settings: ResultSettings) -> Sequence[str]:
    """Return the normal forms of texts.

    Raises
    ------
    ValueError
        A text has none.
    """
    forms: Sequence[Any] = normalize_texts(texts, settings.normal_form)
    for number, form in enumerate(forms):
        if form is None:
            message = (
                f"Text number {number:,} (from 0) is no URL; leave it out, or choose another normal_form."
            )
            raise ValueError(message)
    return forms


def _frequency(forms: Sequence[str], settings: ResultSettings) -> NDArray[np.int64]:
    """Return how many forms have each column."""
    # In batches: counts of all texts at once may be larger than the texts.
    features = make_features(settings)
    frequency = np.zeros(features.n_features, np.int64)
    for start in range(0, len(forms), BATCH_TEXTS):
        frequency += document_frequency(features.count(forms[start : start + BATCH_TEXTS]))
    return frequency


def _count_partitions(X: Any, settings: ResultSettings) -> tuple[NDArray[np.int64], int]:
    """Return how many distinct forms of a Dask collection have each column, and how many there are."""
    # The texts are computed twice: which of equal forms counts is known when all were seen, and all texts
    # may be more than memory holds.
    digests = compute_partitions(X, partial(_digest_part, settings), None)
    # The first of equal forms counts, in whatever partition the others are.
    joined = np.concatenate(digests)
    _, first = np.unique(joined, return_index=True)
    bounds = np.cumsum([0, *map(len, digests)])
    wanted = [np.sort(first[(first >= a) & (first < b)]) - a for a, b in pairwise(bounds)]
    frequency = np.zeros(make_features(settings).n_features, np.int64)
    for columns, counts in compute_partitions(X, partial(_count_part, settings, wanted), None):
        frequency[columns] += counts
    return frequency, first.size


def _digest_part(settings: ResultSettings, _number: int, texts: Any) -> NDArray[np.void]:
    """Return a digest of the form of each text of a partition."""
    forms = _forms(check_texts(_as_column(texts)), settings)
    digests = b"".join(
        hashlib.blake2b(form.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()
        for form in forms
    )
    return np.frombuffer(digests, np.dtype((np.void, DIGEST_BYTES)))


def _count_part(
    settings: ResultSettings, wanted: Sequence[NDArray[np.int64]], number: int, texts: Any
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the columns of those texts of a partition that count, and how many of them have each."""
    forms = _forms(check_texts(_as_column(texts)), settings)
    frequency = _frequency([forms[place] for place in wanted[number]], settings)
    # Few of millions of columns occur in a partition, and only those travel.
    columns = np.flatnonzero(frequency)
    return columns, frequency[columns]
