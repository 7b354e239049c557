"""Vectors: imported from the source of a run, read to be compared, and scored by their neighbors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from novelty_dask.engines.dense import finish_values, no_neighbors
from novelty_dask.kernels.neighbors import Neighbors, merge
from novelty_dask.kernels.scores import row_means
from novelty_dask.stages.tasks import TaskResult, Workspace
from novelty_dask.vectors.origin import open_labels, open_origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from novelty_dask.planning.matrix import Matrix
    from novelty_dask.storage.arrays import Arrays

REFUSED = "refused"
"""Metric: the first row of a block that can't be compared, from 0."""


def import_block(workspace: Workspace, item: str) -> TaskResult:
    """Return the vectors of a block with their labels, and which is the first that can't be compared."""
    block, matrix, sources = int(item), matrix_of(workspace), workspace.run.manifest.sources
    source = open_origin(sources[0].path, matrix.axis, matrix.column, workspace.plan.block_rows)
    values = np.asarray(source.read(block), matrix.dtype)
    is_finite = np.isfinite(values).all(axis=1)
    # Not raised here: the lowest of all such rows is named, whichever task is first.
    refused = (
        {} if is_finite.all() else {REFUSED: workspace.plan.bounds(block)[0] + int(np.argmin(is_finite))}
    )
    labels = open_labels(sources, matrix)
    named = {"rows/label": labels.read(*workspace.plan.bounds(block))} if labels else {}
    return TaskResult({"vectors": values, **named}, refused)


def matrix_of(workspace: Workspace) -> Matrix:
    """Return the matrix of a run of vectors."""
    matrix = workspace.run.manifest.identity.matrix
    assert matrix
    return matrix


def read_vectors(workspace: Workspace, block: int) -> NDArray[np.float64]:
    """Return the vectors of a block."""
    return np.asarray(workspace.read_rows("vectors", block), np.float64)


def start_vectors(workspace: Workspace, block: int) -> Neighbors:
    """Return the neighbors of a block that has none yet."""
    start, stop = workspace.plan.bounds(block)
    return no_neighbors(stop - start, workspace.settings.n_neighbors)


def score_vectors(workspace: Workspace, block: int, strips: Sequence[Neighbors]) -> TaskResult:
    """Return the neighbors of a block, merged from given strips, and the novelty that follows from them."""
    matrix, found = matrix_of(workspace), merge(strips)
    values = finish_values(found, matrix.metric)
    views = _novelty(workspace, block, values)
    return TaskResult({"neighbors/ids": found.ids, f"neighbors/{matrix.value_name}": values, **views})


def distances_of(workspace: Workspace, values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the distances of neighbors from what says how close they are."""
    # Cosines of rows in one direction may be a little above 1.
    matrix = workspace.run.manifest.identity.matrix
    if matrix and matrix.metric == "euclidean":
        return values
    distances = 1 - np.asarray(values, np.float64)
    return np.maximum(distances, 0, out=distances) if matrix else distances


def _novelty(workspace: Workspace, block: int, values: NDArray[np.float64]) -> Arrays:
    """Return the novelty of the rows of a block: mean, least and greatest distance of their neighbors."""
    matrix, n_possible = matrix_of(workspace), workspace.plan.possible_neighbors
    undefined = np.full(len(values), np.nan)
    views: Arrays = dict.fromkeys(("novelty", "novelty_nearest", "novelty_kth"), undefined)
    possible = values[:, :n_possible]
    if not matrix.has_novelty or not possible.shape[1]:
        return views
    distances = distances_of(workspace, possible)
    # A row of zeros has no direction, and so no novelty by cosines.
    is_zero = np.zeros(len(values), np.bool_)
    if matrix.metric == "cosine":
        is_zero = ~workspace.read_rows("vectors", block).any(axis=1)
    found = (row_means(distances), distances[:, 0], distances[:, -1])
    return {name: np.where(is_zero, np.nan, each) for name, each in zip(views, found, strict=True)}
