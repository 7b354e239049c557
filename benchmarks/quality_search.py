"""Views of queries from their neighbors in a reference, by the features and the search of novelty_dask."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from quality_measures import Scores
from quality_sets import Part

from novelty_dask.features.features import Features
from novelty_dask.kernels.search.columns import order_columns
from novelty_dask.kernels.search.topk import Neighbors, merge, prepare, search, sort_neighbors
from novelty_dask.kernels.text.tfidf import document_frequency, renumber_columns

LEAST_REACH = 1e-10
"""Added to the mean reach of a row, as scikit-learn does: rows with k twins are not infinitely dense."""


class Rows(NamedTuple):
    """A part of a set as weighted rows, with their columns in the order of the search."""

    reference: sp.csr_matrix
    queries: sp.csr_matrix
    recent: sp.csr_matrix
    limits: NDArray[np.int64]
    breakpoints: NDArray[np.int32]


def make_rows(part: Part, features: Features) -> Rows:
    """Return the rows of a part, weighed by what the reference has."""
    counts = [features.count(lines) for lines in (part.reference, part.queries, part.recent)]
    frequencies = [document_frequency(X) for X in counts]
    idf = features.inverse_document_frequency(frequencies[0], len(part.reference))
    # Columns that only queries have are weighed too: what is new has its share of a row.
    columns = order_columns(frequencies[0] + frequencies[1] + frequencies[2])
    n_columns = columns.document_frequency.size
    weighed = [renumber_columns(features.weigh(X, idf), columns.rank, n_columns) for X in counts]
    reference, queries, recent = weighed
    return Rows(reference, queries, recent, part.limits, columns.breakpoints)


def find_known(rows: Rows, k: int) -> Neighbors:
    """Return the neighbors of the queries in the reference."""
    reference, queries = (prepare(X, rows.breakpoints) for X in (rows.reference, rows.queries))
    neighbors = Neighbors.empty(queries.n_rows, k)
    # Ids behind those of all candidates: no query is taken for one.
    first = reference.n_rows + rows.recent.shape[0]
    search(queries, reference, neighbors, row_start=first, candidate_start=0)
    return sort_neighbors(neighbors)


def find_recent(rows: Rows, k: int) -> Neighbors:
    """Return the neighbors of the queries among the recent rows before them."""
    products = (rows.queries.astype(np.float64) @ rows.recent.T.astype(np.float64)).toarray()
    products[np.arange(rows.recent.shape[0]) >= rows.limits[:, None]] = 0
    order = np.argsort(-products, axis=1, kind="stable")[:, :k]
    found = Neighbors.empty(len(products), k)
    similarities = np.minimum(np.take_along_axis(products, order, axis=1), 1).astype(np.float32)
    found.similarities[:, : order.shape[1]] = similarities
    found.ids[:, : order.shape[1]] = np.where(similarities > 0, order + rows.reference.shape[0], -1)
    return found


def find_neighbors(rows: Rows, k: int) -> Neighbors:
    """Return the neighbors of the queries among all rows before them."""
    known = find_known(rows, k)
    return merge([known, find_recent(rows, k)]) if rows.recent.shape[0] else known


def mean_view(_rows: Rows, neighbors: Neighbors) -> Scores:
    """Return 1 minus the mean similarity of the neighbors."""
    means: Scores = neighbors.similarities.mean(axis=1, dtype=np.float64)
    return 1 - means


def kth_view(_rows: Rows, neighbors: Neighbors) -> Scores:
    """Return 1 minus the similarity of the last neighbor."""
    return 1 - neighbors.similarities[:, -1].astype(np.float64)


def uncovered_view(rows: Rows, neighbors: Neighbors) -> Scores:
    """Return the share of the squared weight of each query in columns that none of its neighbors has."""
    candidates = sp.vstack([rows.reference, rows.recent], format="csr")
    shares = np.zeros(rows.queries.shape[0])
    for query, (columns, weights) in enumerate(_entries(rows.queries)):
        ids = neighbors.ids[query]
        known = [_row(candidates, row) for row in ids[ids >= 0]]
        is_new = ~np.isin(columns, np.concatenate(known)) if known else np.ones(columns.size, np.bool_)
        shares[query] = np.square(weights[is_new], dtype=np.float64).sum()
    return np.minimum(shares, 1)


def lof_view(rows: Rows, neighbors: Neighbors) -> Scores:
    """Return the local outlier factor of each query in the reference, with cosine distance.

    As scikit-learn's `LocalOutlierFactor` with ``novelty=True``.  Neighbors are those in the reference only,
    as its densities are computed once.  A missing neighbor has distance 1, and no density.
    """
    k = neighbors.ids.shape[1]
    if rows.recent.shape[0]:
        neighbors = find_known(rows, k)
    reference = prepare(rows.reference, rows.breakpoints)
    own = Neighbors.empty(reference.n_rows, k)
    search(reference, reference, own, row_start=0, candidate_start=0)
    reaches = 1 - own.similarities[:, -1].astype(np.float64)
    densities = _densities(own, reaches)
    missing = neighbors.ids < 0
    around = np.where(missing, 0, densities[neighbors.ids]).sum(axis=1)
    factors = around / np.maximum((~missing).sum(axis=1), 1) / _densities(neighbors, reaches)
    filled: Scores = np.where(missing.all(axis=1), factors.max(initial=1), factors)
    return filled


def _densities(neighbors: Neighbors, reaches: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return local reachability densities, from the distance of each row of the reference to its kth."""
    reach = np.where(neighbors.ids < 0, 1, reaches[neighbors.ids])
    distances = np.maximum(1 - neighbors.similarities.astype(np.float64), reach)
    means: Scores = distances.mean(axis=1)
    return 1 / (means + LEAST_REACH)


def _entries(X: sp.csr_matrix) -> Iterator[tuple[NDArray[np.int32], NDArray[np.float32]]]:
    """Yield columns and weights of each row."""
    for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        yield X.indices[start:stop], X.data[start:stop]


def _row(X: sp.csr_matrix, row: int) -> NDArray[np.int32]:
    """Return the columns of a row."""
    columns: NDArray[np.int32] = X.indices[X.indptr[row] : X.indptr[row + 1]]
    return columns


VIEWS: dict[str, Callable[[Rows, Neighbors], Scores]] = {
    "mean": mean_view,
    "kth": kth_view,
    "uncovered": uncovered_view,
    "lof": lof_view,
}
"""Views by name; `nearest` is the mean of one neighbor."""
