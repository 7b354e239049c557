"""A tile computed again, to be compared with the neighbors that a run tells of."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from novelty_dask.errors import DamageError
from novelty_dask.execution.compare import search_tile
from novelty_dask.execution.tasks import Workspace
from novelty_dask.kernels.neighbors import Neighbors
from novelty_dask.planning.tiles import Tile, TilePlan
from novelty_dask.storage.blocks import array
from novelty_dask.storage.commits import TaskId
from novelty_dask.storage.runs import StoredRun

if TYPE_CHECKING:
    from numpy.typing import NDArray


def recompute(run: StoredRun, tile: Tile) -> Iterator[DamageError]:
    """Compute a tile again; yield what of the neighbors of its rows can't be.

    Of each row the neighbors in the tile's candidate blocks must be the best that the tile finds: as many of
    them as the row keeps, with the same ids and bytes of similarity.
    """
    plan = TilePlan(**run.manifest.plan)
    workspace = Workspace(run, run.group(), run.manifest.settings, plan)
    bounds = [plan.bounds(block) for block in plan.candidates(tile)]
    for block, found in search_tile(workspace, tile).items():
        rows = slice(*plan.bounds(block))
        stored = Neighbors(
            np.asarray(array(workspace.group, "neighbors/ids")[rows]),
            np.asarray(array(workspace.group, "neighbors/similarities")[rows]),
        )
        wrong = _differing(stored, found, bounds)
        if wrong.any():
            task = TaskId("merge", str(block))
            what = f"tells of other neighbors of {wrong.sum():,} rows than computed again"
            yield DamageError.of(task, f"neighbors of block {block}", what)


def _differing(stored: Neighbors, found: Neighbors, bounds: list[tuple[int, int]]) -> "NDArray[np.bool_]":
    """Rows whose stored neighbors in some ranges of ids are not the best of those that were found."""
    inside = np.zeros(stored.ids.shape, bool)
    for start, stop in bounds:
        inside |= (stored.ids >= start) & (stored.ids < stop)
    # Those inside come first, in their order, as they are among the found.
    order = np.argsort(~inside, axis=1, kind="stable")
    ids = np.take_along_axis(np.where(inside, stored.ids, -1), order, axis=1)
    values = np.take_along_axis(np.where(inside, stored.similarities, 0), order, axis=1)
    kept = np.arange(ids.shape[1]) < inside.sum(axis=1, keepdims=True)
    differ = kept & ((ids != found.ids) | (values != found.similarities))
    # The best that is not kept must be worse than the worst that is.
    first_left_out = np.where(kept, -1.0, found.similarities).max(axis=1)
    worst = np.where(stored.ids[:, -1] >= 0, stored.similarities[:, -1], 0)
    return np.asarray(differ.any(axis=1) | (first_left_out > worst))
