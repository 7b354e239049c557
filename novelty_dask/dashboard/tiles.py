"""The map of tiles, as small as a picture of it needs to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from novelty_dask.dashboard.board import DONE, FAILED, RUNNING, WAITING

if TYPE_CHECKING:
    from novelty_dask.dashboard.board import Tiles

MOST_COLUMNS = 400
"""Columns of the picture; more spans share one."""


def shrink(tiles: Tiles) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], float]:
    """Return pictures of the states and of the seconds of tiles, and the longest of these.

    Where several spans share a column, a failed tile is shown before a running one, that before others, and
    of these the more frequent state; and the longest time.

    Returns
    -------
    states : ndarray of uint8, shape (n_groups, n_columns)
    seconds : ndarray of float32, shape (n_groups, n_columns)
        NaN where no tile has ended.
    longest : float
    """
    each = -(-tiles.n_spans // MOST_COLUMNS)
    n_columns = -(-tiles.n_spans // each)
    # The last column is filled up with its last span.
    spans = np.minimum(np.arange(n_columns * each), tiles.n_spans - 1).reshape(n_columns, each)
    shared, times = tiles.states[spans], tiles.seconds[spans]
    states = np.where((shared == DONE).mean(axis=1) > 0.5, DONE, WAITING)
    for state in (RUNNING, FAILED):
        states[(shared == state).any(axis=1)] = state
    seconds = np.fmax.reduce(times, axis=1)
    longest = float(np.fmax.reduce(seconds, axis=None, initial=0.0))
    return states.astype(np.uint8).T.copy(), seconds.astype(np.float32).T.copy(), longest or 1.0
