"""Numbers of a run, from its columns, which are read a block at a time: novelty, what is known, times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from novelty_dask.results.results import Results

BARS = 50
CUTS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Novelties from which on rows are counted."""
RANKS = (1, 10, 100, 1_000)
"""Ranks whose novelty is shown."""
LIMITS = (0.1, 0.05, 0.01, 0.001)
"""P-values up to which rows are counted, the first two also false discovery rates."""


def gather_novelty(results: Results) -> dict[str, Any]:
    """Return how the novelty of all rows is distributed, and how many rows and lines are known."""
    bars, new_bars = np.zeros((2, BARS), np.int64)
    cuts, new_cuts = np.zeros((2, len(CUTS)), np.int64)
    best, n_known, n_known_lines, n_defined = np.empty(0), 0, 0, 0
    for block in range(results.n_blocks):
        novelty = results.read("novelty", block)
        is_new = np.ones(len(novelty), np.bool_)
        if results.is_against:
            is_new = ~results.read("known", block)
            n_known += int((~is_new).sum())
            n_known_lines += int(results.read("rows/count", block)[~is_new].sum())
        # Comparison with NaN is false.
        for values, counts, above in ((novelty, bars, cuts), (novelty[is_new], new_bars, new_cuts)):
            defined = values[~np.isnan(values)]
            counts[:] += np.histogram(defined, BARS, (0, 1))[0]
            above[:] += (defined[:, None] >= np.array(CUTS)).sum(axis=0)
        n_defined += int((~np.isnan(novelty)).sum())
        best = -np.sort(-np.concatenate([best, novelty[~np.isnan(novelty)]]))[: max(RANKS)]
    edges = np.linspace(0, 1, BARS + 1)
    return {
        **_chart(
            _bar(f"{start:.2f} to {stop:.2f}", int(count), int(new))
            for start, stop, count, new in zip(edges, edges[1:], bars, new_bars, strict=False)
        ),
        "cuts": [*zip(CUTS, cuts.tolist(), new_cuts.tolist(), strict=True)],
        "ranks": [(rank, float(best[rank - 1])) for rank in RANKS if rank <= len(best)],
        "n_defined": n_defined,
        "n_known": n_known,
        "n_known_lines": n_known_lines,
    }


def gather_p_values(results: Results) -> dict[str, Any]:
    """Return how many rows have a p-value below some limits, and how many are false discoveries at a rate."""
    calibration = results.calibrate("novelty")
    bounds = [*LIMITS, *(calibration.limit(rate) for rate in LIMITS[:2])]
    counts = np.zeros(len(bounds), np.int64)
    for block in range(results.n_blocks):
        counts += (calibration.read(block)[:, None] <= np.array(bounds)).sum(axis=0)
    return {
        "limits": [*zip(LIMITS, counts.tolist(), strict=False)],
        "rates": [*zip(LIMITS, counts.tolist()[len(LIMITS) :], strict=False)],
    }


def gather_times(results: Results) -> dict[str, Any] | None:
    """Return how many rows were first seen when, and how many of them are novel; None without times."""
    if not results.is_in_time or not results.n_rows:
        return None
    ends = [_ends(results.read("rows/first_seen", block)) for block in range(results.n_blocks)]
    first, last = min(start for start, _ in ends), max(stop for _, stop in ends)
    edges = np.linspace(first, last + 1, BARS + 1).astype(np.int64)
    bars, novel_bars = np.zeros((2, BARS), np.int64)
    for block in range(results.n_blocks):
        places = np.searchsorted(edges, results.read("rows/first_seen", block), "right") - 1
        places = np.clip(places, 0, BARS - 1)
        bars += np.bincount(places, minlength=BARS)
        novel_bars += np.bincount(places[results.read("novelty", block) >= 0.5], minlength=BARS)
    names = np.datetime_as_string(edges.astype("datetime64[us]"), "m").tolist()
    return {
        **_chart(
            _bar(f"from {name}", int(count), int(novel))
            for name, count, novel in zip(names, bars, novel_bars, strict=False)
        ),
        "first": names[0],
        "middle": names[BARS // 2],
        "last": np.datetime_as_string(np.datetime64(last, "us"), "m"),
    }


def _ends(times: NDArray[np.int64]) -> tuple[int, int]:
    """Return the first and the last of some times."""
    return int(times.min()), int(times.max())


def _bar(name: str, count: int, part: int) -> dict[str, Any]:
    """Return a bar: its name, all rows, and those that stand out."""
    return {"name": name, "count": count, "part": part}


def _chart(given: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return lines of a grid, and bars with their heights in percent, on a logarithmic scale.

    >>> _chart([{"name": "a", "count": 99, "part": 0}])["grid"]
    [(10, 51.96), (100, 100.0)]
    >>> _chart([{"name": "a", "count": 99, "part": 0}])["bars"]
    [{'name': 'a', 'count': 99, 'part': 0, 'all': 99.78, 'own': 0.0}]
    """
    bars = list(given)
    most = max((bar["count"] for bar in bars), default=0)
    grid = [10**power for power in range(1, len(str(max(most - 1, 1))) + 1)]
    # One row is a bar that can be seen, and none is none.
    full = np.log1p(grid[-1])

    def height(count: int) -> float:
        return round(100 * float(np.log1p(count) / full), 2)

    sized = [{**bar, "all": height(bar["count"]), "own": height(bar["part"])} for bar in bars]
    return {"grid": [(line, height(line)) for line in grid], "bars": sized}
