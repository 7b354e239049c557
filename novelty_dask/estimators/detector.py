"""Novelty of rows as an outlier detector of scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from novelty_dask.estimators.lookup import ExactLookup, map_method
from novelty_dask.execution.arrays import is_collection
from novelty_dask.kernels.scores import row_means

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.engines.index import Found

WHISKER = 1.5
"""Interquartile ranges above the upper quartile from which on a value is far out (J. Tukey)."""


def _is_novelty(detector: Any) -> bool:
    """Return whether other rows than those that were fitted may be scored; say why not."""
    if not detector.novelty:
        message = "Rows other than those that were fitted are scored with novelty=True alone."
        raise AttributeError(message)
    return True


def _is_outlier(detector: Any) -> bool:
    """Return whether the fitted rows may be scored among themselves; say why not."""
    if detector.novelty:
        message = "With novelty=True the fitted rows are taken for known; leave it out to score them."
        raise AttributeError(message)
    return True


class NoveltyDetector(OutlierMixin, ExactLookup):
    """Detector of rows that are unlike all others, by their distance from the nearest.

    It is to novelty what ``LocalOutlierFactor`` is to density, and has its two uses: without `novelty` each
    fitted row is compared with all other fitted rows; with it, other rows are compared with the fitted ones.

    Parameters
    ----------
    n_neighbors : int
        Neighbors to compare with; all other rows if there are fewer.
    metric : {"cosine", "euclidean"}
    by : {"novelty", "novelty_nearest", "novelty_kth"}
        Distance that is the novelty: the mean of the neighbors, that of the nearest, or of the last.
    contamination : "auto" or float
        Share of the fitted rows that are outliers, above 0 and up to 0.5.  With "auto", outliers are the rows
        whose novelty is more than 1.5 interquartile ranges above the upper quartile of the fitted rows.
    novelty : bool
        True to score other rows than those that were fitted.

    Attributes
    ----------
    novelty_ : ndarray of float64, shape (n_samples_fit,)
        Novelty of the fitted rows, each among the others.
    negative_outlier_factor_ : ndarray of float64, shape (n_samples_fit,)
        The same, negative: the higher, the more usual.
    offset_ : float
        Scores below it are outliers.
    n_neighbors_ : int
        Neighbors that are compared.
    n_samples_fit_ : int
        Number of fitted rows.
    n_features_in_ : int
        Number of their columns.
    vectorizer_ : UrlVectorizer
        Of a detector that was fitted on URLs.

    See Also
    --------
    novelty_dask.score : Scores a corpus that memory does not hold.

    Notes
    -----
    Results are exact, and do not depend on which rows are scored together.  Nonnegative sparse rows with
    cosine, such as those of `UrlVectorizer`, have the similarities of a run, to the last bit.  A row without
    any feature has novelty 1.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1.0, 0.0], [0.9, 0.1], [1.0, 0.1], [0.8, 0.1], [0.0, 1.0]])
    >>> NoveltyDetector(n_neighbors=2, contamination=0.2).fit_predict(X)
    array([ 1,  1,  1,  1, -1])
    >>> known = NoveltyDetector(n_neighbors=2, novelty=True).fit(X[:4])
    >>> known.predict([[0.95, 0.05], [0.0, 2.0]])
    array([ 1, -1])
    """

    _views: ClassVar[tuple[str, ...]] = ("novelty", "novelty_nearest", "novelty_kth")

    def __init__(
        self,
        n_neighbors: int = 10,
        *,
        metric: str = "cosine",
        by: str = "novelty",
        contamination: float | str = "auto",
        novelty: bool = False,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.by = by
        self.contamination = contamination
        self.novelty = novelty

    def fit(self, X: Any, y: object = None) -> Self:
        """Keep rows as those to compare with, and score each among the others.

        Parameters
        ----------
        X : {ndarray, sparse matrix, list of str, Dask collection} of shape (n_samples, n_features)
            Rows, or URLs, whose features are then those of ``UrlVectorizer()``.  What Dask holds is computed
            and kept in memory.
        y : ignored

        Returns
        -------
        NoveltyDetector
            Itself.

        Raises
        ------
        ValueError, TypeError
            A parameter is impossible, or the rows are not finite, or there is but one.
        """
        self._check_choices()
        self._fit_rows(X, at_least=2)
        self.n_neighbors_ = min(self.n_neighbors, self.n_samples_fit_ - 1)
        # Also with novelty=True, as the offset follows from the novelty of the fitted rows.
        self.novelty_ = self._novelty_of(self._index.search_itself(self.n_neighbors_))
        self.negative_outlier_factor_ = -self.novelty_
        self.offset_ = self._choose_offset()
        return self

    def _check_choices(self) -> None:
        """Refuse choices that there are not."""
        if self.by not in self._views:
            message = f"There is no novelty {self.by!r}; pass by={', '.join(map(repr, self._views))}."
            raise ValueError(message)
        share: Any = self.contamination
        is_share = isinstance(share, float | int | np.number) and 0 < share <= 0.5
        if share != "auto" and not is_share:
            message = f"contamination is {share!r}; pass 'auto', or a share above 0 and up to 0.5."
            raise ValueError(message)

    def _novelty_of(self, found: Found) -> NDArray[np.float64]:
        """Return the novelty of rows from their neighbors."""
        # Subtracted last, as in a run: the bytes are the same.
        closeness = found.closeness.astype(np.float64)
        chosen = {
            "novelty": row_means(closeness),
            "novelty_nearest": closeness[:, 0],
            "novelty_kth": closeness[:, -1],
        }
        return found.base - chosen[self.by]

    def _choose_offset(self) -> float:
        """Return the score below which rows are outliers."""
        share: Any = self.contamination
        if share != "auto":
            return float(np.percentile(self.negative_outlier_factor_, 100.0 * share))
        # No share of outliers suits all rows; a fence depends on how far apart they are.
        lower, upper = np.percentile(self.novelty_, [25, 75])
        return float(-(upper + WHISKER * (upper - lower)))

    @available_if(_is_outlier)
    def fit_predict(self, X: Any, y: object = None) -> NDArray[np.int64]:
        """Return -1 for the rows that are outliers among all, 1 for the others.

        Parameters
        ----------
        X, y
            As for `fit`.
        """
        self.fit(X)
        return _labels(self.negative_outlier_factor_ - self.offset_)

    @available_if(_is_novelty)
    def score_samples(self, X: Any) -> Any:
        """Return the negative novelty of rows among those that were fitted: the higher, the more usual.

        Parameters
        ----------
        X : {ndarray, sparse matrix, list of str, Dask collection} of shape (n_queries, n_features)

        Returns
        -------
        ndarray of float64, or Dask array of the blocks of a Dask collection, shape (n_queries,)
        """
        check_is_fitted(self)
        if is_collection(X):
            return map_method(self, "score_samples", X, np.float64)
        return -self._novelty_of(self._find(X, self._n_known))

    @property
    def _n_known(self) -> int:
        """Neighbors of other rows, for which no fitted row is left out."""
        return min(self.n_neighbors, self.n_samples_fit_)

    @available_if(_is_novelty)
    def decision_function(self, X: Any) -> Any:
        """Return `score_samples` less `offset_`: negative for outliers."""
        return self.score_samples(X) - self.offset_

    @available_if(_is_novelty)
    def predict(self, X: Any) -> Any:
        """Return -1 for rows that are outliers, 1 for the others, as integers."""
        check_is_fitted(self)
        if is_collection(X):
            return map_method(self, "predict", X, np.int64)
        return _labels(self.decision_function(X))


def _labels(decisions: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return -1 for negative numbers, 1 for others."""
    return np.where(decisions < 0, -1, 1)
