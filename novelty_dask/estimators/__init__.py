"""Estimators for scikit-learn and Dask: novelty, exact neighbors, and the features of URLs."""

try:
    import sklearn  # noqa: F401
except ImportError:
    message = "novelty_dask.estimators needs scikit-learn; install 'novelty-dask[sklearn]'."
    raise ImportError(message) from None

from novelty_dask.estimators.detector import NoveltyDetector
from novelty_dask.estimators.transformer import ExactNeighborsTransformer
from novelty_dask.estimators.vectorizer import UrlVectorizer

__all__ = ["ExactNeighborsTransformer", "NoveltyDetector", "UrlVectorizer"]
