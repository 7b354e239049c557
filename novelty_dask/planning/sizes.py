"""Bytes that tasks hold at most: numbers for each row, each non-zero, each column."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from novelty_dask.planning.tiles import STRETCH_SPANS

if TYPE_CHECKING:
    from novelty_dask.planning.budget import Budget, Load

TEXT_FORMS = 6
"""Copies of the text of a block: in a table with its keys, as a list, in a normal form twice, and encoded."""
TEXT_BYTES = 160 * 10**6
"""A task that reads or sorts holds tables of fixed size, whatever the corpus."""
SEARCH_BYTES = 40 * 10**6
"""What the search leaves in a process: its code, if it was compiled there, and buffers of matrix products."""
DENSE_ROWS = 32
"""Rows with many partners whose pairs are found at once, with a place for each candidate."""
MOST_HELD = 3 * DENSE_ROWS
"""Pairs held at most for each candidate, while those of dense rows are found, sorted and cut."""
PLACE_BYTES = 32 * 48
"""Bytes of a row for the places of its pairs, and while these are gathered and sorted."""
PAIR_BYTES = 80
"""Bytes of a pair while those of dense rows are joined, sorted and cut."""
LINK_BYTES = 40
"""Bytes of each row of a run while links are joined: read as they are stored, and as numbers of rows."""


def nonzeros(budget: Budget, load: Load) -> int:
    """Return the most non-zeros of a block."""
    return budget.entries(load.rows, load.text_bytes, budget.n_features)


def strip_bytes(budget: Budget, load: Load) -> int:
    """Return the bytes of the neighbors of a block: an id of 8, and a similarity of 4, or of 8 of vectors."""
    return load.rows * budget.n_neighbors * (16 if budget.matrix else 12)


def count_bytes(budget: Budget, load: Load) -> int:
    """Return the bytes of the text of a block, of its counts, and of the frequencies of columns."""
    # The text as it is stored, normalized and encoded.
    text = TEXT_FORMS * load.text_bytes + 300 * load.rows
    return text + 24 * nonzeros(budget, load) + 12 * budget.n_features + _grown_bytes(budget)


def merge_bytes(budget: Budget, load: Load) -> int:
    """Return the bytes of the strips of a block, at most eight, and of what merges them."""
    merged = 16 * strip_bytes(budget, load) + SEARCH_BYTES
    if budget.added is None:
        return merged
    # A run that grows compares its rows with the new ones here, block by block.
    of_added = replace(budget, known=budget.added)
    return merged + compare_bytes(of_added, load) + 8 * budget.n_features + _grown_bytes(budget)


def _grown_bytes(budget: Budget) -> int:
    """Return the bytes read of a run that grows and of its new rows, and of the places of these."""
    parts = [part for part in (budget.base, budget.added) if part]
    return sum(part.reading_bytes for part in parts) + 32 * (budget.added.n_rows if budget.added else 0)


def compare_bytes(budget: Budget, load: Load) -> int:
    """Return the bytes of the blocks of a span and one that passes by, and of the inverted lists of one."""
    entries = nonzeros(budget, load)
    span_nonzeros = budget.entries(load.span_blocks * load.rows, load.span_bytes, budget.n_features)
    span = max(min(span_nonzeros, load.span_blocks * entries), entries)
    known = budget.known
    passing, n_passing = (known.nonzeros, known.block_rows) if known else (entries, load.rows)
    strips = 2 * (load.span_blocks + 1) * strip_bytes(budget, load)
    rows = 300 * (load.span_blocks * load.rows + n_passing) + strips
    return 16 * (span + passing) + rows + 12 * passing + 16 * budget.n_features


def pairs_bytes(entries: int, rows: int, n_features: int) -> int:
    """Return the bytes of a search for all pairs of two blocks, of some rows and non-zeros each."""
    # Weights of both blocks, twice where rows of one are chosen; bounds and inverted lists, once more for the
    # pieces of the candidates; then pairs.
    weights = 64 * entries + 900 * rows + 20 * n_features
    return weights + (PLACE_BYTES + PAIR_BYTES * MOST_HELD) * rows + SEARCH_BYTES


def link_bytes(budget: Budget, load: Load) -> int:
    """Return the bytes of a search for all pairs of two blocks, and of the links of all rows."""
    return pairs_bytes(nonzeros(budget, load), load.rows, budget.n_features) + LINK_BYTES * load.all_rows


def tally_bytes(budget: Budget, load: Load) -> int:
    """Return the bytes of the text and counts of a block, of its rows that are picked, and of all columns."""
    text = TEXT_FORMS * load.text_bytes + 300 * load.rows
    return text + 36 * nonzeros(budget, load) + 36 * budget.n_features


def cover_bytes(budget: Budget, load: Load) -> int:
    """Return the bytes of the columns and neighbors of a stretch, and of one block that passes by."""
    entries = nonzeros(budget, load)
    held = 5 * entries + (8 * budget.n_neighbors + 40) * load.rows
    known = budget.known
    n_passing = known.block_rows if known else load.rows
    passing = 16 * max(entries, known.nonzeros if known else 0) + 32 * n_passing
    return STRETCH_SPANS * load.span_blocks * held + passing + 4 * budget.n_features


def gather_bytes(budget: Budget, load: Load) -> int:
    """Return the bytes of the neighbors of a block, a number for each, views, and of numbers that pass by."""
    # What the stages before leave in a process that does all of them is part of it.
    return 3 * strip_bytes(budget, load) + 96 * load.rows + 64 * 2**20


def reading_bytes(budget: Budget, load: Load) -> int:
    """Return the bytes of the neighbors and keys of a block, and of the URLs of a block of the reference."""
    known = budget.known.reading_bytes if budget.known else 0
    return TEXT_FORMS * load.text_bytes + 300 * load.rows + 2 * strip_bytes(budget, load) + known
