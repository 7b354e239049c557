"""Explanations without the secrets of their URLs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from novelty_dask.kernels.text.secrets import HIDDEN, hide, secret_spans

if TYPE_CHECKING:
    from novelty_dask.results.explanations import ExplainedFeature, ExplainedNeighbor, Explanation


def redact_explanation(explanation: Explanation) -> Explanation:
    """Return an explanation with ``…`` for the secrets of its URLs, also in its features."""
    url, parts = hide(explanation.url, explanation.parts)
    shown = {each.column: _redact_feature(explanation.url, each) for each in explanation.features}
    neighbors = (_redact_neighbor(explanation.url, each, shown) for each in explanation.neighbors)
    features = tuple(shown[each.column] for each in explanation.features)
    return replace(explanation, url=url, parts=parts, features=features, neighbors=tuple(neighbors))


def _redact_feature(url: str, feature: ExplainedFeature) -> ExplainedFeature:
    """Return a feature without what it tells of the secrets of its URL."""
    _, parts = hide(url, feature.parts)
    spans = secret_spans(url)
    is_secret = any(start < last and first < stop for start, stop in spans for first, last in feature.parts)
    return replace(feature, parts=parts, text=HIDDEN if is_secret else feature.text)


def _redact_neighbor(
    url: str, neighbor: ExplainedNeighbor, shown: dict[int, ExplainedFeature]
) -> ExplainedNeighbor:
    """Return a neighbor without the secrets of both URLs."""
    theirs, parts = hide(neighbor.url, neighbor.parts)
    shared = tuple(replace(each, text=shown[each.column].text) for each in neighbor.shared)
    own_parts = hide(url, neighbor.own_parts)[1]
    return replace(neighbor, url=theirs, parts=parts, own_parts=own_parts, shared=shared)
