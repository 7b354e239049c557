"""Bytes that tasks hold at most: numbers for each row, each non-zero, each column."""

from __future__ import annotations

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


def nonzeros(budget: Budget, load: Load) -> int:
    """Return the most non-zeros of a block."""
    return budget.entries(load.rows, load.text_bytes, budget.n_features)


def strip_bytes(budget: Budget, load: Load) -> int:
    """Return the bytes of the neighbors of a block: an id of 8 and a similarity of 4 each."""
    return load.rows * budget.n_neighbors * 12


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
    """Return the bytes of the neighbors of a block and a number for each, and of numbers that pass by."""
    # What the stages before leave in a process that does all of them is part of it.
    return 3 * strip_bytes(budget, load) + 64 * load.rows + 64 * 2**20


def reading_bytes(budget: Budget, load: Load) -> int:
    """Return the bytes of the neighbors and keys of a block, and of the URLs of a block of the reference."""
    known = budget.known.reading_bytes if budget.known else 0
    return TEXT_FORMS * load.text_bytes + 300 * load.rows + 2 * strip_bytes(budget, load) + known
