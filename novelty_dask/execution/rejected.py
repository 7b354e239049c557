"""Rejected lines, from the tables of the pieces to arrays of the run."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from novelty_dask.execution.ingest import PieceRead
from novelty_dask.storage.blocks import array, create_arrays, rejected_specs
from novelty_dask.storage.runs import open_group
from novelty_dask.storage.sources import Piece
from novelty_dask.storage.tables import read_table


def store_rejected(run: str, pieces: Sequence[Piece], reads: Sequence[PieceRead]) -> dict[str, int]:
    """Store rejected lines in the order of the input; return how many there are for each reason.

    One process writes them all, a table at a time.
    """
    group = open_group(run, "r+")
    create_arrays(group, rejected_specs(sum(table.n_rows for read in reads for table in read.rejected)))
    reasons: Counter[str] = Counter()
    start = 0
    for read, first_line in zip(reads, _first_lines(pieces, reads), strict=True):
        for stored in read.rejected:
            table = read_table(stored.url)
            reasons.update(table["reason"].to_pylist())
            rows = slice(start, start + table.num_rows)
            array(group, "rejected/source")[rows] = pieces[read.number].source
            array(group, "rejected/line")[rows] = table["line"].to_numpy() + first_line
            for name in ("reason", "sample"):
                array(group, f"rejected/{name}")[rows] = _text(table[name])
            start = rows.stop
    return dict(sorted(reasons.items()))


def _first_lines(pieces: Sequence[Piece], reads: Sequence[PieceRead]) -> list[int]:
    """Number of each piece's first line in its source."""
    lines: Counter[int] = Counter()
    first = []
    for piece, read in zip(pieces, reads, strict=True):
        first.append(lines[piece.source])
        lines[piece.source] += read.n_lines
    return first


def _text(column: pa.ChunkedArray) -> NDArray[Any]:
    """Text as Zarr takes it."""
    return np.array(column.to_pylist(), np.dtypes.StringDType())
