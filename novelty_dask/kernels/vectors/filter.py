"""Search among vectors by products of small integers: a pair that a bound rules out is not computed.

Let x and y be rows, q and r their integers, a and b their scales, e and f what is lost: |x - a q| <= e and
|y - b r| <= f.  By the inequality of Cauchy and Schwarz

    |x.y - a b q.r| <= |x - a q| |y| + |a q| |y - b r| <= e |y| + |a q| f.

Over all rows of a block |a q| is at most h, and over all candidates |y| is at most l.  So x.y is at most
a b q.r + h f + e l, the *value* of a pair, which is computed in float32.  For distances, -|x - y|^2 / 2 is
x.y - |x|^2 / 2 - |y|^2 / 2, so that the squares are taken away from the value.  The *limit* of a row is the
closeness that a neighbor must have, half of it for distances, less what float32 may be off.  A pair is ruled
out if its value is over the limit of neither row: it is compared with the lower one.

What is left is estimated by a sum of products in float32.  What its error allows to be among the k best is
remembered, and in the end computed in float64 in the order of columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.neighbors import insert
from novelty_dask.kernels.vectors.closeness import SINGLE_ERROR, estimate_product, measure_four
from novelty_dask.kernels.vectors.instructions import GROUP
from novelty_dask.kernels.vectors.products import ROWS, fetch, lowest_bit, multiply_tile
from novelty_dask.kernels.vectors.searches import (
    NEVER,
    WAITING,
    Block,
    Bounds,
    Found,
    Search,
    Side,
    Values,
    make_search,
    make_side,
    stretches,
)

if TYPE_CHECKING:
    from novelty_dask.kernels.vectors.closeness import Measure

CHUNK = 40 * ROWS
"""Rows that pass a panel one after the other, while it is in the cache."""
LARGEST_START = 2.0**20
"""Most that the start of a value may be: beyond it, float32 would tell nothing apart."""
LEAST_UNIT = 2.0**-900
"""Least product of lengths for which no number vanishes that matters."""


def search_integers(rows: Block, candidates: Block, measure: Measure) -> bool:
    """Update the neighbors of two blocks with the rows of each other, in place.

    Parameters
    ----------
    rows, candidates : Block
        May be the same one.  Neighbors of candidates are updated if they have any room.
    measure : Measure
        What closeness is.

    Returns
    -------
    bool
        False if values don't fit in float32, as where lengths differ by far; nothing is changed then.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        lengths = _longest(rows), _longest(candidates)
        unit = lengths[0] * lengths[1]
        of_rows = _make_values(rows, lengths[::-1], unit, measure)
        of_candidates = _make_values(candidates, lengths, unit, measure)
        most = max(np.abs(of_rows.starts).max(), np.abs(of_candidates.starts).max())
    if not (LEAST_UNIT < unit < 1 / LEAST_UNIT and most < LARGEST_START):
        return False
    # Two scales and five operations, each off by 2**-24 of a value, which is about 1 at most, or of a start.
    bounds = Bounds(unit, 2.0**-20 * (2 + most) * unit, measure)
    is_same = rows is candidates
    for part in stretches(rows):
        side = make_side(rows, of_rows, part)
        for other in stretches(candidates):
            if is_same and other.start < part.start:
                continue
            other_side = side if is_same and other == part else make_side(candidates, of_candidates, other)
            _search(make_search(side, other_side, bounds, rows.integers))
    return True


def _longest(block: Block) -> float:
    """Return the length of the longest row; 1 if all are zero, so that one can divide by it."""
    return float(block.integers.lengths.max(initial=0)) or 1.0


def _make_values(block: Block, lengths: tuple[float, float], unit: float, measure: Measure) -> Values:
    """Return where the values of rows start, and by how much estimates are off.

    Parameters
    ----------
    block : Block
    lengths : (float, float)
        Of the longest row of the other block, and of this one.
    unit : float
        What values are divided by.
    measure : Measure
    """
    integers, longest = block.integers, lengths[0]
    starts = longest * integers.errors
    if measure.is_distance:
        starts -= integers.squares / 2
    # Of estimates, twice where they are doubled; of sums in float64; and of numbers so small that they are
    # rounded to zero.
    slacks = 2 * SINGLE_ERROR * longest * integers.lengths + 2.0**-1000
    slacks += (block.vectors.shape[1] + 8) * 2.0**-48 * (integers.lengths + longest) ** 2
    return Values(integers.scales / lengths[1], starts / unit, slacks)


@compiled_loop
def _search(search: Search) -> None:
    """Search rows among candidates, a chunk at a time."""
    rows, candidates, width = search.rows, search.candidates, search.width
    n_rows, n_candidates = rows.vectors.shape[0], candidates.vectors.shape[0]
    _begin(rows, search.bounds)
    if search.is_both and not search.is_same:
        _begin(candidates, search.bounds)
    for start in range(0, n_rows, CHUNK):
        size = min(CHUNK, n_rows - start)
        # Among themselves, rows have met those before them.
        first = start // width if search.is_same else 0
        n_panels = -(-n_candidates // width) - first
        # Rows that lie beside each other are often similar: those first, so that limits rise early.
        near = min(max(rows.first + start - candidates.first, 0) // width - first, n_panels - 1)
        n_waiting = 0
        for step in range(n_panels):
            panel = first + (near + step) % n_panels
            n_waiting = _pass_panel(search, start, size, panel, n_waiting)
        _estimate(search, n_waiting)
    for i in range(n_rows):
        _finish(rows, candidates, i, search.bounds.measure)
    if search.is_both and not search.is_same:
        for j in range(n_candidates):
            _finish(candidates, rows, j, search.bounds.measure)


@compiled_loop
def _begin(side: Side, bounds: Bounds) -> None:
    """Set the thresholds of rows by the neighbors that they have."""
    found = side.found
    found.counts[:] = 0
    for i in range(side.vectors.shape[0]):
        found.thresholds[i] = side.closeness[i, -1] - side.slacks[i]
        found.limits[i] = _find_limit(found.thresholds[i] - side.slacks[i], bounds)


@compiled_loop
def _find_limit(threshold: float, bounds: Bounds) -> float:
    """Return the limit of values of a row by the closeness that a neighbor must have."""
    half = threshold / 2 if bounds.measure.is_distance else threshold
    limit = (half - bounds.value_error) / bounds.unit
    # Where there is no neighbor yet, the threshold is minus infinity.  NaN rules nothing out.
    return limit - abs(limit) * 2.0**-22 if limit > -NEVER else -NEVER


@compiled_loop
def _pass_panel(search: Search, start: int, size: int, panel: int, n_waiting: int) -> int:
    """Let the rows of a chunk pass a panel of candidates; return how many pairs wait."""
    rows, candidates, waiting = search.rows, search.candidates, search.waiting
    row_bytes, first, n_columns = GROUP * search.n_groups, panel * search.width, rows.singles.shape[1]
    for row in range(start, start + size, ROWS):
        if search.is_same and first + search.width <= row + 1:
            continue
        if not multiply_tile(
            (
                rows.bytes,
                rows.scales,
                rows.starts,
                rows.found.limits,
                candidates.panels,
                search.over_limit,
            ),
            (candidates.sums, candidates.scales, candidates.starts, candidates.found.limits),
            (row * row_bytes, row, first * row_bytes, first, search.n_groups),
        ):
            continue
        for r in range(min(ROWS, start + size - row)):
            bits, own = search.over_limit[r], rows.first + row + r - candidates.first
            while bits:
                candidate = first + lowest_bit(bits)
                bits &= bits - 1
                # Each pair of the same rows once.
                if candidate <= own if search.is_same else candidate == own:
                    continue
                waiting[n_waiting, 0], waiting[n_waiting, 1] = row + r, candidate
                n_waiting += 1
                fetch(candidates.singles, candidate * n_columns, n_columns)
        if n_waiting >= WAITING:
            _estimate(search, n_waiting)
            n_waiting = 0
    return n_waiting


@compiled_loop
def _estimate(search: Search, n_waiting: int) -> None:
    """Estimate the pairs that wait, and remember those that may be among the closest."""
    rows, candidates, bounds = search.rows, search.candidates, search.bounds
    for q in range(n_waiting):
        i, j = search.waiting[q, 0], search.waiting[q, 1]
        estimate = estimate_product(rows.singles[i], candidates.singles[j])
        estimate *= rows.factors[i] * candidates.factors[j]
        if bounds.measure.is_distance:
            estimate = 2 * estimate - rows.squares[i] - candidates.squares[j]
        # Once for each side, and in no function of its own: to pass it a side takes longer than all it does.
        if estimate >= rows.found.thresholds[i]:
            if rows.found.counts[i] == rows.found.candidates.shape[1]:
                _finish(rows, candidates, i, bounds.measure)
            threshold = _remember(rows.found, rows.slacks[i], rows.ids.shape[1], (i, j), estimate)
            rows.found.limits[i] = _find_limit(threshold - rows.slacks[i], bounds)
        if search.is_both and estimate >= candidates.found.thresholds[j]:
            if candidates.found.counts[j] == candidates.found.candidates.shape[1]:
                _finish(candidates, rows, j, bounds.measure)
            threshold = _remember(candidates.found, candidates.slacks[j], rows.ids.shape[1], (j, i), estimate)
            candidates.found.limits[j] = _find_limit(threshold - candidates.slacks[j], bounds)


@compiled_loop
def _remember(found: Found, slack: float, k: int, pair: tuple[int, int], estimate: float) -> float:
    """Remember a candidate of a row, best first, and forget those ruled out; return the threshold."""
    i = pair[0]
    estimates, candidates, count = found.estimates[i], found.candidates[i], found.counts[i]
    slot = count
    while slot > 0 and estimates[slot - 1] < estimate:
        estimates[slot] = estimates[slot - 1]
        candidates[slot] = candidates[slot - 1]
        slot -= 1
    estimates[slot] = estimate
    candidates[slot] = pair[1]
    count += 1
    if count >= k:
        # Each of the k best may be lower by the slack, and what is estimated now may be higher.
        found.thresholds[i] = max(found.thresholds[i], estimates[k - 1] - 2 * slack)
        while estimates[count - 1] < found.thresholds[i]:
            count -= 1
    found.counts[i] = count
    return float(found.thresholds[i])


@compiled_loop
def _finish(side: Side, other: Side, i: int, measure: Measure) -> None:
    """Compute the candidates of a row that may be among the closest."""
    found, ids, closeness = side.found, side.ids[i], side.closeness[i]
    count, x, y = found.counts[i], side.vectors[i], other.vectors
    for p in range(0, count, 4):
        # Best first: those that follow are too far as well.
        if found.estimates[i, p] < found.thresholds[i]:
            break
        last = count - 1
        four = found.candidates[i]
        others = (y[four[p]], y[four[min(p + 1, last)]], y[four[min(p + 2, last)]], y[four[min(p + 3, last)]])
        values: Any = measure_four(x, others, measure)
        for q in range(min(4, count - p)):
            insert(ids, closeness, other.first + four[p + q], values[q])
        found.thresholds[i] = max(found.thresholds[i], closeness[-1] - side.slacks[i])
    found.counts[i] = 0
