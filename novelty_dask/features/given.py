"""Features that a user gives: those of a vectorizer of scikit-learn, dask-ml or one's own.

A run keeps the name of its vectorizer, which has its fingerprint, and never the vectorizer.  To load one from
a run would run whatever somebody put there.  So it comes from the user each time, and travels to workers with
the tasks that need it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import numpy as np
import scipy.sparse as sp

from novelty_dask.errors import SettingsError, reason
from novelty_dask.features.fingerprints import fingerprint
from novelty_dask.kernels.choices import AS_IS, VECTORIZER
from novelty_dask.kernels.text import tfidf

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from novelty_dask.settings import ResultSettings

Weights = Literal["tfidf", "as_is"]
"""Counts are weighted, or rows are as the vectorizer has them, but for their length."""
UNIT = 2.0**-22
"""How far the squared length of a float32 row may be from 1 by rounding alone."""
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789-_./"
SAMPLES = ("https://a.example/x?y=1", " ".join(f"{a}{b}" for a in LETTERS for b in LETTERS), LETTERS * 40)
"""Texts of words and of characters, to see what a vectorizer makes of them."""


@dataclass(frozen=True)
class GivenFeatures:
    """Features of a vectorizer that the user gives.

    Parameters
    ----------
    vectorizer : object
        Its method `transform` turns texts into sparse rows.
    name : str
        Its class, fingerprint and weights.
    n_features : int
        Number of columns.
    entries_a_byte : float
        Most entries of a row for each byte of its text, as far as samples tell.
    """

    vectorizer: Any
    name: str
    n_features: int
    entries_a_byte: float
    entries_a_row = 64

    @classmethod
    def of(cls, vectorizer: Any, weights: str = "tfidf") -> GivenFeatures:
        """Return the features of a vectorizer, which is tried with some texts.

        Raises
        ------
        SettingsError
            It is no vectorizer, is not fitted, or its rows are not sparse and nonnegative.
        """
        if weights not in get_args(Weights):
            message = f"There are no weights {weights!r}; pass 'tfidf' or 'as_is'."
            raise SettingsError(message)
        if not hasattr(vectorizer, "transform") or isinstance(vectorizer, type):
            message = "A vectorizer has a method transform; pass one of scikit-learn or dask-ml, for example."
            raise SettingsError(message)
        name = f"{VECTORIZER}{type(vectorizer).__name__}:{fingerprint(vectorizer)}"
        # Tried now: what is wrong with it is said before lines are read.
        name += AS_IS if weights == "as_is" else ""
        tried = [_call(vectorizer, [sample], name) for sample in SAMPLES]
        # Other texts may have more, for which there is room for some.
        density = max(X.nnz / len(sample) for X, sample in zip(tried, SAMPLES, strict=True))
        return cls(vectorizer, name, tried[0].shape[1], max(1.0, 1.25 * density))

    @property
    def possible_columns(self) -> int:
        """All columns."""
        return self.n_features

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of a run of these features."""
        return {"features": self.name, "n_features": self.n_features}

    def count(self, lines: Sequence[str]) -> sp.csr_matrix:
        """Return what the vectorizer makes of lines.

        Raises
        ------
        SettingsError
            It fails, or its rows are not sparse and nonnegative.
        """
        X = _call(self.vectorizer, [*lines], self.name)
        if X.shape != (len(lines), self.n_features):
            message = (
                f"The vectorizer made a matrix of shape {X.shape} of {len(lines):,} lines; it must be "
                f"({len(lines)}, {self.n_features})."
            )
            raise SettingsError(message)
        return X

    def inverse_document_frequency(self, frequency: NDArray[np.int64], n_rows: int) -> NDArray[np.float32]:
        """Return the weights of columns, as scikit-learn computes them; ones if rows are left as they are."""
        if self.name.endswith(AS_IS):
            return np.ones(frequency.size, np.float32)
        return tfidf.inverse_document_frequency(frequency, n_rows)

    def weigh(self, counts: sp.csr_matrix, idf: NDArray[np.float32]) -> sp.csr_matrix:
        """Return the weights of counts, or the rows as they are, in unit length."""
        if not self.name.endswith(AS_IS):
            return tfidf.weigh(counts, idf)
        rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
        values = counts.data.astype(np.float64)
        squares = np.bincount(rows, values * values, counts.shape[0])
        # Rows that have unit length already keep their bits.
        squares[np.abs(squares - 1) <= UNIT] = 1
        counts.data = (values / np.sqrt(squares[rows])).astype(np.float32)
        return counts


def _call(vectorizer: Any, lines: list[str], name: str) -> sp.csr_matrix:
    """Return what a vectorizer makes of lines, checked, columns ascending in each row."""
    try:
        made: Any = vectorizer.transform(lines)
    except Exception as error:  # another's code may raise anything
        is_unfitted = type(error).__name__ == "NotFittedError"
        what = "is not fitted; fit it first" if is_unfitted else f"failed on a text: {reason(error)}"
        message = f"The vectorizer {what}."
        raise SettingsError(message) from error
    if not sp.issparse(made):
        message = (
            f"The vectorizer made a {type(made).__name__}; pass one that makes sparse matrices of SciPy."
        )
        raise SettingsError(message)
    # A copy, as it is changed here and overwritten by weights, and the vectorizer may have kept what it gave.
    X = sp.csr_matrix(cast("sp.csr_matrix", made), dtype=np.float32, copy=True)
    X.sum_duplicates()
    X.eliminate_zeros()
    # Written so that NaN, which fails every comparison, is found too.
    if not np.all((X.data > 0) & (X.data < np.inf)):
        message = (
            "The vectorizer makes negative or infinite values; pass one that makes none, such as a hashing "
            "vectorizer with alternate_sign=False."
        )
        raise SettingsError(message)
    if not name.endswith(AS_IS) and X.data.min(initial=1) < 1:
        message = (
            "The vectorizer makes values below 1, which are no counts; pass weights='as_is', or a vectorizer "
            "with norm=None."
        )
        raise SettingsError(message)
    return X


_current: ContextVar[GivenFeatures | None] = ContextVar("given_features", default=None)
"""Of the thread and task at work: a worker may serve several runs."""


@contextmanager
def using(features: GivenFeatures | None) -> Iterator[None]:
    """Let runs of these features find them; change nothing if None."""
    token = _current.set(features or _current.get())
    try:
        yield
    finally:
        _current.reset(token)


def find_given(settings: ResultSettings) -> GivenFeatures:
    """Return the features that a run asks for by name.

    Raises
    ------
    SettingsError
        Others were given, or none.
    """
    features = _current.get()
    if features is None or features.name != settings.features:
        shown = settings.features.removeprefix(VECTORIZER)
        other = f", not {features.name.removeprefix(VECTORIZER)}" if features else ""
        message = (
            f"The run compares by the vectorizer {shown}{other}; pass the same, of the same versions, as "
            "vectorizer= in Python."
        )
        raise SettingsError(message)
    return features


def take_features(overrides: dict[str, Any]) -> GivenFeatures | None:
    """Return the features of a vectorizer, if there is one, and put their settings in its place.

    Raises
    ------
    SettingsError
        It is no vectorizer, or comes with settings that it decides itself.
    """
    vectorizer = overrides.pop("vectorizer", None)
    if vectorizer is None:
        if "weights" in overrides:
            message = "Setting weights is for a vectorizer; pass it too, or leave it out."
            raise SettingsError(message)
        return None
    for name in ("features", "n_features", "ngram_range"):
        if name in overrides:
            message = f"Setting {name} is that of the vectorizer; leave it out."
            raise SettingsError(message)
    features = GivenFeatures.of(vectorizer, overrides.pop("weights", "tfidf"))
    overrides.update(features.settings)
    return features


def give_again(settings: ResultSettings, vectorizer: Any) -> GivenFeatures | None:
    """Return the features of a vectorizer for a run that was begun, with the weights that the run has.

    Raises
    ------
    SettingsError
        It is no vectorizer.
    """
    if vectorizer is None:
        return None
    return GivenFeatures.of(vectorizer, "as_is" if settings.features.endswith(AS_IS) else "tfidf")


def check_given(settings: ResultSettings) -> None:
    """Refuse a run of a vectorizer that was not given, before anything is made.

    Raises
    ------
    SettingsError
        It says which is needed.
    """
    if settings.features.startswith(VECTORIZER):
        find_given(settings)


class Carried:
    """Function of an item that takes the features that are in use along to where it is called.

    Parameters
    ----------
    function : callable
    """

    def __init__(self, function: Callable[[str], Any]) -> None:
        self.function = function
        self.features = _current.get()

    def __call__(self, item: str) -> Any:
        """Call the function while the features are in use."""
        with using(self.features):
            return self.function(item)
