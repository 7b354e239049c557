"""Rows in time: when periods begin, how often columns occurred before, and rows as each period weighs them.

::

    times of all rows ──► date ──► tally, period by period ──► reweigh, period by period and block by block

A row belongs to the period in which it was first seen.  Its weights, and those of all that it is compared
with, follow from the rows before the period.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from novelty_dask.kernels.text.normal_forms import normalize_texts
from novelty_dask.kernels.text.tfidf import document_frequency, renumber_columns
from novelty_dask.progress import advance
from novelty_dask.stages.tasks import TaskResult, Workspace, keep_rows
from novelty_dask.storage.arrays import split_csr

if TYPE_CHECKING:
    import scipy.sparse as sp
    from numpy.typing import NDArray


def date_periods(workspace: Workspace, _item: str) -> TaskResult:
    """Return the time with which each period begins, and how many rows were seen before that."""
    plan = workspace.plan
    times = np.empty(plan.n_rows, np.int64)
    for block in range(plan.n_blocks):
        times[slice(*plan.bounds(block))] = workspace.read_rows("rows/first_seen", block)
        advance(block + 1, plan.n_blocks)
    times.sort()
    starts = times[list(plan.periods)]
    # Rows of one time are in one period, the last that begins with it, so that none sees another.
    return TaskResult({"periods/start": starts, "periods/n_before": np.searchsorted(times, starts)})


def tally_period(workspace: Workspace, item: str) -> TaskResult:
    """Return how many rows before a period have each column, and the weight that follows for the column."""
    period, features = int(item), workspace.features
    frequency = np.zeros(workspace.settings.n_features, np.int64)
    if period:
        # What was before the period before, and the rows of that: each row is hashed once here, and not once
        # for each period that follows it.
        frequency = workspace.arrays.read("periods/document_frequency", period - 1)
        for block in range(workspace.plan.n_blocks):
            is_within = find_periods(workspace, block) == period - 1
            if is_within.any():
                frequency += document_frequency(_count(workspace, block, is_within))
            advance(block + 1, workspace.plan.n_blocks)
    n_before = int(workspace.arrays.read("periods/n_before", period))
    idf = features.inverse_document_frequency(frequency, n_before)
    return TaskResult({"periods/document_frequency": frequency, "periods/idf": idf})


def reweigh_block(workspace: Workspace, item: str) -> TaskResult:
    """Return the rows of a block that are in a period or before it, as the period weighs them."""
    period, block = map(int, item.split("-"))
    weights = _weigh(workspace, period, block)
    return TaskResult(split_csr("past", weights, workspace.plan.block_rows))


def find_periods(workspace: Workspace, block: int) -> NDArray[np.int64]:
    """Return the period of each row of a block."""
    # A row of the time with which a period begins is in it, and not in the one before.
    starts = workspace.arrays.read("periods/start")
    times: NDArray[np.int64] = workspace.read_rows("rows/first_seen", block)
    return np.asarray(np.searchsorted(starts, times, side="right") - 1)


def read_past(workspace: Workspace, period: int, block: int) -> sp.csr_matrix:
    """Return the rows of a block as a period weighs them; those of later periods are empty."""
    # Whoever recomputes a run that is complete finds no weights of periods any more, and makes them.
    if not workspace.has_past:
        return _weigh(workspace, period, block)
    start, stop = workspace.plan.bounds(block)
    return workspace.arrays.read_csr("past", (period, block), (stop - start, _n_columns(workspace)))


def read_own(workspace: Workspace, period: int, block: int) -> sp.csr_matrix:
    """Return the rows of a block that are in a period, as it weighs them; all others are empty."""
    return keep_rows(read_past(workspace, period, block), find_periods(workspace, block) == period)


def read_own_weights(workspace: Workspace, block: int) -> NDArray[np.float32]:
    """Return the non-zeros of a block, of each row as its own period weighs it."""
    start, stop = workspace.plan.bounds(block)
    # All weights are positive, so that each period has them in the same columns.
    indptr = workspace.arrays.read("weights/indptr", block, slice(stop - start + 1))
    lengths, periods = np.diff(indptr), find_periods(workspace, block)
    data = np.empty(int(indptr[-1]), np.float32)
    for period in np.unique(periods).tolist():
        past, is_within = read_past(workspace, period, block), periods == period
        data[np.repeat(is_within, lengths)] = past.data[np.repeat(is_within, np.diff(past.indptr))]
    return data


def _n_columns(workspace: Workspace) -> int:
    """Return the number of columns that occur."""
    return int(workspace.arrays.read("columns/breakpoints").max())


def _weigh(workspace: Workspace, period: int, block: int) -> sp.csr_matrix:
    """Return the rows of a block that are in a period or before it, weighed; the others are empty."""
    is_past = find_periods(workspace, block) <= period
    idf, rank = workspace.arrays.read("periods/idf", period), workspace.arrays.read("columns/rank")
    weights = workspace.features.weigh(_count(workspace, block, is_past), idf)
    weights = renumber_columns(weights, rank, _n_columns(workspace))
    # Rows keep their numbers, so that ids need no translation.
    lengths = np.zeros(is_past.size, np.int64)
    lengths[is_past] = np.diff(weights.indptr)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(weights.indptr.dtype)
    return type(weights)((weights.data, weights.indices, indptr), shape=(is_past.size, weights.shape[1]))


def _count(workspace: Workspace, block: int, is_counted: NDArray[np.bool_]) -> Any:
    """Return the features of some rows of a block."""
    urls = workspace.read_rows("rows/url", block)[is_counted].tolist()
    return workspace.features.count(normalize_texts(urls, workspace.settings.normal_form))
