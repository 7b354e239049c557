"""Lines of the sources that were rejected, with their places and reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from novelty_dask.planning.arrays import REJECTED_CHUNK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from novelty_dask.results.records import Places
    from novelty_dask.storage.arrays import RunArrays

REJECTED = pa.schema(
    [("source", pa.string()), ("line", pa.int64()), ("reason", pa.string()), ("sample", pa.string())]
)


def read_rejected(arrays: RunArrays, places: Places, n: int | None = None) -> Iterator[pa.Table]:
    """Yield the rejected lines of a complete run in the order of the input, the first n or all.

    Parameters
    ----------
    arrays : RunArrays
        Of the run.
    places : Places
        Places of lines in its sources.
    n : int, optional

    Yields
    ------
    pyarrow.Table
        The next lines: path of the source, line there from 1, reason, and the first 80 bytes, escaped.
    """
    n_lines: int = arrays["rejected/line"].shape[0]
    n_lines = n_lines if n is None else min(n, n_lines)
    for start in range(0, n_lines, REJECTED_CHUNK):
        part = slice(start, min(start + REJECTED_CHUNK, n_lines))
        columns = {name: arrays.read(f"rejected/{name}", part) for name in REJECTED.names}
        columns |= {"source": places.names[columns["source"]], "line": columns["line"] + 1}
        yield pa.table([column.tolist() for column in columns.values()], schema=REJECTED)
