"""Measures of a ranking, against labels: True is novel, and higher scores are to mean more novel."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Labels = NDArray[np.bool_]
Scores = NDArray[np.float64]

FIRST, PREVALENCE, DRAWS = 100, 0.05, 20
"""Rows read of a ranking, share of novel ones among all, and how often these are drawn."""


def area_under_curve(labels: Labels, scores: Scores) -> float:
    """Return the probability that a novel row has a higher score than a known one; ties count half.

    >>> area_under_curve(np.array([True, False, False]), np.array([0.5, 0.5, 0.1]))
    0.75
    """
    n_novel = int(labels.sum())
    n_known = labels.size - n_novel
    if not n_novel or not n_known:
        return float("nan")
    above = rankdata(scores)[labels].sum() - n_novel * (n_novel + 1) / 2
    return float(above / (n_novel * n_known))


def area_within_strata(labels: Labels, scores: Scores, strata: NDArray[np.int64]) -> float:
    """Return the same probability among pairs of rows of one stratum.

    A score that knows nothing but the stratum has 0.5.

    >>> area_within_strata(np.array([True, False, True]), np.array([0.5, 0.5, 0.1]), np.array([1, 1, 2]))
    0.5
    """
    areas, pairs = [], []
    for stratum in np.unique(strata):
        inside = strata == stratum
        n_novel = int(labels[inside].sum())
        if 0 < n_novel < inside.sum():
            areas.append(area_under_curve(labels[inside], scores[inside]))
            pairs.append(n_novel * (int(inside.sum()) - n_novel))
    return float(np.average(areas, weights=pairs)) if pairs else float("nan")


def average_precision(labels: Labels, scores: Scores) -> float:
    """Return the mean, over all novel rows, of the share of novel rows down to that one.

    Of rows with equal scores all orders are as likely, and their mean counts.

    >>> average_precision(np.array([True, False]), np.array([0.5, 0.5]))
    0.75
    """
    size, novel, above, novel_above = _groups(labels, scores)
    # The j-th place of a group holds a novel row with probability novel / size; then the j - 1 places above
    # it in the group hold (j - 1) (novel - 1) / (size - 1) novel rows on average.
    repeated = np.repeat(np.arange(size.size), size)
    place = np.arange(labels.size) - above[repeated]
    among = (novel - 1)[repeated] / np.maximum(size - 1, 1)[repeated]
    expected = (novel_above[repeated] + 1 + place * among) / (above[repeated] + place + 1)
    return float((expected * (novel / size)[repeated]).sum() / labels.sum())


def precision_at(labels: Labels, scores: Scores, first: int = FIRST) -> float:
    """Return the share of novel rows among the first of a ranking; ties at the end are shared out.

    >>> precision_at(np.array([True, False, True]), np.array([0.5, 0.5, 0.9]), first=2)
    0.75
    """
    size, novel, above, novel_above = _groups(labels, scores)
    first = min(first, labels.size)
    group = int(np.searchsorted(above, first, side="left")) - 1
    found = novel_above[group] + (first - above[group]) * novel[group] / size[group]
    return float(found / first)


def _groups(labels: Labels, scores: Scores) -> tuple[NDArray[np.int64], ...]:
    """Return for each score, highest first: rows, novel rows, and both of all higher scores."""
    _, number, size = np.unique(-scores, return_inverse=True, return_counts=True)
    novel = np.bincount(number, weights=labels, minlength=size.size).astype(np.int64)
    return size.astype(np.int64), novel, np.cumsum(size) - size, np.cumsum(novel) - novel


def rare_precision(labels: Labels, scores: Scores, draws: int = DRAWS) -> tuple[float, float]:
    """Return the precision of the first 100 where 5 % of the rows are novel, and the best possible.

    All known rows are kept, and novel ones are drawn anew each time; the mean counts.
    """
    known, novel = np.flatnonzero(~labels), np.flatnonzero(labels)
    n_novel = min(novel.size, max(1, round(known.size * PREVALENCE / (1 - PREVALENCE))))
    rng = np.random.default_rng(1)
    found = []
    for _ in range(draws):
        rows = np.concatenate([known, rng.choice(novel, n_novel, replace=False)])
        found.append(precision_at(labels[rows], scores[rows]))
    first = min(FIRST, known.size + n_novel)
    return float(np.mean(found)), min(n_novel, first) / first


def measure(labels: Labels, scores: Scores, strata: NDArray[np.int64]) -> dict[str, Any]:
    """Return all measures of a ranking."""
    precision, ceiling = rare_precision(labels, scores)
    return {
        "novel": int(labels.sum()),
        "known": int((~labels).sum()),
        "auc": area_under_curve(labels, scores),
        "auc_within_strata": area_within_strata(labels, scores, strata),
        "average_precision": average_precision(labels, scores),
        "precision_at_100": precision,
        "precision_ceiling": ceiling,
    }
