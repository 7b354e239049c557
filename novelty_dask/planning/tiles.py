"""Plan of the comparison: integers in, tuples out.

Rows are cut into blocks of consecutive rows.  A few consecutive blocks, a *span*, are held in memory while
other blocks pass by and are compared with them, each prepared once for all blocks of the span.  Spans are
bounded by rows and by text, and end early where lines are long.  Every span
meets every block, its own included, nearest first, because similar URLs are adjacent in sort order and high
similarities that are found early prune later work.  The candidate blocks of a span are divided into *groups*;
one span with one group is one *tile*, which is one task.  Group 0 holds the span's own blocks, and all other
groups start from the similarities that group 0 found::

    7 blocks, spans of 2, groups of 3         0 1 2 3 4 5 6
                                              ^ ^ ^ ^ ^ ^ ^
    span 1 (blocks 2, 3), group 0: 2 3 1      . 0 0 0 . . .
                          group 1: 4 0 5      1 0 0 0 1 1 .
                          group 2: 6          1 0 0 0 1 1 2
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Self

MINIMUM_BLOCK_ROWS = 1_024
"""Rows of the smallest block that is planned to save memory."""
SMALLEST_DEFAULT_ROWS = 16_384
"""Rows of the smallest block otherwise: one inverted tile of the search."""
MAXIMUM_BLOCK_ROWS = 65_536
"""Rows of the largest block that is planned without being asked for."""
TARGET_SPANS = 8
"""Spans that a corpus is cut into at least, so that several workers have work."""
TILES_PER_SLOT = 8
"""Tiles for each task that runs at once, so that the last ones end at about the same time."""
EVEN_TILES_PER_SLOT = 4
"""The same where all tiles take as long for as many pairs."""
MAXIMUM_SPAN_ROWS = 131_072
"""Rows that a task holds while other blocks pass by."""
USUAL_ROW_BYTES = 256
"""Text of a row up to which rows are counted alone; the work on longer ones grows with their text."""
SMALLEST_TILE_PAIRS = 65_536 * 131_072
"""Row pairs of a tile below which it would take long, in comparison, to read and prepare its span."""
LARGEST_TILE_PAIRS = 131_072 * 524_288
"""Row pairs of a tile that still takes seconds, not minutes."""
STRETCH_SPANS = 2
"""Spans whose blocks are held together while others pass by to show what they cover."""
# They take less memory than one span that is compared; more would leave too few tasks for the workers.
MOST_NEIGHBORS = 1_000
"""Most neighbors that are kept of a row."""
MAXIMUM_GROUPS = 8
"""Strips kept of a span, which are the space that the comparison takes on disk."""


class Tile(NamedTuple):
    """One task of the comparison: a span and a group of candidates.

    >>> Tile(1, 0).item, Tile.of_item("1-0")
    ('1-0', Tile(span=1, group=0))
    """

    span: int
    group: int

    @property
    def item(self) -> str:
        """Name of its task."""
        return f"{self.span}-{self.group}"

    @classmethod
    def of_item(cls, item: str) -> Self:
        """Return the tile of a task."""
        span, group = item.split("-")
        return cls(int(span), int(group))


@dataclass(frozen=True)
class TilePlan:
    """Plan of the comparison: sizes of blocks, spans and groups.

    Parameters
    ----------
    n_rows : int
        Rows of the corpus.
    block_rows : int
        Rows of a block; the last block may have fewer.
    span_blocks : int
        Most blocks of a span: one begins at each multiple of this number.
    group_blocks : int
        Candidate blocks of a tile, not fewer than a span has.
    cuts : tuple of int
        Ascending blocks at which spans begin besides, as those before would have too much text.
    known_rows, known_block_rows : int
        Rows of the reference and of its blocks, which are the candidates instead of the corpus itself; 0
        without one.
    known_left : int
        Those of them that were seen lately enough to be candidates; 0 if all are.
    periods : tuple of int
        Rows before each period where rows are compared in time; empty otherwise.
    """

    n_rows: int
    block_rows: int
    span_blocks: int
    group_blocks: int
    cuts: tuple[int, ...] = ()
    known_rows: int = 0
    known_block_rows: int = 0
    known_left: int = 0
    periods: tuple[int, ...] = ()

    @cached_property
    def compared(self) -> TilePlan:
        """The plan of the candidates: that of the reference's blocks, or this one."""
        return TilePlan(self.known_rows, self.known_block_rows, 1, 1) if self.known_rows else self

    @property
    def possible_neighbors(self) -> int:
        """Most neighbors that a row can have."""
        # In time the rows that come too early to have as many neighbors as others lack them: nothing was like
        # them.
        return MOST_NEIGHBORS if self.periods else self.known_left or self.known_rows or self.n_rows - 1

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return -(-self.n_rows // self.block_rows)

    @property
    def n_spans(self) -> int:
        """Number of spans."""
        return len(self._starts)

    @cached_property
    def _starts(self) -> list[int]:
        """The first block of each span."""
        return sorted({*range(0, self.n_blocks, self.span_blocks), *self.cuts})

    @property
    def n_groups(self) -> int:
        """Number of groups, hence of strips, of each span."""
        return -(-self.compared.n_blocks // self.group_blocks)

    def bounds(self, block: int) -> tuple[int, int]:
        """Return the first row of a block, and the row after its last.

        >>> TilePlan(n_rows=10, block_rows=4, span_blocks=1, group_blocks=1).bounds(2)
        (8, 10)
        """
        return block * self.block_rows, min((block + 1) * self.block_rows, self.n_rows)

    def span(self, span: int) -> range:
        """Return the blocks of a span.

        >>> plan = TilePlan(n_rows=7, block_rows=1, span_blocks=3, group_blocks=7, cuts=(4,))
        >>> [list(plan.span(span)) for span in range(plan.n_spans)]
        [[0, 1, 2], [3], [4, 5], [6]]
        """
        return range(self._starts[span], [*self._starts[span + 1 : span + 2], self.n_blocks][0])

    def span_of(self, block: int) -> int:
        """Return the span of a block."""
        return bisect_right(self._starts, block) - 1

    @property
    def n_stretches(self) -> int:
        """Number of stretches, of a few consecutive spans each."""
        return -(-self.n_spans // STRETCH_SPANS)

    def stretch(self, stretch: int) -> range:
        """Return the blocks of a stretch.

        >>> TilePlan(n_rows=7, block_rows=1, span_blocks=2, group_blocks=3).stretch(1)
        range(4, 7)
        """
        spans = range(stretch * STRETCH_SPANS, min((stretch + 1) * STRETCH_SPANS, self.n_spans))
        return range(self.span(spans[0])[0], self.span(spans[-1])[-1] + 1)

    def stretch_of(self, block: int) -> int:
        """Return the stretch that a block belongs to."""
        return self.span_of(block) // STRETCH_SPANS

    def candidates(self, tile: Tile) -> tuple[int, ...]:
        """Return the blocks with which a tile compares its span, in order.

        >>> plan = TilePlan(n_rows=7, block_rows=1, span_blocks=2, group_blocks=3)
        >>> [plan.candidates(Tile(1, group)) for group in range(plan.n_groups)]
        [(2, 3, 1), (4, 0, 5), (6,)]
        """
        span, n_candidates = self.span(tile.span), self.compared.n_blocks
        if self.known_rows:
            # Rows that are sorted in the same order lie about where the same share of the reference does.
            start, stop = span.start * n_candidates, span.stop * n_candidates
            span = range(start // self.n_blocks, -(-stop // self.n_blocks))
        # Nearest first, because the URLs of a site are side by side: high similarities come early and prune
        # the rest. Ties go to the lower block, so that the order is the same everywhere.
        nearest = sorted(range(n_candidates), key=lambda block: (_distance(block, span), block))
        return tuple(nearest[tile.group * self.group_blocks : (tile.group + 1) * self.group_blocks])

    def first_tiles(self) -> list[Tile]:
        """Return the tiles that need no other: each span with itself and the blocks nearest to it."""
        return [Tile(span, 0) for span in range(self.n_spans)]

    def later_tiles(self) -> list[Tile]:
        """Return the tiles that start from the strip of their span's first tile."""
        return [Tile(span, group) for span in range(self.n_spans) for group in range(1, self.n_groups)]


def _distance(block: int, span: range) -> int:
    """Return the distance of a block from a span in sort order."""
    return max(span.start - block, block - span.stop + 1, 0)


def default_block_rows(n_rows: int) -> int:
    """Return the rows of a block where the user sets none and memory is ample.

    They are a power of two, so that runs of similar size agree; enough for few tasks, and few enough for
    several workers.

    >>> [default_block_rows(n) for n in (1, 100_000, 300_000, 1_000_000)]
    [16384, 16384, 65536, 65536]
    """
    rows = SMALLEST_DEFAULT_ROWS
    while rows < MAXIMUM_BLOCK_ROWS and rows * TARGET_SPANS < n_rows:
        rows *= 2
    return rows


def plan_tiles(
    n_rows: int,
    block_rows: int,
    span_rows: int = MAXIMUM_SPAN_ROWS,
    slots: int = 1,
    row_bytes: float = 0,
    known: tuple[int, int] = (0, 0),
) -> TilePlan:
    """Return a plan of tiles of bounded work.

    Parameters
    ----------
    n_rows, block_rows : int
        Rows of the corpus and of a block.
    span_rows : int
        Most rows of a span that has several blocks.
    slots : int
        Tasks that run at once.
    row_bytes : float
        Text of a row, on average: one of more than `USUAL_ROW_BYTES` counts as several.
    known : (int, int)
        Rows of the reference and of its blocks, 0 without one.

    Examples
    --------
    >>> plan = plan_tiles(1_000_000, 65_536, slots=2)
    >>> plan.n_blocks, plan.span_blocks, plan.group_blocks, plan.n_spans, plan.n_groups
    (16, 2, 8, 8, 2)
    >>> plan = plan_tiles(10_000, 16_384, slots=2, known=(1_000_000, 65_536))
    >>> plan.n_spans, plan.n_groups, plan.candidates(Tile(0, 1))
    (1, 2, (13, 14, 15))
    """
    if all(known):
        return _plan_against(n_rows, block_rows, span_rows, slots, row_bytes, known)
    n_blocks = -(-n_rows // block_rows)
    rows = round(block_rows * max(row_bytes / USUAL_ROW_BYTES, 1))
    # A long span prepares each passing block for more rows, but leaves fewer spans for the workers.
    span_blocks = max(1, min(span_rows // rows, n_blocks // max(TARGET_SPANS, slots)))
    pairs = span_blocks * rows**2
    # More groups than the workers need would only make strips, which are read again to be merged.
    wanted_groups = -(-TILES_PER_SLOT * slots // max(-(-n_blocks // span_blocks), 1))
    group_blocks = max(-(-n_blocks // wanted_groups), SMALLEST_TILE_PAIRS // pairs)
    group_blocks = min(group_blocks, LARGEST_TILE_PAIRS // pairs)
    return TilePlan(
        n_rows, block_rows, span_blocks, max(group_blocks, span_blocks, -(-n_blocks // MAXIMUM_GROUPS))
    )


def plan_even_tiles(n_rows: int, block_rows: int, span_rows: int, slots: int, row_bytes: float) -> TilePlan:
    """Return a plan of few tiles, as all take as long for as many pairs, and each prepares its blocks anew.

    Parameters
    ----------
    n_rows, block_rows, span_rows, slots, row_bytes
        As for `plan_tiles`.

    Examples
    --------
    >>> plan = plan_even_tiles(1_000_000, 32_768, MAXIMUM_SPAN_ROWS, slots=2, row_bytes=400)
    >>> plan.n_blocks, plan.span_blocks, plan.group_blocks
    (31, 2, 13)
    """
    n_blocks = -(-n_rows // block_rows)
    rows = round(block_rows * max(row_bytes / USUAL_ROW_BYTES, 1))
    span_blocks = max(1, min(span_rows // rows, n_blocks // max(2, slots)))
    wanted_groups = -(-EVEN_TILES_PER_SLOT * slots // -(-n_blocks // span_blocks))
    pairs = span_blocks * rows**2
    group_blocks = max(-(-n_blocks // wanted_groups), SMALLEST_TILE_PAIRS // EVEN_TILES_PER_SLOT // pairs)
    group_blocks = min(group_blocks, LARGEST_TILE_PAIRS // pairs)
    return TilePlan(
        n_rows, block_rows, span_blocks, max(group_blocks, span_blocks, -(-n_blocks // MAXIMUM_GROUPS))
    )


def _plan_against(
    n_rows: int, block_rows: int, span_rows: int, slots: int, row_bytes: float, known: tuple[int, int]
) -> TilePlan:
    """Return a plan of tiles whose candidates are the rows of a reference."""
    n_blocks, n_candidates = -(-n_rows // block_rows), -(-known[0] // known[1])
    weight = max(row_bytes / USUAL_ROW_BYTES, 1)
    # Each span prepares the whole reference once more: few long spans, and groups for the workers.
    span_blocks = max(1, min(round(span_rows / (block_rows * weight)), n_blocks))
    pairs = max(round(min(span_blocks * block_rows, n_rows) * weight * known[1]), 1)
    wanted_groups = min(-(-TILES_PER_SLOT * slots // max(-(-n_blocks // span_blocks), 1)), MAXIMUM_GROUPS)
    group_blocks = max(-(-n_candidates // wanted_groups), SMALLEST_TILE_PAIRS // pairs)
    group_blocks = min(group_blocks, max(LARGEST_TILE_PAIRS // pairs, -(-n_candidates // MAXIMUM_GROUPS)))
    return TilePlan(n_rows, block_rows, span_blocks, max(group_blocks, 1), (), *known)


def cut_spans(plan: TilePlan, texts: Sequence[float], most: float) -> TilePlan:
    """Return a plan whose spans of several blocks have no more text than allowed.

    Parameters
    ----------
    plan : TilePlan
        Without cuts.
    texts : sequence of float
        Bytes of text in each block.
    most : float
        Most bytes of a span.

    Examples
    --------
    >>> cut_spans(TilePlan(8, 1, span_blocks=4, group_blocks=8), [1, 1, 9, 1] * 2, most=10).cuts
    (2, 6)
    """
    cuts: list[int] = []
    held = 0.0
    for block, text in enumerate(texts):
        begins = block % plan.span_blocks == 0
        if not begins and held + text > most:
            cuts.append(block)
            begins = True
        held = text if begins else held + text
    return replace(plan, cuts=tuple(cuts))
