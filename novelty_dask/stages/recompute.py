"""What a run says of its columns and of a block of rows, computed again from its URLs.

Every array is compared with what its task makes of the arrays before it.  So an array that was altered is
found wherever it is looked at, also if its commit agrees with it.  What can't be found without the sources
are other rows than theirs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from novelty_dask.errors import DamageError
from novelty_dask.kernels.scores import novelty_scores
from novelty_dask.kernels.search.columns import order_columns
from novelty_dask.kernels.text.ngrams import count_ngrams
from novelty_dask.kernels.text.tfidf import (
    document_frequency,
    inverse_document_frequency,
    renumber_columns,
    weigh,
)
from novelty_dask.objects.commits import TaskId
from novelty_dask.planning.tiles import Tile, TilePlan
from novelty_dask.stages.compare import search_tile
from novelty_dask.stages.tasks import Workspace
from novelty_dask.storage.arrays import array, read_csr
from novelty_dask.storage.layout import WHOLE
from novelty_dask.storage.runs import StoredRun

Arrays = Mapping[str, NDArray[Any]]
UNUSABLE = (ValueError, MemoryError)
"""What altered weights raise that are no matrix at all."""


def recompute_columns(run: StoredRun) -> Iterator[DamageError]:
    """Compute weight and order of the columns again; yield the arrays that are others.

    Parameters
    ----------
    run : StoredRun
        Complete, or complete but for tasks that were given up.
    """
    workspace = _workspace(run)
    partial = array(workspace.group, "partial_frequency")
    frequency = np.zeros(partial.shape[1], np.int64)
    for block in range(workspace.plan.n_blocks):
        frequency += np.asarray(partial[block])
    columns = order_columns(frequency)
    computed: Arrays = {
        "columns/document_frequency": frequency,
        "columns/idf": inverse_document_frequency(frequency, workspace.plan.n_rows),
        "columns/rank": columns.rank,
        "columns/cuts": columns.cuts,
    }
    stored = {name: np.asarray(array(workspace.group, name)[:]) for name in computed}
    cuts = stored["columns/cuts"]
    yield from _differing(TaskId("columns", WHOLE), {**stored, "columns/cuts": cuts[cuts >= 0]}, computed)


def recompute_block(run: StoredRun, block: int) -> Iterator[DamageError]:
    """Compute all of a block again but its rows, compared with those of all blocks; yield what is otherwise.

    Parameters
    ----------
    run : StoredRun
        As for `recompute_columns`, of which nothing is otherwise.
    block : int
        Number of the block, whose neighbors were not given up.

    Notes
    -----
    Memory is that of a task of the run with spans of one block.
    """
    workspace, item = _workspace(run), str(block)
    counts = _counts(workspace, block)
    name = "partial_frequency"
    partial = np.asarray(array(workspace.group, name)[block])
    yield from _differing(TaskId("vectorize", item), {name: partial}, {name: document_frequency(counts)})
    altered = [*_differing(TaskId("weigh", item), *_weights(workspace, block, counts))]
    yield from altered or _differing_neighbors(workspace, block)


def _workspace(run: StoredRun) -> Workspace:
    """What a task works with that writes nothing."""
    return Workspace(run, run.group(), run.manifest.settings, TilePlan(**run.manifest.plan))


def _counts(workspace: Workspace, block: int) -> sp.csr_matrix:
    """The n-grams of the URLs of a block."""
    urls = np.asarray(array(workspace.group, "rows/url")[slice(*workspace.plan.bounds(block))])
    return count_ngrams(urls.tolist(), workspace.settings["ngram_range"], workspace.settings["n_features"])


def _weights(workspace: Workspace, block: int, counts: sp.csr_matrix) -> tuple[Arrays, Arrays]:
    """The weights of a block, as stored and as computed."""
    idf, rank = (np.asarray(array(workspace.group, f"columns/{name}")[:]) for name in ("idf", "rank"))
    computed = renumber_columns(weigh(counts, idf), rank, int(rank.max()) + 1)
    try:
        stored = read_csr(workspace.group, "weights", block, computed.shape)
    except UNUSABLE:
        stored = computed[:0]
    return _parts(stored), _parts(computed)


def _parts(weights: sp.csr_matrix) -> Arrays:
    """The arrays of a sparse matrix, by their names in a run."""
    return {f"weights/{part}": getattr(weights, part) for part in ("indptr", "indices", "data")}


def _differing_neighbors(workspace: Workspace, block: int) -> Iterator[DamageError]:
    """What of neighbors and novelty of a block is otherwise, or that weights of others are of no use."""
    task = TaskId("merge", str(block))
    try:
        stored, computed = _merged(workspace, block)
    except UNUSABLE as error:
        message = f"Neighbors of block {block} can't be computed again, as weights were altered: {error}"
        yield DamageError(message, *task)
    else:
        yield from _differing(task, stored, computed)


def _merged(workspace: Workspace, block: int) -> tuple[Arrays, Arrays]:
    """Neighbors and novelty of a block, as stored and as computed: by one tile of all candidates."""
    group, plan = workspace.group, workspace.plan
    start, stop = plan.bounds(block)
    whole = replace(plan, span_blocks=1, group_blocks=plan.n_blocks)
    neighbors = search_tile(workspace._replace(plan=whole), Tile(block, 0))[block]
    nonzeros = np.diff(np.asarray(array(group, "weights/indptr")[block, : stop - start + 1]))
    computed: Arrays = {
        "neighbors/ids": neighbors.ids,
        "neighbors/similarities": neighbors.similarities,
        "novelty": novelty_scores(
            neighbors.similarities, plan.n_rows, nonzeros > 0, workspace.settings["score"]
        ),
    }
    return {name: np.asarray(array(group, name)[start:stop]) for name in computed}, computed


def _differing(task: TaskId, stored: Arrays, computed: Arrays) -> Iterator[DamageError]:
    """The stored arrays of a task that do not have the bytes of the computed ones."""
    for name, values in computed.items():
        if not _same(stored[name], values):
            message = (
                f"{name!r} of task {task.item!r} of {task.stage} is not what is computed again here; unless "
                "another kind of processor or other packages made the run, it was altered: score again, into "
                "another path."
            )
            yield DamageError(message, *task)


def _same(stored: NDArray[Any], computed: NDArray[Any]) -> bool:
    """Whether two arrays have the same shape and the same bytes of each number."""
    return stored.shape == computed.shape and stored.astype(computed.dtype).tobytes() == computed.tobytes()
