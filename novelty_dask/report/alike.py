"""Groups of rows that are alike, those of a run or of a threshold that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from novelty_dask.similar.groups import Groups, find_groups

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from novelty_dask.report.texts import Texts
    from novelty_dask.results.results import Results
    from novelty_dask.run import Run

MOST_GROUPS = 200
MOST_EXAMPLES = 3


def gather_alike(
    run: Run, results: Results, search: Mapping[str, Any], texts: Texts
) -> dict[str, Any] | None:
    """Return the largest groups with representatives and most novel rows; None if there are none to show.

    Parameters
    ----------
    run : Run
    results : Results
        Of the run.
    search : mapping
        Arguments of `find_groups`; empty to show those by which the neighbors of the run were chosen, if any.
    texts : Texts
    """
    at_least = search.get("at_least", run.manifest.settings.outside_groups)
    if at_least is None:
        return None
    found = find_groups(run, **search) if search else _stored_groups(results)
    return {"at_least": at_least, **_show(results, found, texts)}


def _show(results: Results, found: Groups, texts: Texts) -> dict[str, Any]:
    """Return what a page shows of groups."""
    n_shown = min(MOST_GROUPS, found.sizes.size)
    table = _most_novel(results, found.numbers, n_shown)
    members: list[list[tuple[float, str]]] = [[] for _ in range(n_shown)]
    urls = results.urls(table["row"].to_numpy()).tolist()
    for group, novelty, url in zip(
        table["group"].to_pylist(), table["novelty"].to_pylist(), urls, strict=True
    ):
        members[group].append((novelty, texts.show(url)))
    names = results.urls(found.rows[:n_shown]).tolist()
    return {
        "n_groups": found.sizes.size,
        "n_rows": int(found.sizes.sum()),
        "has_pairs": found.pairs.size > 0,
        "groups": [
            {
                "name": texts.show(name),
                "size": int(found.sizes[group]),
                "pairs": int(found.pairs[group]) if found.pairs.size else None,
                "least": float(found.least[group]) if found.pairs.size else None,
                "top_novelty": members[group][0][0],
                "urls": members[group],
            }
            for group, name in enumerate(names)
        ],
    }


def _stored_groups(results: Results) -> Groups:
    """Return the groups by which the neighbors of a run were chosen; its pairs are not kept."""
    blocks = [results.read("group", block) for block in range(results.n_blocks)]
    first = np.concatenate([np.zeros(0, np.int64), *blocks])
    sizes = np.bincount(first, minlength=results.n_rows)
    rows = np.flatnonzero(sizes > 1)
    rows = rows[np.argsort(-sizes[rows], kind="stable")]
    numbers = np.full(results.n_rows, -1, np.int64)
    numbers[rows] = np.arange(rows.size)
    none = np.empty(0, np.int64)
    return Groups(numbers[first], sizes[rows], none, none.astype(np.float32), rows)


def _most_novel(results: Results, numbers: NDArray[np.int64], n_groups: int) -> pa.Table:
    """Return the most novel rows of each of the first groups, in their order; ties by row."""
    kept = np.zeros((3, 0))
    for block in range(results.n_blocks):
        novelty = results.read("novelty", block)
        start = block * results.block_rows
        groups = numbers[start : start + novelty.size]
        inside = np.flatnonzero((groups >= 0) & (groups < n_groups))
        kept = np.hstack([kept, np.array([groups[inside], -novelty[inside], start + inside])])
        # What is not defined is last.
        kept = kept[:, np.lexsort(kept[::-1])]
        places = np.arange(kept.shape[1]) - np.searchsorted(kept[0], kept[0])
        kept = kept[:, places < MOST_EXAMPLES]
    group, novelty, row = kept
    return pa.table({"group": group.astype(np.int64), "novelty": -novelty, "row": row.astype(np.int64)})
