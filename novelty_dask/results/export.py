"""Export of a complete run to a file for other programs: text, Parquet, Arrow or npz.

Rows are streamed in bounded memory, and a file gets its name only when it is
complete.  Undefined values are null, which CSV shows as an empty field.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from os import PathLike, fspath
from typing import IO, TYPE_CHECKING, Any, Unpack, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from novelty_dask.errors import SettingsError
from novelty_dask.results.checks import Format, check_order, choose_format
from novelty_dask.results.columns import check_columns
from novelty_dask.results.every_line import EveryLine
from novelty_dask.results.formats import (
    BATCH_ROWS,
    write_npz,
    write_tables,
)
from novelty_dask.results.marked import Mark, Marker, make_marker
from novelty_dask.results.ordering import choose_key, tables_in_order
from novelty_dask.results.outputs import Output, VisibleStream, open_output, writing_errors
from novelty_dask.results.redacted import redact_table
from novelty_dask.results.results import Results
from novelty_dask.results.selection import Choice, Selection
from novelty_dask.results.vectors import results_of
from novelty_dask.storage.runs import StoredRun, open_complete

if TYPE_CHECKING:
    from novelty_dask.events import Listener
    from novelty_dask.results.records import Lines
    from novelty_dask.settings import ResultSettings


class ExportOptions(Choice, total=False):
    """Keywords of an export besides those of its signature, as `export` explains them."""

    mark: Mark | None
    raw: bool
    redact: bool
    every_line: bool
    listener: "Listener"


def export(
    run: str | PathLike[str],
    out: str | PathLike[str],
    *,
    order: str = "input",
    format: str | None = None,  # noqa: A002 - named as the option
    overwrite: bool = False,
    columns: Sequence[str] | None = None,
    **options: Unpack[ExportOptions],
) -> None:
    """Write the rows of a complete run to a file, all or those that are chosen.

    Parameters
    ----------
    run : Run, str or path
        The run.
    out : str or path
        The file, or a pipe or device, which is written to as it is; ``"-"`` is standard output.
    order : {"input", "novelty", "novelty_nearest", "novelty_kth", "uncovered", "lof"}
        By position, or by a column of that name, highest first, ties by row and undefined last.
    format : {"csv", "tsv", "jsonl", "parquet", "arrow", "npz"}, optional
        By default the ending of the file's name, where ``.feather`` is arrow; CSV for standard output.
        Text is compressed if the name ends in ``.gz`` or ``.zst``.
    overwrite : bool
        True to replace an existing file, whose owner and mode stay; links are followed.
    columns : sequence of str, optional
        Columns to write, in this order; all by default.
    raw : bool
        True to write text to CSV and TSV as it is.  By default an apostrophe precedes text that a
        spreadsheet would take for a formula.
    mark : tuple of (str, str), optional
        Text to put before and behind each part of a URL that none of its neighbors has, in one more
        column, marked_url; takes about two milliseconds for each row.
    redact : bool
        True to write ``…`` for secrets in URLs: user names, passwords, values of parameters such as token.
    min_novelty : float, optional
        Least value of the column of the order, or of novelty in the order of the input.
    per_site, per_template : int, optional
        Most rows of one site, which is a registered domain, and of one template; the first in the order.
    least : bool
        True to put the lowest values of the column first.
    ignore : str or path, optional
        File of hosts, pages and templates whose rows are left out, one a line.
    max_p, fdr : float, optional
        Largest p-value in that column; false discovery rate by Benjamini and Hochberg.  Either adds the
        column p_value.
    calibrate : bool
        True to add that column to all rows, as its name in `columns` does.
    every_line : bool
        True to write a row for each record of the sources, which are read once more: duplicates too, and
        lines that were rejected, with the reason.  It goes with the order of the input alone, and with no
        selection.
    listener : Listener, optional
        Takes the events of that.

    Raises
    ------
    InputError
        The file of what to leave out can't be read, or a source is not as it was.
    SettingsError
        The format or the order is unknown, another argument impossible, or one that the format can't have.
    StoreError
        There is no complete run, the file exists, is one of a run or its source, or can't be written.
    DiskFullError
        There is no space for the file; an existing one stays.
    BrokenPipeError
        The reader of a pipe has gone.

    Notes
    -----
    Columns: position (line of the first occurrence in the input, from 0), url, count, spellings
    (URLs of one normal form), novelty, nearest_url and nearest_similarity; in Parquet, Arrow and
    JSON lines also neighbor_urls and neighbor_similarities, most similar first; novelty_nearest,
    novelty_kth, uncovered and lof; source (its path) and line of the first occurrence there, from 1;
    columns that are kept; with `mark` also marked_url.  With `every_line`, position, url, source, line
    and what is kept are those of each line, and reason says why it was rejected.  CSV is UTF-8 with
    lines that end in LF; text is quoted as RFC 4180 has it, null is an empty field.  TSV has TAB instead.

    An npz file always keeps the order of the run, so that its neighbor_ids are rows of its
    other arrays; -1 is none, undefined novelty NaN.  It loads without pickle: URL ``i`` is
    ``bytes(url_bytes[url_offsets[i] : url_offsets[i + 1]]).decode()``.
    """
    name = fspath(out).removeprefix("file://")
    chosen = choose_format(name, format)
    mark, listener = options.pop("mark", None), options.pop("listener", None)
    raw, redact = options.pop("raw", False), options.pop("redact", False)
    every_line = options.pop("every_line", False)
    selection = Selection(**cast("Choice", options))
    if "p_value" in (columns or ()):
        selection = replace(selection, calibrate=True)
    check_order(chosen.name, order, selection, columns, every_line=every_line)
    results = _open(
        stored := open_complete(fspath(run)), order, {**options, "mark": mark, "every_line": every_line}
    )
    steps = _choose_steps(stored.manifest.settings, chosen, mark, redact=redact)
    # What a row has new is what no neighbor has, so that all are needed, also where they are not written.
    has_lists = chosen.has_lists or mark is not None
    calibration = selection.calibration(results, order)
    read = partial(_read_rows, partial(results.table, lists=has_lists, calibration=calibration), steps)
    lines = EveryLine(stored, results, read) if every_line else None
    if columns is not None:
        # Of no rows, as the columns do not depend on them.
        names = lines.names if lines else read(None, 0, np.array([], np.int64)).column_names
        check_columns(columns, names)
    with writing_errors(name), open_output(name, _sources(stored), overwrite=overwrite) as output:
        if calibration:
            calibration.folder = output.folder
        if lines:
            tables = lines.tables(columns, output.folder, listener)
        else:
            # The URL, its marked copy if there is one, and its neighbors.
            n_urls = 3 + results.arrays["neighbors/ids"].shape[1] * chosen.has_lists
            kept = selection.rows(results, order, calibration, output.folder)
            key = choose_key(order, least=selection.least)
            tables = tables_in_order(
                results, partial(read, columns), key, n_urls, folder=output.folder, kept=kept
            )
        _write(results, tables, _harmless(output, chosen), chosen, raw=raw)


def most_novel_first(run: str | PathLike[str]) -> Iterator[tuple[float, str]]:
    """Yield novelty and URL of all rows, most novel first, ties by row; undefined novelty (NaN) is last."""
    results = open_results(run)
    for table in tables_in_order(results, partial(_novelty_and_url, results), choose_key("novelty"), 1):
        for batch in table.to_batches(max_chunksize=BATCH_ROWS):
            yield from zip(batch["novelty"].to_pylist(), batch["url"].to_pylist(), strict=True)


def _open(stored: StoredRun, order: str, options: dict[str, Any]) -> Results:
    """Return the rows of a run, if they have what the options of an export look at."""
    results = results_of(stored)
    results.check_options(order, options)
    return results


def open_results(run: str | PathLike[str]) -> Results:
    """Return the rows of a complete run.

    Raises
    ------
    StoreError
        There is no run, or it is not complete.
    """
    return Results(open_complete(fspath(run)))


def _choose_steps(
    settings: "ResultSettings",
    format: Format,  # noqa: A002
    mark: Mark | None,
    *,
    redact: bool,
) -> list[Marker]:
    """Return what is done to each table of rows before it is written.

    Raises
    ------
    SettingsError
        The format can't have it, or the mark is none.
    """
    if format.name == "npz" and mark:
        message = "An npz file has no text to mark; choose another format, or leave out the mark."
        raise SettingsError(message)
    if format.name == "npz" and redact:
        message = "An npz file has URLs as they are; choose another format, or leave out --redact."
        raise SettingsError(message)
    steps = [make_marker(settings, mark, redacted=redact)] if mark else []
    if mark and not format.has_lists:
        steps.append(_without_lists)
    # Last, so that marks are found in what was compared.
    return [*steps, redact_table] if redact else steps


def _without_lists(table: pa.Table) -> pa.Table:
    """Return a table without the neighbors but the nearest."""
    return table.drop_columns(["neighbor_urls", "neighbor_similarities"])


def _harmless(output: Output, format: Format) -> Output:  # noqa: A002
    """Return an output which no URL can use to command a terminal.

    Raises
    ------
    SettingsError
        It is a terminal, which can't show the format.
    """
    if not output.file.isatty():
        return output
    if format.is_binary:
        name = format.compression or format.name
        message = f"A terminal can't show {name}; name a file, or pipe it to a program."
        raise SettingsError(message)
    return Output(cast("IO[bytes]", VisibleStream(output.file)))


def _read_rows(
    read: Callable[..., pa.Table],
    steps: Sequence[Marker],
    columns: Sequence[str] | None,
    block: int,
    within: NDArray[np.int64],
    lines: "Lines | None" = None,
) -> pa.Table:
    """Return some rows of a block, changed step by step, and of these the columns that are wanted."""
    table = read(block, within, lines=lines)
    for step in steps:
        table = step(table)
    return table if columns is None else table.select(list(columns))


def _write(
    results: Results,
    tables: Iterator[pa.Table],
    output: Output,
    format: Format,  # noqa: A002
    *,
    raw: bool,
) -> None:
    """Write rows in a format; of the arrays of npz, all."""
    if format.name == "npz":
        write_npz(results, output.file)
    else:
        write_tables(tables, output.file, format, raw=raw)


def write_summary(
    run: str | PathLike[str], table: pa.Table, out: str, *, overwrite: bool, redact: bool
) -> None:
    """Write a table on a run to a file, in the format of its name, as `export` writes rows.

    Raises
    ------
    SettingsError
        The format is unknown, or has arrays of rows.
    StoreError
        The file exists, is one of a run or its source, or can't be written.
    DiskFullError
        There is no space for the file.
    """
    write_stream(open_complete(fspath(run)), iter([table]), out, overwrite=overwrite, redact=redact)


def write_stream(
    run: StoredRun, tables: Iterator[pa.Table], out: str, *, overwrite: bool, redact: bool
) -> None:
    """Write tables on a run, one after the other, as `write_summary` writes one."""
    chosen = _choose_table_format(out)
    with writing_errors(out), open_output(out, _sources(run), overwrite=overwrite) as output:
        shown = map(redact_table, tables) if redact else tables
        write_tables(shown, _harmless(output, chosen).file, chosen, raw=False)


def check_table(run: StoredRun, out: str, *, overwrite: bool) -> None:
    """Refuse a file to which no table on a run can be written, before there is one.

    Raises
    ------
    SettingsError, StoreError
        As for `write_summary`.
    """
    _choose_table_format(out)
    # Made and not entered: nothing is opened, and no file is begun.
    with writing_errors(out):
        open_output(out, _sources(run), overwrite=overwrite)


def _sources(run: StoredRun) -> Iterator[str]:
    """Yield the names of the sources of a run, which are not overwritten."""
    return (source.path for source in run.manifest.sources)


def _choose_table_format(out: str) -> Format:
    """Return the format of a table by the name of its file.

    Raises
    ------
    SettingsError
        It is unknown, or has arrays of rows.
    """
    chosen = choose_format(out, None)
    if chosen.name == "npz":
        message = "An npz file has the arrays of rows; choose another format."
        raise SettingsError(message)
    return chosen


def _novelty_and_url(results: Results, block: int, within: NDArray[np.int64]) -> pa.Table:
    """Return novelty and URL of some rows of a block."""
    novelty, urls = results.read("novelty", block)[within], results.read("rows/url", block)[within]
    return pa.table({"novelty": novelty, "url": pa.array(urls.tolist(), pa.string())})
