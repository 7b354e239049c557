"""Tables of pairs, and of other things about rows: read from tiles in order, with the URLs of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from novelty_dask.engines.threshold import Pairs
from novelty_dask.results.results import Results

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from novelty_dask.similar.find import Tiles
    from novelty_dask.similar.tiles import Part

TABLE_ROWS = 65_536
"""Rows of a table, however they come: files then have the same bytes for every cut of the run."""


def urls_of(results: Results, rows: NDArray[np.int64]) -> pa.Array:
    """Return the URLs of rows as a column."""
    return pa.array(results.urls(rows).tolist(), pa.string())


def pair_tables(tiles: Tiles) -> Iterator[pa.Table]:
    """Yield tables of all pairs in order, at least one.

    Yields
    ------
    pyarrow.Table
        Columns row, other, url, other_url and similarity.
    """
    results = Results(tiles.run)
    for pairs in in_pieces(read_in_order(tiles)):
        yield pa.table(
            {
                "row": pairs.rows,
                "other": pairs.others,
                "url": urls_of(results, pairs.rows),
                "other_url": urls_of(results, pairs.others),
                "similarity": pairs.similarities,
            }
        )


def read_in_order(tiles: Tiles) -> Iterator[Pairs]:
    """Yield all pairs by row, then by the other row, some at a time."""
    # The parts of one block of candidates follow each other; those of different ones have the same rows.
    queues: dict[int, dict[str, list[Part]]] = {}
    for part in tiles.parts:
        queues.setdefault(part.block, {}).setdefault(part.key.split("/")[1], []).append(part)
    for block in sorted(queues):
        yield from _merge(tiles, [queue[::-1] for queue in queues[block].values()])


def _merge(tiles: Tiles, queues: list[list[Part]]) -> Iterator[Pairs]:
    """Yield the pairs of the rows of one block; each queue has its next part last."""
    held = [Pairs.none() for _ in queues]
    while any(queues) or any(pairs.rows.size for pairs in held):
        for number, queue in enumerate(queues):
            if queue and not held[number].rows.size:
                held[number] = tiles.read(queue.pop().key)
        # A part ends where a row does: behind its last row, more may come from the next of its queue.
        ends = [pairs.rows[-1] for pairs, queue in zip(held, queues, strict=True) if queue]
        end = min(ends, default=max(pairs.rows[-1] for pairs in held if pairs.rows.size))
        stops = [int(np.searchsorted(pairs.rows, end, side="right")) for pairs in held]
        parts = zip(held, stops, strict=True)
        yield Pairs.join([pairs.take(slice(0, stop)) for pairs, stop in parts]).sorted()
        held = [pairs.take(slice(stop, None)) for pairs, stop in zip(held, stops, strict=True)]


def in_pieces(some: Iterable[Pairs]) -> Iterator[Pairs]:
    """Yield pairs `TABLE_ROWS` at a time, at last those that are left, be they none."""
    left = Pairs.none()
    for pairs in some:
        left = Pairs.join([left, pairs])
        whole = left.rows.size // TABLE_ROWS * TABLE_ROWS
        for start in range(0, whole, TABLE_ROWS):
            yield left.take(slice(start, start + TABLE_ROWS))
        left = left.take(slice(whole, None))
    yield left
