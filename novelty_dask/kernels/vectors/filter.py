"""Search among vectors by products of small integers: a pair that a bound rules out is not computed.

Let x and y be rows, q and r their integers, a and b their scales, e and f what is lost: |x - a q| <= e and
|y - b r| <= f.  By the inequality of Cauchy and Schwarz

    |x.y - a b q.r| <= |x - a q| |y| + |a q| |y - b r| <= e |y| + |a q| f.

So x.y is below a threshold t where  a b q.r + |a q| f < t - e |y|.  Over all rows of a block |a q| is
at most h, and over all candidates |y| is at most l.  The *value* of a pair, a b q.r + h f, is computed in
float32, and the *limit* of a row is t - e l, less what float32 and all sums in float64 may be off.  A pair
is ruled out if its value is not over the limit.  For distances, |x - y|^2 = |x|^2 + |y|^2 - 2 x.y, so that
x.y - |y|^2 / 2 is compared with (t + |x|^2) / 2, where t is the negative square of a distance.

What is left is estimated by a sum in float64 in any order, and only what is among the k best, but for the
rounding of sums, is computed in the order of columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.neighbors import insert
from novelty_dask.kernels.vectors.closeness import estimate_closeness, measure_closeness
from novelty_dask.kernels.vectors.instructions import GROUP
from novelty_dask.kernels.vectors.products import ROWS, fetch, lowest_bit, multiply_tile
from novelty_dask.kernels.vectors.searches import (
    NEVER,
    WAITING,
    Bounds,
    Found,
    Search,
    make_found,
    make_panels,
    padded,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.kernels.vectors.closeness import Measure
    from novelty_dask.kernels.vectors.integers import IntegerRows

LARGEST_START = 2.0**20
"""Most that the start of a value may be: beyond it, float32 would tell nothing apart."""
LEAST_UNIT = 2.0**-900
"""Least product of lengths for which no number vanishes that matters."""


def search_integers(
    vectors: tuple[NDArray[np.float64], NDArray[np.float64]],
    integers: tuple[IntegerRows, IntegerRows],
    kept: tuple[NDArray[np.int64], NDArray[Any]],
    starts: tuple[int, int],
    *,
    measure: Measure,
) -> int | None:
    """Update the neighbors of rows with candidates, in place; return how many pairs were computed.

    Parameters
    ----------
    vectors : tuple of ndarray, of shapes (rows, columns) and (candidates, columns), float64
    integers : tuple of IntegerRows
        The same rows and candidates, less a common vector where distances are measured.
    kept : tuple of ndarray of shape (rows, k)
        Ids and closeness of the neighbors so far, best first.
    starts : (int, int)
        Numbers of the first row and of the first candidate.
    measure : Measure
        What closeness is.

    Returns
    -------
    int or None
        None if values don't fit in float32, as where lengths differ by far; nothing is changed then.
    """
    rows, candidates = integers
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        longest = float(candidates.lengths.max(initial=0)) or 1.0
        longest_row = float(rows.lengths.max(initial=0)) or 1.0
        unit = longest_row * longest
        far = candidates.squares / 2 if measure.is_distance else 0
        begin = (longest_row * candidates.errors - far) / unit
    if not (LEAST_UNIT < unit < 1 / LEAST_UNIT and np.all(np.abs(begin) < LARGEST_START)):
        return None
    # Two scales and four operations, each off by 2**-24 of a value, which is about 1 at most, or of a start.
    value_error = 2.0**-20 * (2 + np.abs(begin).max(initial=0)) * unit
    rounding = (vectors[0].shape[1] + 8) * 2.0**-48
    search = Search(
        vectors,
        rows,
        padded(rows.scales / longest_row, len(vectors[0]) + ROWS, 0),
        make_panels(candidates, candidates.scales / longest, begin),
        Bounds(unit, longest, rounding, value_error, measure),
        kept,
        starts,
        make_found(len(vectors[0]), kept[0].shape[1], candidates.panel_rows),
    )
    return _search(search)


@compiled_loop
def _search(search: Search) -> int:
    """Search all rows, a chunk at a time."""
    found, panels = search.found, search.panels
    n_rows, n_panels = search.vectors[0].shape[0], panels.parts[0].size // panels.width
    computed = 0
    for start in range(0, n_rows, found.counts.size):
        size = min(found.counts.size, n_rows - start)
        _begin(search, start, size)
        # Rows that lie beside each other are often similar: those first, so that limits rise early.
        near = min(max(search.starts[0] + start - search.starts[1], 0) // panels.width, n_panels - 1)
        for step in range(n_panels):
            computed += _pass_panel(search, start, size, (near + step) % n_panels)
        for i in range(size):
            computed += _finish(search, start, i)
    return computed


@compiled_loop
def _begin(search: Search, start: int, size: int) -> None:
    """Set the thresholds of the rows of a chunk by the neighbors that they have."""
    found, bounds = search.found, search.bounds
    found.counts[:] = 0
    found.best[:] = -np.inf
    found.limits[:] = NEVER
    for i in range(size):
        most = search.integers.lengths[start + i] + bounds.longest
        # The last term is for sums of numbers so small that they are rounded to zero.
        found.slacks[i] = bounds.rounding * most * most + 2.0**-1000
        found.thresholds[i] = search.kept[1][start + i, -1] - found.slacks[i]
        _set_limit(search, start, i)


@compiled_loop
def _set_limit(search: Search, start: int, i: int) -> None:
    """Set the limit of a row by its threshold."""
    found, bounds, integers = search.found, search.bounds, search.integers
    threshold = found.thresholds[i] - found.slacks[i]
    if bounds.measure.is_distance:
        threshold = (threshold + integers.squares[start + i]) / 2
    lost = integers.errors[start + i] * bounds.longest + bounds.value_error
    limit = (threshold - lost) / bounds.unit
    # Where there is no neighbor yet, the threshold is minus infinity.  NaN rules nothing out.
    found.limits[i] = limit - abs(limit) * 2.0**-22 if limit > -NEVER else -NEVER


@compiled_loop
def _pass_panel(search: Search, start: int, size: int, panel: int) -> int:
    """Let the rows of a chunk pass a panel of candidates; return how many pairs were computed."""
    found, panels, integers = search.found, search.panels, search.integers
    n_candidates, n_columns = search.vectors[1].shape
    row_bytes, first = GROUP * integers.n_groups, panel * panels.width
    computed, n_waiting = 0, 0
    for i in range(0, size, ROWS):
        if not multiply_tile(
            (integers.rows, search.scales, found.limits, panels.bytes, found.over_limit),
            panels.parts,
            ((start + i) * row_bytes, start + i, i, first * row_bytes, first, integers.n_groups),
        ):
            continue
        for r in range(min(ROWS, size - i)):
            bits, own = found.over_limit[r], search.starts[0] + start + i + r - search.starts[1]
            while bits:
                candidate = first + lowest_bit(bits)
                bits &= bits - 1
                if candidate < n_candidates and candidate != own:
                    found.waiting[n_waiting, 0], found.waiting[n_waiting, 1] = i + r, candidate
                    n_waiting += 1
                    fetch(search.vectors[1], candidate * n_columns, n_columns)
        if n_waiting >= WAITING:
            computed += _estimate(search, start, n_waiting)
            n_waiting = 0
    return computed + _estimate(search, start, n_waiting)


@compiled_loop
def _estimate(search: Search, start: int, n_waiting: int) -> int:
    """Estimate the pairs that wait; return how many pairs were computed to have room for them."""
    found, computed = search.found, 0
    for q in range(n_waiting):
        i, candidate = found.waiting[q]
        estimate = estimate_closeness(
            search.vectors[0][start + i], search.vectors[1][candidate], search.bounds.measure.is_distance
        )
        if estimate < found.thresholds[i]:
            continue
        if found.counts[i] == found.candidates.shape[1]:
            _forget(found, i)
            # Where more than there is room for are equally close, but for rounding.
            if found.counts[i] == found.candidates.shape[1]:
                computed += _finish(search, start, i)
        _remember(found, i, candidate, estimate)
        _set_limit(search, start, i)
    return computed


@compiled_loop
def _forget(found: Found, i: int) -> None:
    """Forget the candidates of a row whose estimates are below its threshold by now."""
    n_left = 0
    for p in range(found.counts[i]):
        if found.estimates[i, p] >= found.thresholds[i]:
            found.estimates[i, n_left] = found.estimates[i, p]
            found.candidates[i, n_left] = found.candidates[i, p]
            n_left += 1
    found.counts[i] = n_left


@compiled_loop
def _remember(found: Found, i: int, candidate: int, estimate: float) -> None:
    """Remember a candidate of a row, and raise its threshold if it is one of the best."""
    found.candidates[i, found.counts[i]] = candidate
    found.estimates[i, found.counts[i]] = estimate
    found.counts[i] += 1
    best = found.best[i]
    if estimate > best[-1]:
        slot = best.size - 1
        while slot > 0 and best[slot - 1] < estimate:
            best[slot] = best[slot - 1]
            slot -= 1
        best[slot] = estimate
        # Each of the best may be lower by the slack, and what is estimated now may be higher.
        found.thresholds[i] = max(found.thresholds[i], best[-1] - 2 * found.slacks[i])


@compiled_loop
def _finish(search: Search, start: int, i: int) -> int:
    """Compute the candidates of a row that may be among the closest; return how many."""
    found, row, computed = search.found, start + i, 0
    ids, closeness = search.kept[0][row], search.kept[1][row]
    for p in range(found.counts[i]):
        if found.estimates[i, p] >= found.thresholds[i]:
            candidate = found.candidates[i, p]
            value: Any = measure_closeness(
                search.vectors[0][row], search.vectors[1][candidate], search.bounds.measure
            )
            insert(ids, closeness, search.starts[1] + candidate, value)
            computed += 1
            found.thresholds[i] = max(found.thresholds[i], closeness[-1] - found.slacks[i])
    found.counts[i] = 0
    return computed
