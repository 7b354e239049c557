"""Search for the k most similar rows of each row, exactly, without most of the multiplications.

A sparse product is slow because of the few columns that nearly all rows share, and these say least.  So only
the rare columns of a row, its *prefix*, are multiplied out, as far as needed for the norms of the rest to
prove that no candidate of an inverted tile reaches the row's threshold, its k-th best similarity so far.
That is done for pieces of tiles first (`survey`), then for groups of sixteen consecutive candidates at once
(`survivors`), in integers whose error has a known sign and limit (`lists`).  The few candidates that are left
are *finished* from their own rows (`finish`).  Where many would be left of long rows, a matrix product
estimates them at once (`dense`).  Thresholds start with the neighbors in sort order, go on with the
nearest tile, and rise from tile to tile.

Why the result is exact, and the same bytes whatever the blocks, tiles, order and starting neighbors:

1. `similarity` alone decides.  It adds the products of two float32 weights, which are exact in float64, over
   the common columns in ascending order, and rounds once.  That depends on the two rows and nothing else.
2. `insert` keeps the k best of all candidates shown to it under a total order, so their order is irrelevant.
3. All else only withholds candidates, and the threshold t can only rise.  For a pair of similarity s, the sum
   over the prefix plus the product of the suffix norms is at least s (Cauchy-Schwarz).  Weights and norms are
   rounded up, products down by less than a unit: the integer sum is above ``s * ONE`` less a unit for each
   column of the prefix, one for the product of the norms, and one that covers the rounding of all floats.  A
   sum below that for t proves s < t.  The sum of a group is at least that of each of its rows.
4. A candidate that shares no column of the prefix is bounded by the suffix norms alone, which are below t
   where the prefix ends; or the prefix is the whole row, and they share no column.
   A piece of many groups is bounded by the largest of their weights and norms, rounded up once more.
5. The last filter is the same sum with the suffix multiplied out in float32, or that of all columns, against
   t less its rounding error (`minimum_estimate`).  Comparisons are ``>=``: a candidate that ties with the
   k-th best is shown.
6. Of equal candidates in a tile only the first is compared.  The others have its similarity and higher ids:
   they are shown after it, in order, until one is not kept, as then none that follows would be.
7. Candidates that were not seen before a row are not inserted, where rows have times: its threshold is then
   lower than it would be, which withholds fewer.
8. Of equal rows with equal neighbors only the first is compared with other tiles than their own.  What it
   keeps of these is what the others keep, for a reason that `equal_rows` gives.
9. A candidate of the row's own group is never shown to `insert`.  Thresholds are those of fewer candidates,
   hence lower, and all bounds hold.  Equal rows are of one group: 6 and 8 hold, too, as what is left out for
   one of them, or of them, is so for all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from novelty_dask.kernels.neighbors import Neighbors, merge, sort_neighbors
from novelty_dask.kernels.search.block import Block, bare_rows, prepare
from novelty_dask.kernels.search.coarse import MOST_TILES, PIECES
from novelty_dask.kernels.search.dense import has_long_rows, scan_long_rows
from novelty_dask.kernels.search.equal_rows import Distinct, follow, share
from novelty_dask.kernels.search.finish import Comparison, compare_adjacent, compare_near
from novelty_dask.kernels.search.scan import NO_MARKS, scan_tile
from novelty_dask.kernels.search.scratch import Scratch, allocate_scratch, fit_scratch
from novelty_dask.kernels.search.similarity import similarity
from novelty_dask.kernels.search.survey import survey
from novelty_dask.progress import advance, part

if TYPE_CHECKING:
    import scipy.sparse as sp

    from novelty_dask.kernels.search.inverted import InvertedTile

__all__ = [
    "Block",
    "Neighbors",
    "SearchCounts",
    "merge",
    "prepare",
    "search",
    "search_near",
    "similarity",
    "sort_neighbors",
]


class SearchCounts(NamedTuple):
    """Counts of what a search did, which depend neither on the machine nor on its other load.

    Parameters
    ----------
    multiply_adds : int
        Steps of adding to sums: an entry of a list, for up to sixteen rows, or 16 groups of a dense list.
    slots : int
        Sums compared with the threshold, of groups and of rows.
    finished : int
        Candidates compared by their own rows.
    adjacent : int
        Similarities computed to rows that are adjacent in sort order.

    Examples
    --------
    >>> SearchCounts(multiply_adds=2, slots=3) + SearchCounts(slots=4)
    SearchCounts(multiply_adds=2, slots=7, finished=0, adjacent=0)
    """

    multiply_adds: int = 0
    slots: int = 0
    finished: int = 0
    adjacent: int = 0

    def __add__(self, other: Self) -> Self:  # type: ignore[override]
        """Add count by count."""
        return type(self)(*(a + b for a, b in zip(self, other, strict=True)))


LEAST_SURVEYED = 2
"""Tiles from which on it pays to survey their pieces first."""

Groups = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Group of each row, and of each candidate."""
NO_GROUPS: Groups = (np.zeros(0, np.int64), np.zeros(0, np.int64))


def search(
    rows: Block,
    candidates: Block,
    neighbors: Neighbors,
    *,
    row_start: int,
    candidate_start: int,
    groups: Groups = NO_GROUPS,
) -> SearchCounts:
    """Update the neighbors of some rows with some candidates.

    Parameters
    ----------
    rows : Block
        Rows whose neighbors are wanted.
    candidates : Block
        Rows to compare them with.  If it is `rows` itself, adjacent rows are compared first.
    neighbors : Neighbors
        The best so far of each row, best first, updated in place.  May hold what earlier searches found,
        of the same candidates too.
    row_start, candidate_start : int
        Global ids of the first row and of the first candidate.  A row is never its own neighbor, so
        rows that are no candidates need ids outside theirs.
    groups : (ndarray, ndarray)
        Group of each row and of each candidate, int64: no candidate of its own group is a neighbor of a row.
        Equal rows have to be of one group.  Empty where there are none.

    Returns
    -------
    SearchCounts

    Raises
    ------
    ValueError
        If the blocks have different columns or break-points, or `neighbors` another number of rows.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> X = sp.csr_matrix(np.array([[0, 1], [1, 0], [0.6, 0.8]], np.float32))
    >>> block, neighbors = prepare(X, np.array([1, 2], np.int32)), Neighbors.empty(rows=3, k=1)
    >>> _ = search(block, block, neighbors, row_start=0, candidate_start=0)
    >>> neighbors.ids.ravel()
    array([2, 2, 0])
    """
    _check_blocks(rows, candidates.n_columns, neighbors, candidates)
    counts = SearchCounts()
    if not neighbors.ids.size:
        return counts
    own = rows is candidates and row_start == candidate_start
    adjacent = neighbors.ids.shape[1] if own else 0
    comparison = Comparison(
        rows.rows, candidates.rows, neighbors, row_start, candidate_start, adjacent, *groups
    )
    every = [*(tile.lists for tile in candidates.tiles), *candidates.levels]
    n_groups = max((lists.n_groups for lists in every), default=0)
    # Once for all tiles: to fill new memory with zeros takes as long as many rows.
    scratch = allocate_scratch(rows.rows, rows.n_columns, n_groups)
    if own:
        counts += SearchCounts(adjacent=compare_adjacent(comparison, scratch.x))
    for number, stretch in enumerate(rows.distinct):
        with part(number, len(rows.distinct)):
            counts += _search_stretch(comparison, stretch, candidates, scratch)
    return counts


def search_near(
    rows: Block,
    candidates: sp.csr_matrix,
    neighbors: Neighbors,
    places: NDArray[np.int64],
    *,
    candidate_start: int,
    times: NDArray[np.int64] | None = None,
) -> SearchCounts:
    """Update the neighbors of rows that are no candidates with the candidates beside which they belong.

    Parameters
    ----------
    rows, neighbors, candidate_start
        As for `search`, which starts from high similarities after this.
    candidates : csr_matrix of shape (candidates, n_columns), float32
        As for `prepare`.  Norms and inverted lists are of no use here.
    places : ndarray of shape (rows,), int64
        Global id of the candidate before which each row belongs.  As many on either side as there are
        neighbors of a row are looked at.
    times : ndarray of shape (candidates,), int64, optional
        As for `prepare`.
    """
    _check_blocks(rows, candidates.shape[1], neighbors)
    reach, x = neighbors.ids.shape[1], np.zeros(rows.n_columns, np.float32)
    passing = bare_rows(candidates, times)
    comparison = Comparison(rows.rows, passing, neighbors, 0, candidate_start, reach, *NO_GROUPS)
    return SearchCounts(adjacent=compare_near(comparison, places, x))


def _check_blocks(rows: Block, n_columns: int, neighbors: Neighbors, candidates: Block | None = None) -> None:
    """Refuse blocks whose columns or break-points can't be the same, and neighbors of other rows."""
    same_levels = candidates is None or rows.rows.norms.shape[1] == candidates.rows.norms.shape[1]
    if rows.n_columns != n_columns or not same_levels:
        raise ValueError("The blocks have different columns; prepare both with the same Columns.")
    if neighbors.ids.shape[0] != rows.n_rows or neighbors.ids.shape != neighbors.similarities.shape:
        raise ValueError(f"neighbors are of shape {neighbors.ids.shape}, but there are {rows.n_rows} rows.")


def _search_stretch(
    comparison: Comparison, stretch: Distinct, candidates: Block, scratch: Scratch
) -> SearchCounts:
    """Update the neighbors of some consecutive rows with all tiles."""
    rows = np.arange(stretch.first, stretch.first + stretch.next_equal.size, dtype=np.int32)
    tiles = candidates.tiles
    near, far = _sort_tiles(comparison, stretch, tiles)
    if comparison.candidates.times.size:
        # Equal rows of different times have different neighbors: each is compared with all tiles.
        near, far = near + far, []
    counts = SearchCounts()
    for number, tile in enumerate(near):
        advance(number, len(tiles))
        counts += _scan(comparison, rows, tiles[tile], NO_MARKS, scratch)
    if not far:
        return counts
    leaders = np.empty_like(rows)
    follow(comparison.neighbors, stretch, comparison.row_start, leaders)
    leading = rows[leaders == rows]
    number = len(near)
    for level, some in _by_level(far).items():
        marks, surveyed = _survey(comparison, leading, candidates, level, len(some), scratch)
        counts += surveyed
        for tile in some:
            advance(number, len(tiles))
            counts += _scan(comparison, leading, tiles[tile], marks[tile % MOST_TILES], scratch)
            number += 1
    share(comparison.neighbors, leaders, stretch.first, comparison.row_start)
    return counts


def _sort_tiles(
    comparison: Comparison, stretch: Distinct, tiles: list[InvertedTile]
) -> tuple[list[int], list[int]]:
    """Return the tiles that have rows of a stretch, and those that have none, nearest in sort order first."""
    # Nearest first, as most neighbors of a row are near it: its threshold is nearly final when it meets the
    # other tiles.  The order changes no result.
    first = comparison.row_start - comparison.candidate_start + stretch.first
    last = first + stretch.next_equal.size
    parts: tuple[list[int], list[int]] = ([], [])
    for number in sorted(range(len(tiles)), key=lambda number: abs(tiles[number].first - first)):
        tile = tiles[number]
        overlaps = tile.first < last and first < tile.first + tile.next_equal.size
        parts[not overlaps].append(number)
    return parts


def _by_level(tiles: list[int]) -> dict[int, list[int]]:
    """Return tiles by the number of their coarse level, in the same order."""
    levels: dict[int, list[int]] = {}
    for tile in tiles:
        levels.setdefault(tile // MOST_TILES, []).append(tile)
    return levels


def _survey(
    comparison: Comparison,
    rows: NDArray[np.int32],
    candidates: Block,
    number: int,
    n_tiles: int,
    scratch: Scratch,
) -> tuple[NDArray[np.uint64], SearchCounts]:
    """Return marks for the pieces of the tiles of a level in which some rows may have neighbors."""
    # A survey takes about as long as to open one tile.  In a block that is compared with itself most tiles
    # have neighbors of a row, and it saves nothing.
    if n_tiles < LEAST_SURVEYED or comparison.adjacent > 0:
        return np.broadcast_to(NO_MARKS, (MOST_TILES, 0)), SearchCounts()
    lists = candidates.levels[number]
    marks = np.zeros((lists.n_groups // PIECES, rows.size), np.uint64)
    counts = survey(comparison, rows, lists, fit_scratch(scratch, lists.n_groups), marks)
    return marks, SearchCounts(*counts)


def _scan(
    comparison: Comparison,
    rows: NDArray[np.int32],
    tile: InvertedTile,
    marks: NDArray[np.uint64],
    scratch: Scratch,
) -> SearchCounts:
    """Update the neighbors of the rows that have marks in a tile, or of all where it was not surveyed."""
    if marks.size:
        # Marks are of thresholds before the first tile: they have only risen, which rules out more.
        is_left = marks != 0
        rows, marks = rows[is_left], marks[is_left]
    part = fit_scratch(scratch, tile.lists.n_groups)
    if has_long_rows(comparison.candidates, tile):
        return SearchCounts(*scan_long_rows(comparison, rows, tile, part))
    return SearchCounts(*scan_tile(comparison, rows, tile, part, marks))
