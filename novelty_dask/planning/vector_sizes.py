"""Bytes that tasks of vectors hold at most: numbers for each value of a block, and for each neighbor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from novelty_dask.planning.sizes import SEARCH_BYTES, strip_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from novelty_dask.planning.budget import Budget, Load

    TaskBytes = Callable[[Budget, Load], int]

IMPORTED_BYTES = 33
"""Of a value that is imported: as it is read, joined, checked, converted, stored and compressed."""
PREPARED_BYTES = 14
"""Of a value, prepared: in float64, in float32, and twice in a small integer."""
PREPARING_BYTES = 44
"""Of a value while it is prepared: decompressed, in float64, scaled, centered, and in all these forms."""
SEARCHING_BYTES = 64 * 10**6
"""Estimates of pairs, and what the search keeps for them."""


LABEL_BYTES, LABEL_COPIES = 200, 4
"""Of a label besides its text, as it is read and converted, and how often its text is held."""


def of_either(of_lines: TaskBytes, of_vectors: TaskBytes) -> TaskBytes:
    """Return the bytes of a task that compares either."""
    return lambda budget, load: (of_vectors if budget.matrix else of_lines)(budget, load)


def _values(budget: Budget, load: Load) -> int:
    """Return the values of a block."""
    return load.rows * (budget.matrix.n_columns if budget.matrix else 0)


def import_bytes(budget: Budget, load: Load) -> int:
    """Return the bytes of a block while it is read and stored, and what the files hold besides."""
    held = IMPORTED_BYTES * _values(budget, load) + load.decompressor_bytes + SEARCH_BYTES
    if budget.matrix and budget.matrix.label_type:
        held += (LABEL_BYTES + LABEL_COPIES * budget.matrix.label_bytes) * load.rows
    return held


def compare_vectors_bytes(budget: Budget, load: Load) -> int:
    """Return the bytes of the blocks of a span and one that passes by, with their neighbors."""
    values = _values(budget, load)
    held = PREPARED_BYTES * load.span_blocks * values + PREPARING_BYTES * values
    neighbors = 3 * (load.span_blocks + 1) * strip_bytes(budget, load)
    return held + neighbors + SEARCHING_BYTES + SEARCH_BYTES


def merge_vectors_bytes(budget: Budget, load: Load) -> int:
    """Return the bytes of the strips of a block, at most eight, of what merges them, and of its vectors."""
    return 14 * strip_bytes(budget, load) + 20 * _values(budget, load) + SEARCH_BYTES
