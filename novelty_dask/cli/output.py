"""Lines of text for summaries and tables."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from novelty_dask.cli.marked import MarkedText, mark
from novelty_dask.cli.terminal import Column, defang, escape, number, table
from novelty_dask.counts import count_line, counted
from novelty_dask.errors import shell_quoted
from novelty_dask.kernels.text.secrets import hide
from novelty_dask.results.columns import check_columns

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from novelty_dask.doctor import Check
    from novelty_dask.features.marks import Marks
    from novelty_dask.jobs.status import JobStatus
    from novelty_dask.pipeline.maintenance import RunStatus, Verification
    from novelty_dask.storage.manifest import Failure, Manifest

EVIDENCE = ("url", "nearest_similarity", "nearest_url")
"""Columns that are shown behind the one by which rows are ordered."""
VECTOR_EVIDENCE = ("row", "label", "nearest_similarity", "nearest_distance", "nearest_row", "nearest_label")
"""The same of rows that are vectors, which have one of the two in the middle, and may have labels."""
SHOWN_NAMES = {
    "nearest_similarity": "similarity",
    "nearest_url": "nearest url",
    "nearest_distance": "distance",
    "nearest_row": "nearest row",
    "nearest_label": "nearest label",
}
"""Names of these as a table shows them."""


def novelty_table(
    top: "pd.DataFrame",
    by: str | Sequence[str],
    marks: "Iterable[Marks]" = (),
    *,
    defanged: bool = False,
    redacted: bool = False,
) -> Iterator[str]:
    """Return a table of rows with a column of them, their marked URL and their nearest neighbor.

    With several columns in place of one, the table has these.

    Raises
    ------
    SettingsError
        There is no such column.
    """
    shown: Callable[[str], Sequence[str]] = defang if defanged else str

    def cell(name: str, value: Any, parts: "Marks") -> str | MarkedText:
        if name == "known":
            return "known" if value else ""
        if not _is_text(top, name):
            return _number(value)
        text = value if isinstance(value, str) else ""
        # Of the source, which is the name of a file, nobody makes a link.
        if name == "source":
            return text
        # Before it is defanged or escaped, as both change what a secret looks like.
        text, places = hide(text, parts if name == "url" else ()) if redacted else (text, parts)
        return mark(text, places if name == "url" else (), shown(text))

    # One more column, and the last, where rows were compared with a reference.
    known = ("known",) if "known" in top else ()
    calibrated = ("p_value",) if "p_value" in top else ()
    evidence = EVIDENCE if "url" in top else [name for name in VECTOR_EVIDENCE if name in top]
    names = (by, *calibrated, *evidence, *known) if isinstance(by, str) else _check_shown(by, top)
    titles = SHOWN_NAMES if isinstance(by, str) else {}
    columns = [Column(titles.get(name, name), is_text=_is_text(top, name)) for name in names]
    values = top[[*names]].itertuples(index=False)
    rows = [
        [cell(name, value, parts) for name, value in zip(names, row, strict=True)]
        for row, parts in zip(values, chain(marks, repeat(())), strict=False)
    ]
    return table(columns, rows)


def choose_columns(columns: Sequence[str] | None, names: Sequence[str]) -> Sequence[str]:
    """Return the columns that are chosen, all if none are.

    Raises
    ------
    SettingsError
        There is no such column, or one is chosen twice.
    """
    if not columns:
        return names
    check_columns(columns, names)
    return columns


def _check_shown(columns: Sequence[str], top: "pd.DataFrame") -> Sequence[str]:
    """Return columns that a table can show."""
    return choose_columns(columns, [name for name in top.columns if not name.startswith("neighbor_")])


def _is_text(top: "pd.DataFrame", name: str) -> bool:
    """Return whether a column has text."""
    return top[name].dtype.kind not in "fiu"


def _number(value: float) -> str:
    """Return a number as text."""
    return str(value) if isinstance(value, int) else number(value)


def failure_line(failures: "Sequence[Failure]", run: str) -> str:
    """Return a sentence on the tasks that were given up, and the remedy."""
    first = failures[0]
    more = f" and {len(failures) - 1:,} more" if len(failures) > 1 else ""
    return (
        f"Partial: task {first.item} of {first.stage}{more} given up ({first.reason}); the "
        f"scores of their rows are missing. `novelty resume {shell_quoted(run)}` tries again."
    )


def undefined_line(manifest: "Manifest") -> str:
    """Return a sentence on a run without any novelty."""
    if manifest.identity.matrix:
        return "No row has a novelty: that takes two rows or more, and by cosine a row that is not zero."
    shortest = manifest.settings.ngram_range
    long_enough = f"lines of at least {shortest[0]} characters" if shortest else ""
    if manifest.reference:
        return f"No row has a novelty: that takes {long_enough or 'lines with a feature'}."
    return f"No row has a novelty: that takes two rows or more{', and ' * bool(shortest)}{long_enough}."


def status_lines(status: "RunStatus", job: "JobStatus | None" = None) -> Iterator[str]:
    """Yield lines on the progress of a run, escaped, as a stored run may hold any text."""
    yield from map(escape, _status_lines(status, job))


def _status_lines(status: "RunStatus", job: "JobStatus | None") -> Iterator[str]:
    """Yield the same lines, not escaped."""
    yield f"state    {status.state}" + (f", {status.owner}" if status.owner else "")
    if job:
        drivers = f"{counted(job.starts, 'driver')} started, {job.deaths:,} killed"
        yield f"job      {job.number}, {job.state}: {drivers}" + (f"; {job.words}" if job.words else "")
    if status.totals:
        yield f"input    {count_line(status.totals, status.normal_form)}"
    if status.reference:
        known = "" if status.known is None else f", which holds {counted(status.known, 'row')} of it"
        yield f"against  {status.reference}{known}"
    for stage, (done, total) in status.stages.items():
        left = "" if total is None else f" of {total:,}, {total - done:,} left"
        yield f"{stage:<10} {done:,} done{left}"
    for failure in status.failures:
        yield f"given up {failure.stage} {failure.item}: {failure.reason}"


def rejected_lines(tables: "Iterable[pa.Table]", *, as_json: bool = False) -> Iterator[str]:
    """Yield a line on each rejected line: its place, the reason and its first bytes."""
    for row in chain.from_iterable(each.to_pylist() for each in tables):
        if as_json:
            yield json.dumps(row)
        else:
            # A stored run may hold any text.
            source, reason, sample = (escape(row[name]) for name in ("source", "reason", "sample"))
            yield f"{source}:{row['line']}\t{reason}\t{sample}"


def verification_line(verification: "Verification", *, was_recomputed: bool) -> str:
    """Return a sentence on a run that was read to its end."""
    again = f", {counted(verification.recomputed, 'block')} computed again" if was_recomputed else ""
    damages = counted(len(verification.damages), "damage")
    return f"{counted(verification.tasks, 'task')} read{again}, {damages} found."


def clean_line(n_files: int) -> str:
    """Return a sentence on leftovers that are gone."""
    return f"{counted(n_files, 'file')} removed."


def check_lines(checks: "Sequence[Check]") -> Iterator[str]:
    """Yield a line on each check of the machine, escaped, as names of folders may hold any text."""
    for check in checks:
        found = check.found + (f". {check.advice}" if check.advice else "")
        yield escape(f"{check.state:<8} {check.name:<15} {found}")
