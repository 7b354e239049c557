"""The features that settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from novelty_dask.features.given import find_given
from novelty_dask.features.ngrams import NgramFeatures
from novelty_dask.features.url import UrlFeatures

if TYPE_CHECKING:
    from novelty_dask.features.features import Features
    from novelty_dask.settings import ResultSettings


def make_features(settings: ResultSettings) -> Features:
    """Return the features of a run.

    Raises
    ------
    SettingsError
        They are those of a vectorizer that was not given.
    """
    if settings.features == "url":
        return UrlFeatures(settings.n_features)
    if settings.ngram_range is None:
        return find_given(settings)
    return NgramFeatures(settings.ngram_range, settings.n_features)
