"""Lines of the sources that were rejected, with their places and reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from novelty_dask.planning.arrays import REJECTED_CHUNK
from novelty_dask.results.records import Places

if TYPE_CHECKING:
    from collections.abc import Iterator

    from novelty_dask.storage.runs import StoredRun

SCHEMA = pa.schema(
    [("source", pa.string()), ("line", pa.int64()), ("reason", pa.string()), ("sample", pa.string())]
)


def read_rejected(run: StoredRun, n: int | None = None) -> Iterator[pa.Table]:
    """Yield the rejected lines of a complete run in the order of the input, the first n or all.

    Yields
    ------
    pyarrow.Table
        The next lines: path of the source, line there from 1, reason, and the first 80 bytes, escaped.
    """
    arrays, names = run.arrays(), Places(run.manifest).names
    n_lines = run.manifest.totals.n_rejected if run.manifest.totals else 0
    n_lines = n_lines if n is None else min(n, n_lines)
    for start in range(0, n_lines, REJECTED_CHUNK):
        part = slice(start, min(start + REJECTED_CHUNK, n_lines))
        columns = {name: arrays.read(f"rejected/{name}", part) for name in SCHEMA.names}
        columns |= {"source": names[columns["source"]], "line": columns["line"] + 1}
        yield pa.table([column.tolist() for column in columns.values()], schema=SCHEMA)
