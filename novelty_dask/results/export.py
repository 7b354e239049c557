"""Export of a complete run to a file for other programs: CSV, Parquet, JSON lines or npz.

Rows are streamed in bounded memory, and a file gets its name only when it is
complete.  Undefined values are null, which CSV shows as an empty field.
"""

from collections.abc import Callable, Iterator
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import IO, Unpack, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from novelty_dask.errors import SettingsError, StoreError
from novelty_dask.results.formats import BATCH_ROWS, write_csv, write_jsonl, write_npz, write_parquet
from novelty_dask.results.marked import Mark, Marker, make_marker
from novelty_dask.results.ordering import ORDERS, choose_key, tables_in_order
from novelty_dask.results.outputs import STDOUT_NAMES, Output, VisibleStream, open_output, writing_errors
from novelty_dask.results.results import Results
from novelty_dask.results.selection import Choice, Selection
from novelty_dask.storage.runs import open_complete

EXPORT_FORMATS = ("csv", "parquet", "jsonl", "npz")
WITH_LISTS = ("parquet", "jsonl")
BINARY = ("parquet", "npz")
STREAM_FORMAT = "csv"
"""Format of standard output, if none is named."""


class ExportOptions(Choice, total=False):
    """Keywords of an export besides those of its signature, as `export` explains them."""

    mark: Mark | None


def export(
    run: str | PathLike[str],
    out: str | PathLike[str],
    *,
    order: str = "input",
    format: str | None = None,  # noqa: A002 - named as the option
    overwrite: bool = False,
    raw: bool = False,
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
    format : {"csv", "parquet", "jsonl", "npz"}, optional
        By default the ending of the file's name; CSV for standard output.
    overwrite : bool
        True to replace an existing file, whose owner and mode stay; links are followed.
    raw : bool
        True to write text to CSV as it is.  By default an apostrophe precedes text that a
        spreadsheet would take for a formula.
    mark : tuple of (str, str), optional
        Text to put before and behind each part of a URL that none of its neighbors has, in one more
        column, marked_url; takes about a millisecond for each row.
    min_novelty : float, optional
        Least value of the column of the order, or of novelty in the order of the input.
    per_site, per_template : int, optional
        Most rows of one site, which is a registered domain, and of one template; the first in the order.
    least : bool
        True to put the lowest values of the column first.

    Raises
    ------
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
    (URLs of one normal form), novelty, nearest_url and nearest_similarity; in Parquet and JSON
    lines also neighbor_urls and neighbor_similarities, most similar first; novelty_nearest,
    novelty_kth, uncovered and lof; with `mark` also marked_url.  CSV is UTF-8 with lines that
    end in LF; text is quoted as RFC 4180 has it, null is an empty field.

    An npz file always keeps the order of the run, so that its neighbor_ids are rows of its
    other arrays; -1 is none, undefined novelty NaN.  It loads without pickle: URL ``i`` is
    ``bytes(url_bytes[url_offsets[i] : url_offsets[i + 1]]).decode()``.
    """
    name = fspath(out).removeprefix("file://")
    chosen = _choose_format(name, format, order)
    mark = options.pop("mark", None)
    selection = Selection(**cast("Choice", options))
    if mark and chosen == "npz":
        message = "An npz file has no text to mark; choose another format, or leave out the mark."
        raise SettingsError(message)
    _check_selection(chosen, order, selection)
    stored = open_complete(fspath(run))
    marker = make_marker(stored.manifest.settings, mark) if mark else None
    sources = (source.path for source in stored.manifest.sources)
    with writing_errors(name), open_output(name, sources, overwrite=overwrite) as output:
        read = partial(_read_rows, results := Results(stored.arrays()), chosen in WITH_LISTS, marker)
        kept = selection.rows(results, order, output.folder)
        key = choose_key(order, least=selection.least)
        tables = partial(tables_in_order, results, read, key, folder=output.folder, kept=kept)
        _write(results, tables, _harmless(output, chosen), chosen, raw=raw)


def most_novel_first(run: str | PathLike[str]) -> Iterator[tuple[float, str]]:
    """Yield novelty and URL of all rows, most novel first, ties by row; undefined novelty (NaN) is last."""
    results = open_results(run)
    for table in tables_in_order(results, partial(_novelty_and_url, results), choose_key("novelty"), 1):
        for batch in table.to_batches(max_chunksize=BATCH_ROWS):
            yield from zip(batch["novelty"].to_pylist(), batch["url"].to_pylist(), strict=True)


def open_results(run: str | PathLike[str]) -> Results:
    """Return the rows of a complete run.

    Raises
    ------
    StoreError
        There is no run, or it is not complete.
    """
    return Results(open_complete(fspath(run)).arrays())


def _choose_format(out: str, format: str | None, order: str) -> str:  # noqa: A002
    """Return the format of an output; refuse names of no local file."""
    if "\0" in out:
        message = f"Can't write {out!r}: a file name can't contain NUL."
        raise StoreError(message)
    if "://" in out:
        message = f"Can't write {out!r}: exports are local files; name one, and copy it there."
        raise StoreError(message)
    ending = Path(out).suffix.removeprefix(".").lower()
    chosen = format or (STREAM_FORMAT if out in STDOUT_NAMES else ending)
    _check_format(Path(out).name, chosen, order)
    return chosen


def _check_format(name: str, format: str, order: str) -> None:  # noqa: A002
    """Refuse an unknown format, an unknown order, and an order that the format can't have."""
    if format not in EXPORT_FORMATS:
        endings = ", .".join(EXPORT_FORMATS)
        message = f"Can't tell the format of {name!r}; end it in .{endings} or give --format."
        raise SettingsError(message)
    if order not in ORDERS:
        *first, last = ORDERS
        message = f"Order {order!r} is unknown; it is {', '.join(first)} or {last}."
        raise SettingsError(message)
    if format == "npz" and order != "input":
        message = (
            "An npz file keeps the order of the run, which its neighbor_ids refer to; leave out --order."
        )
        raise SettingsError(message)


def _check_selection(format: str, order: str, selection: Selection) -> None:  # noqa: A002
    """Refuse a selection that a format can't have, and the least of an order that has none.

    Raises
    ------
    SettingsError
        It is such a selection.
    """
    if selection.least and order == "input":
        message = "The order of the input has no least rows; choose a column (order)."
        raise SettingsError(message)
    if selection.leaves_out and format == "npz":
        message = "An npz file has all rows, which its neighbor_ids refer to; choose another format."
        raise SettingsError(message)


def _harmless(output: Output, format: str) -> Output:  # noqa: A002
    """Return an output which no URL can use to command a terminal.

    Raises
    ------
    SettingsError
        It is a terminal, which can't show the format.
    """
    if not output.file.isatty():
        return output
    if format in BINARY:
        message = f"A terminal can't show {format}; name a file, or pipe it to a program."
        raise SettingsError(message)
    return Output(cast("IO[bytes]", VisibleStream(output.file)))


def _read_rows(
    results: Results,
    lists: bool,  # noqa: FBT001 - bound before
    marker: Marker | None,
    block: int,
    within: NDArray[np.int64],
) -> pa.Table:
    """Return some rows of a block, with their marks if they are wanted."""
    if not marker:
        return results.table(block, within, lists=lists)
    table = marker(results.table(block, within, lists=True))
    return table if lists else table.drop_columns(["neighbor_urls", "neighbor_similarities"])


def _write(
    results: Results,
    order_tables: Callable[..., Iterator[pa.Table]],
    output: Output,
    format: str,  # noqa: A002
    *,
    raw: bool,
) -> None:
    """Write all rows in a format."""
    n_neighbors = results.arrays["neighbors/ids"].shape[1]
    # The URL, its marked copy if there is one, and its nearest neighbor.
    tables = order_tables(urls_per_row=3 + n_neighbors * (format in WITH_LISTS))
    writers = {
        "csv": partial(write_csv, tables, raw=raw),
        "jsonl": partial(write_jsonl, tables),
        "parquet": partial(write_parquet, tables),
        "npz": partial(write_npz, results),
    }
    writers[format](output.file)


def _novelty_and_url(results: Results, block: int, within: NDArray[np.int64]) -> pa.Table:
    """Return novelty and URL of some rows of a block."""
    novelty, urls = results.read("novelty", block)[within], results.read("rows/url", block)[within]
    return pa.table({"novelty": novelty, "url": pa.array(urls.tolist(), pa.string())})
