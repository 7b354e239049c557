"""Rows beside those of a reference: where they stand, which it holds, their neighbors, how many are as novel.

A reference may move, grow or be removed once a run is complete.  So the run keeps the URLs of its neighbors,
and how many rows of the reference are at least as novel as each of its own.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import numpy as np

from novelty_dask.kernels.choices import VIEWS
from novelty_dask.kernels.text.normal_forms import make_row_keys
from novelty_dask.progress import advance
from novelty_dask.results.places import find_place
from novelty_dask.stages.tasks import Candidates, TaskResult, Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from novelty_dask.kernels.choices import NormalForm


PASSING_ROWS = 2**20
"""Rows whose values are sorted at once."""


def locate_block(workspace: Workspace, item: str) -> TaskResult:
    """Return where the rows of a block would stand in the reference, and which of them it holds."""
    form, reference = workspace.settings.normal_form, workspace.open_candidates()
    own = workspace.read_rows("rows/url", int(item)).tolist()
    keys = make_row_keys(own, form)
    places = np.full(len(keys), reference.plan.n_rows, np.int64)
    is_known = np.zeros(len(keys), np.bool_)
    located, block = 0, _first_block(reference, own[0], form) if int(item) else 0
    # Both are in the same order: each block of the reference takes the next rows, up to its last.
    while located < len(keys) and block < reference.plan.n_blocks:
        start, stop = reference.plan.bounds(block)
        urls = reference.arrays.read("rows/url", slice(start, stop))
        [last] = make_row_keys([str(urls[-1])], form)
        end = bisect_right(keys, last, located)
        within, is_there = _find(keys[located:end], urls, form)
        is_left = find_left(workspace, reference, block)
        if is_left is not None:
            # A place behind the last row has none.
            is_there &= np.append(is_left, False)[within]
        is_known[located:end] = is_there
        places[located:end] = start + within
        located, block = end, block + 1
        advance(located, len(keys))
    return TaskResult({"rows/place": places, "known": is_known}, {"known": int(is_known.sum())})


def cite_block(workspace: Workspace, item: str) -> TaskResult:
    """Return the URLs of the neighbors of a block, each once, in the order of their ids."""
    reference = workspace.open_candidates()
    cited = workspace.arrays.read_cited(slice(*workspace.plan.bounds(int(item))))
    urls, positions = np.full(cited.size, "", np.dtypes.StringDType()), np.empty(cited.size, np.int64)
    blocks = cited // reference.plan.block_rows
    for block in np.unique(blocks).tolist():
        start, stop = reference.plan.bounds(block)
        is_here = blocks == block
        urls[is_here] = reference.arrays.read("rows/url", slice(start, stop))[cited[is_here] - start]
        if workspace.is_joined:
            passing = reference.arrays.read("rows/position", slice(start, stop))
            positions[is_here] = passing[cited[is_here] - start]
        advance(stop, reference.plan.n_rows)
    origins = _find_origins(workspace, positions) if workspace.is_joined else {}
    return TaskResult({"neighbors/url": urls, **origins})


def _find_origins(workspace: Workspace, positions: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return which of several references each row is of, by where it stood behind those before, and where."""
    reference = workspace.run.manifest.reference
    assert reference
    starts = np.cumsum([0, *(part.n_rows for part in reference.parts)])
    numbers = np.searchsorted(starts, positions, side="right") - 1
    return {
        "neighbors/reference": numbers.astype(np.int32),
        "neighbors/row": positions - starts[numbers],
    }


def find_left(workspace: Workspace, reference: Candidates, block: int) -> NDArray[np.bool_] | None:
    """Return which rows of a block of the reference were seen lately enough; None if it is no matter."""
    since = workspace.settings.since_time
    if since is None:
        return None
    last_seen = reference.arrays.read("rows/last_seen", slice(*reference.plan.bounds(block)))
    return np.asarray(last_seen >= since)


def calibrate_block(workspace: Workspace, item: str) -> TaskResult:
    """Return how many rows of the reference are at least as novel as each row of a block, by each view.

    Undefined values count nowhere, and have -1, as all have where several references are joined.
    """
    reference = workspace.open_candidates()
    parts = range(0, 0 if workspace.is_joined else reference.plan.n_rows, PASSING_ROWS)
    views = [workspace.read_rows(name, int(item)) for name in VIEWS]
    at_least, others = np.zeros((views[0].size, len(VIEWS)), np.int64), np.zeros(len(VIEWS), np.int64)
    for column, (name, values) in enumerate(zip(VIEWS, views, strict=True)):
        for start in parts:
            passing = reference.arrays.read(name, slice(start, start + PASSING_ROWS))
            passing = np.sort(passing[~np.isnan(passing)])
            at_least[:, column] += passing.size - np.searchsorted(passing, values)
            others[column] += passing.size
            advance(column * len(parts) + start // PASSING_ROWS + 1, len(VIEWS) * len(parts))
        at_least[np.isnan(values) | workspace.is_joined, column] = -1
    # The numbers of others are the same in all blocks: each task has a chunk of its own to write.
    return TaskResult({"calibration/at_least": at_least, "calibration/others": others})


def _first_block(reference: Candidates, url: str, form: NormalForm) -> int:
    """Return the first block of a reference whose last row is not before a URL."""

    def last_url(block: int) -> str:
        start, stop = reference.plan.bounds(block)
        return str(reference.arrays.read("rows/url", slice(start, stop))[-1])

    return find_place(url, reference.plan.n_blocks, last_url, form)[0]


def _find(
    keys: Sequence[str], urls: NDArray[Any], form: NormalForm
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return before which of some sorted URLs each of some sorted keys belongs, and whether it is there."""
    # Normal forms are made of many URLs at a time, of those only that the search looks at.
    first, stop = np.zeros(len(keys), np.int64), np.full(len(keys), len(urls), np.int64)
    found: dict[int, str] = {}
    while (is_open := first < stop).any():
        middles = (first + stop) // 2
        new = [middle for middle in np.unique(middles[is_open]).tolist() if middle not in found]
        found.update(zip(new, make_row_keys(urls[new].tolist(), form), strict=True))
        for row in np.flatnonzero(is_open).tolist():
            middle = int(middles[row])
            if found[middle] < keys[row]:
                first[row] = middle + 1
            else:
                stop[row] = middle
    # Where a key is there, the search has looked at its row, which is where it ended.
    is_there = [found.get(place) == key for place, key in zip(first.tolist(), keys, strict=True)]
    return first, np.array(is_there, np.bool_)
