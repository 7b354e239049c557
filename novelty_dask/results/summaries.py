"""Sites and templates of a run: how many rows each has, and how novel they are.

Rows are read once, a part at a time.  What is kept of a group is a few numbers, 72 bytes; its name is found
again in its first row when all are known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from novelty_dask.errors import SettingsError
from novelty_dask.results.groups import GROUPS, digests, to_readable
from novelty_dask.results.selection import Tally

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from novelty_dask.results.results import Results

Numbers = dict[str, "NDArray[Any]"]
"""Columns of numbers, one element for each group."""

PART_ROWS = 16_384
"""Rows whose groups are named at once."""
PARTS = 2**40
"""Novelty is added up in whole parts of 1, so that a sum does not depend on the order of its rows."""
# Neither half of a row is above 2**20, so that sums over 2**42 rows fit in 64 bits.
HALF_BITS = 20
MERGED = {
    "row": np.minimum,
    # It passes over NaN, which an undefined novelty is.
    "top": np.fmax,
    **dict.fromkeys(("rows", "count", "defined", "high", "low", "above", "templates"), np.add),
}
"""How numbers of one group become one."""
PENDING = 2**18
"""Groups that wait at least until they are merged."""
BY = {
    "site": ("top_novelty", "mean_novelty", "share_above", "rows", "count", "templates"),
    "template": ("rows", "count", "top_novelty", "mean_novelty", "share_above"),
}
"""Columns by which sites and templates can be ordered, the default first."""


def summarize(
    results: Results, group: str, n: int | None = None, *, by: str | None = None, above: float = 0.5
) -> pa.Table:
    """Return the sites or the templates of a run, the highest of a column first, ties by their first row.

    Parameters
    ----------
    results : Results
        A complete run.
    group : {"site", "template"}
        What to return.
    n : int, optional
        How many; all by default.
    by : str, optional
        One of `BY`.
    above : float
        Novelty from which on rows are counted for share_above.

    Returns
    -------
    pyarrow.Table
        Columns site or template; rows; count, lines of these rows; mean_novelty and top_novelty, null where
        no row has one; share_above; for sites templates, for templates url, the first row.

    Raises
    ------
    SettingsError
        An argument is impossible.
    """
    by = by or BY[group][0]
    if by not in BY[group]:
        *first, last = BY[group]
        message = f"A {group} has no column {by!r} to order by; it is {', '.join(first)} or {last}."
        raise SettingsError(message)
    if not np.isfinite(above):
        message = f"Rows can't be counted from a novelty of {above} on; give a number."
        raise SettingsError(message)
    if n is not None and n < 0:
        message = f"Can't give {n} {group}s; ask for 0 or more."
        raise SettingsError(message)
    merged = _merge_all(_parts(results, group, above))
    # By numbers alone: names are looked up for those that are given.
    columns = _columns(merged, group)
    values = columns[by]
    order = np.lexsort((merged["row"], np.where(np.isnan(values), np.inf, -values)))[:n]
    return _named(results, group, merged["row"][order], {name: columns[name][order] for name in columns})


def _parts(results: Results, group: str, above: float) -> Iterator[Numbers]:
    """Yield the numbers of single rows, a part at a time, each with the digest of its group."""
    tally = Tally()
    for block in range(results.n_blocks):
        urls, novelty = results.read("rows/url", block), results.read("novelty", block)
        counts = results.read("rows/count", block)
        for start in range(0, len(urls), PART_ROWS):
            part = slice(start, start + PART_ROWS)
            names, values = pa.array(urls[part].tolist(), pa.string()), novelty[part]
            keys = digests(GROUPS[group](names))
            parts = np.rint(np.nan_to_num(values) * PARTS).astype(np.int64)
            numbers: Numbers = {
                "key": keys,
                "row": block * results.block_rows + start + np.arange(len(keys)),
                "rows": np.ones(len(keys), np.int64),
                "count": counts[part],
                "defined": (~np.isnan(values)).astype(np.int64),
                # In two halves, as the sum of a large group would not fit in 64 bits.
                "high": parts >> HALF_BITS,
                "low": parts & (2**HALF_BITS - 1),
                "top": values,
                "above": (values >= above).astype(np.int64),
            }
            if group == "site":
                # A template may have hosts of several sites; an odd factor keeps different ones different.
                pairs = digests(GROUPS["template"](names)) * np.uint64(0x9E3779B97F4A7C15) + keys
                numbers["templates"] = (tally.add(pairs) == 0).astype(np.int64)
            yield numbers


def _merge_all(parts: Iterator[Numbers]) -> Numbers:
    """Return the numbers of each group, from those of rows."""
    waiting: list[Numbers] = []
    n_waiting, n_merged = 0, 0
    for part in parts:
        # A part first by itself, where most rows of a group are together.
        waiting.append(_merge([part]))
        n_waiting += len(waiting[-1]["key"])
        if n_waiting > max(PENDING, 2 * n_merged):
            waiting = [_merge(waiting)]
            n_waiting = n_merged = len(waiting[0]["key"])
    return _merge(waiting)


def _merge(parts: list[Numbers]) -> Numbers:
    """Return numbers with those of each group merged, in the order of their digests."""
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    # Side by side, so that one pass adds up each group.
    order = np.argsort(columns["key"], kind="stable")
    keys = columns.pop("key")[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    merged = {name: MERGED[name].reduceat(column[order], starts) for name, column in columns.items()}
    return {"key": keys[starts], **merged}


def _columns(merged: Numbers, group: str) -> dict[str, NDArray[Any]]:
    """Return the columns of numbers that are shown; an undefined one is NaN."""
    # Divided once, at the end, from whole numbers.
    total = merged["high"] * (2.0**HALF_BITS / PARTS) + merged["low"] / PARTS
    with np.errstate(invalid="ignore"):
        mean = np.where(merged["defined"] > 0, total / merged["defined"], np.nan)
    columns = {
        "rows": merged["rows"],
        "count": merged["count"],
        "mean_novelty": mean,
        "top_novelty": merged["top"],
        "share_above": merged["above"] / merged["rows"],
    }
    return columns | ({"templates": merged["templates"]} if group == "site" else {})


def _named(
    results: Results, group: str, rows: NDArray[np.int64], columns: dict[str, NDArray[Any]]
) -> pa.Table:
    """Return columns with the name of each group, found in its first row."""
    # In the order of storage, so that each block is read once.
    order = np.argsort(rows)
    urls = [pa.array(results.urls(part).tolist(), pa.string()) for part in _cut(rows[order])]
    names = [GROUPS[group](part).cast(pa.string()) for part in urls]
    back = pa.array(np.argsort(order))
    named = pa.chunked_array(names, pa.string()).take(back)
    numbers = {name: pa.array(column, from_pandas=True) for name, column in columns.items()}
    if group == "site":
        return pa.table({"site": named, **numbers})
    readable = pa.array([to_readable(name) for name in named.to_pylist()], pa.string())
    return pa.table({"template": readable, **numbers, "url": pa.chunked_array(urls, pa.string()).take(back)})


def _cut(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield rows in parts."""
    for start in range(0, len(rows), PART_ROWS):
        yield rows[start : start + PART_ROWS]
