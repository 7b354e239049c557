"""Tables of pairs, and of other things about rows: read from tiles in order, with the URLs of the rows."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from novelty_dask.engines.threshold import Pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from novelty_dask.similar.find import Tiles
    from novelty_dask.similar.tiles import Part
    from novelty_dask.storage.runs import StoredRun

TABLE_ROWS = 65_536
"""Rows of a table, however they come: files then have the same bytes for every cut of the run."""
CACHED_BLOCKS = 8
"""Blocks of URLs that are kept, as partners are mostly near."""


class Urls:
    """Reader of the URLs of any rows, which keeps some blocks.

    Parameters
    ----------
    run : StoredRun
    """

    def __init__(self, run: StoredRun) -> None:
        assert run.manifest.plan
        self._plan, self._arrays = run.manifest.plan, run.arrays()
        self._cache: OrderedDict[int, NDArray[Any]] = OrderedDict()

    def take(self, rows: NDArray[np.int64]) -> pa.Array:
        """Return the URLs of rows."""
        found = np.full(rows.size, "", np.dtypes.StringDType())
        blocks, within = np.divmod(rows, self._plan.block_rows)
        for block in np.unique(blocks).tolist():
            is_here = blocks == block
            found[is_here] = self._block(block)[within[is_here]]
        return pa.array(found.tolist(), pa.string())

    def _block(self, block: int) -> NDArray[Any]:
        """Return the URLs of a block."""
        if block not in self._cache:
            self._cache[block] = self._arrays.read("rows/url", slice(*self._plan.bounds(block)))
        self._cache.move_to_end(block)
        if len(self._cache) > CACHED_BLOCKS:
            self._cache.popitem(last=False)
        return self._cache[block]


def pair_tables(tiles: Tiles) -> Iterator[pa.Table]:
    """Yield tables of all pairs in order, at least one.

    Yields
    ------
    pyarrow.Table
        Columns row, other, url, other_url and similarity.
    """
    urls = Urls(tiles.run)
    for pairs in in_pieces(read_in_order(tiles)):
        yield pa.table(
            {
                "row": pairs.rows,
                "other": pairs.others,
                "url": urls.take(pairs.rows),
                "other_url": urls.take(pairs.others),
                "similarity": pairs.similarities,
            }
        )


def read_in_order(tiles: Tiles) -> Iterator[Pairs]:
    """Yield all pairs by row, then by the other row, some at a time."""
    for block in range(tiles.plan.n_blocks):
        # The parts of one block of candidates follow each other; those of different ones have the same rows.
        queues: dict[str, list[Part]] = {}
        for part in tiles.parts:
            if part.block == block:
                queues.setdefault(part.key.split("/")[1], []).append(part)
        yield from _merge(tiles, [queue[::-1] for queue in queues.values()])


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
