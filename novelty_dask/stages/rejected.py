"""Rejected lines, from the tables of the pieces to arrays of the run."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from novelty_dask.execution.executors import Figures
from novelty_dask.objects.commits import Draft, TaskId
from novelty_dask.sources.pieces import Piece
from novelty_dask.stages.ingest import PieceRead
from novelty_dask.storage.arrays import array
from novelty_dask.storage.layout import WHOLE
from novelty_dask.storage.runs import StoredRun
from novelty_dask.storage.tables import read_table


def count_rejected(run: StoredRun, reads: Sequence[PieceRead]) -> dict[str, int]:
    """How many lines were rejected for each reason."""
    reasons: Counter[str] = Counter()
    for table in _tables(run, reads):
        reasons.update(table["reason"].to_pylist())
    return dict(sorted(reasons.items()))


def nothing_to_score(rejected: dict[str, int]) -> str:
    """What to say of sources without a URL."""
    refused = ", ".join(f"{count:,} {reason}" for reason, count in rejected.items())
    found = f"all their lines were rejected ({refused})" if refused else "they are empty"
    return f"There is no URL in the sources: {found}."


def store_rejected(run: StoredRun, epoch: int, pieces: Sequence[Piece], reads: Sequence[PieceRead]) -> None:
    """Store rejected lines in the order of the input.

    One process writes them all, a table at a time.
    """
    run.create_arrays("rejected")
    run.once(TaskId("rejected", WHOLE), epoch, lambda draft: _store(run, draft, pieces, reads))


def _store(run: StoredRun, draft: Draft, pieces: Sequence[Piece], reads: Sequence[PieceRead]) -> Figures:
    """Store rejected lines."""
    group, start = run.group(draft), 0
    for read, first_line in zip(reads, _first_lines(pieces, reads), strict=True):
        for table in _tables(run, [read]):
            rows = slice(start, start + table.num_rows)
            array(group, "rejected/source")[rows] = pieces[read.number].source
            array(group, "rejected/line")[rows] = table["line"].to_numpy() + first_line
            for name in ("reason", "sample"):
                array(group, f"rejected/{name}")[rows] = _text(table[name])
            start = rows.stop
    return {}


def _tables(run: StoredRun, reads: Sequence[PieceRead]) -> Iterator[pa.Table]:
    """The tables of rejected lines."""
    return (read_table(run.commits, "ingest", table) for read in reads for table in read.rejected)


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
