"""Rejected lines, from the tables of the pieces to arrays of the run, in the order of the input."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from novelty_dask.counts import reason_counts, refused
from novelty_dask.kernels.text.lines import Reason
from novelty_dask.planning.arrays import REJECTED_CHUNK
from novelty_dask.planning.slices import slice_tables
from novelty_dask.planning.stages import INGEST
from novelty_dask.stages.ingest import PieceRead, read_results
from novelty_dask.stages.tasks import TaskResult, Workspace
from novelty_dask.storage.tables import Table, read_slice, read_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from novelty_dask.objects.commits import Commits
    from novelty_dask.storage.runs import StoredRun


class RejectedTable(NamedTuple):
    """A table of rejected lines, the number of their source, and the line of it from which they count."""

    table: Table
    source: int
    first_line: int


def count_rejected(reads: Iterable[PieceRead]) -> dict[str, int]:
    """Return how many lines were rejected for each reason."""
    reasons: Counter[str] = Counter()
    for read in reads:
        reasons.update(read.reasons)
    return dict(sorted(reasons.items()))


def explain_empty(rejected: dict[str, int]) -> str:
    """Return the sentence that there is no URL in the sources, and why."""
    refused = ", ".join(f"{count:,} {reason}" for reason, count in rejected.items())
    found = f"all their lines were rejected ({refused})" if refused else "they are empty"
    return f"There is no URL in the sources: {found}."


def explain_refusal(commits: Commits, reads: Sequence[PieceRead], names: Sequence[str]) -> str:
    """Return a sentence on lines that were rejected though they are more than blanks and comments.

    Parameters
    ----------
    commits : Commits
        Of the run.
    reads : sequence of PieceRead
    names : sequence of str
        Names of the sources, in quotes.

    Returns
    -------
    str
        How many they are and where the first is; nothing if there are none.
    """
    counts = refused(count_rejected(reads))
    n_lines = sum(read.n_lines for read in reads)
    for table, source, first_line in list_tables(reads) if counts else ():
        lines = read_table(commits, INGEST, table)
        for line, reason in zip(lines["line"].to_pylist(), lines["reason"].to_pylist(), strict=True):
            if reason in counts:
                lost = (
                    f"{sum(counts.values()):,} of {n_lines:,} lines were rejected ({reason_counts(counts)})"
                )
                place = f"line {first_line + line + 1:,} of {names[source]}"
                return f"{lost}, the first on {place}; mend them, or leave out strict."
    return ""


def explain_dates(run: StoredRun, reads: Sequence[PieceRead], names: Sequence[str]) -> str:
    """Return a sentence on the first line whose time is missing or none; nothing if there is none."""
    column = run.manifest.settings.time_column
    counts = {Reason.NO_TIME, Reason.BAD_TIME}.intersection(count_rejected(reads))
    for table, source, first_line in list_tables(reads) if counts else ():
        lines = read_table(run.commits, INGEST, table)
        for line, reason, sample in zip(
            *(lines[name].to_pylist() for name in lines.column_names), strict=True
        ):
            if reason in counts:
                place = f"Line {first_line + line + 1:,} of {names[source]}"
                if reason == Reason.NO_TIME:
                    return f"{place} has no time in the column {column!r}; add it, or leave the line out."
                return (
                    f"{place} has {sample!r} in the column {column!r}, which is no time; write for example "
                    "2026-11-27T12:30:00Z, or seconds since 1970."
                )
    return ""


def collect_rejected(workspace: Workspace, item: str) -> TaskResult:
    """Return a chunk of the rejected lines."""
    # A chunk of the arrays is a task of its own, so that memory does not grow with the rejected lines.
    start = int(item) * REJECTED_CHUNK
    return TaskResult(_read_lines(workspace, start, start + REJECTED_CHUNK))


def _read_lines(workspace: Workspace, start: int, stop: int) -> dict[str, np.ndarray]:
    """Return consecutive rejected lines, all that there are."""
    commits = workspace.run.commits
    tables = list_tables(read_results(commits))
    sizes = [each.table.n_rows for each in tables]
    parts = []
    for number, first, last in slice_tables(sizes, start, min(stop, sum(sizes))):
        lines = read_slice(commits, INGEST, tables[number].table, first, last)
        source = np.full(lines.num_rows, tables[number].source, np.int32)
        numbers = lines["line"].to_numpy() + tables[number].first_line
        parts.append(lines.set_column(0, "line", pa.array(numbers)).append_column("source", pa.array(source)))
    rejected = pa.concat_tables(parts)
    return {
        "rejected/source": rejected["source"].to_numpy(),
        "rejected/line": rejected["line"].to_numpy(),
        "rejected/reason": _to_text(rejected["reason"]),
        "rejected/sample": _to_text(rejected["sample"]),
    }


def list_tables(reads: Sequence[PieceRead]) -> list[RejectedTable]:
    """Return the tables of rejected lines, in the order of the pieces."""
    lines: Counter[int] = Counter()
    tables = []
    for read in reads:
        tables += [RejectedTable(table, read.source, lines[read.source]) for table in read.rejected]
        lines[read.source] += read.n_lines
    return tables


def _to_text(column: pa.ChunkedArray) -> np.ndarray:
    """Return text in NumPy's type for it."""
    return np.array(column.to_pylist(), np.dtypes.StringDType())
