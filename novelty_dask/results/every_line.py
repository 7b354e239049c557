"""Each line of the input with the row that it belongs to, in the order of the input, in bounded memory.

The lines are read once more.  Rows are sorted by the keys of their normal forms, so that a key says in which
block the row of a line is: one pass hands the lines out to the blocks, in files; a second finds the row of
each by its form, a block at a time; a distribution sort then brings the lines back into their order.  The
time grows with the lines and rows, and not with their product.
"""

from __future__ import annotations

import tempfile
from bisect import bisect_right
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from novelty_dask.errors import HIDDEN, InputError, capital
from novelty_dask.events import TaskAdvanced, ignore, report_each
from novelty_dask.kernels.text.urls import SEPARATOR, form_key, sort_key, spelling_key
from novelty_dask.progress import heard
from novelty_dask.readers.batches import list_pieces, read_batches
from novelty_dask.results.buckets import (
    BUCKET_BYTES,
    PART_ROWS,
    distribute,
    read_tables,
    sort_by_number,
    with_key,
)
from novelty_dask.results.groups import forms, reject_nameless
from novelty_dask.results.records import NO_LINES, Lines
from novelty_dask.sources.changes import check_unchanged
from novelty_dask.storage.runs import copy_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from novelty_dask.events import Listener
    from novelty_dask.kernels.choices import NormalForm
    from novelty_dask.kernels.text.lines import LineBatch, Rejected
    from novelty_dask.results.results import Results
    from novelty_dask.sources.find import Source
    from novelty_dask.storage.runs import StoredRun

    ReadLines = Callable[[Sequence[str] | None, int, NDArray[np.int64], Lines], pa.Table]

PASS_LINES = 65_536
"""Lines that are handed out to the blocks together."""
READ = "read"
"""Name of the stage in which sources are read once more."""


class SourceLines:
    """Lines of the sources of a complete run, which are as they were.

    Parameters
    ----------
    run : StoredRun

    Raises
    ------
    InputError
        A source has changed, is gone, or could be read but once.
    """

    def __init__(self, run: StoredRun) -> None:
        self._settings = run.manifest.settings
        self._sources = [_find(run, source) for source in run.manifest.sources]
        self._check()

    def read(self, listener: Listener) -> Iterator[LineBatch]:
        """Yield the lines in their order, with positions that count from the first of all.

        Raises
        ------
        InputError
            A source changes meanwhile, or can't be read.
        """
        start = 0
        pieces = list_pieces(self._sources, self._settings)
        for number, piece in enumerate(report_each(READ, pieces, listener)):
            first = start
            with heard(partial(_tell, listener, str(number))):
                source = self._sources[piece.source]
                for batch in read_batches(piece, source, self._settings, reject_nameless):
                    start += batch.n_lines
                    yield _moved(batch, first)
        # A file that was replaced meanwhile may have given old lines first and new ones then.
        self._check()

    def _check(self) -> None:
        """Refuse sources that have changed."""
        for source in self._sources:
            check_unchanged(source)


def _find(run: StoredRun, source: Source) -> Source:
    """Return where a source of a run can be read again."""
    if HIDDEN in source.url:
        message = (
            f"The URL of {source.shown} contained credentials, which are never stored, so that its lines "
            "can't be read again; leave out --every-line."
        )
        raise InputError(message)
    if not source.is_stream:
        return source
    if run.objects.lengths()(copy_key(source)) is None:
        message = (
            f"{capital(source.shown)} was kept only until the run was complete, so that its lines can't be "
            "read again; write them to a file and score that, or leave out --every-line."
        )
        raise InputError(message)
    return source._replace(url=f"{run.url}/{copy_key(source)}", version="")


def _tell(listener: Listener, item: str, share: float) -> None:
    """Report how far a piece is read."""
    listener(TaskAdvanced(READ, item, share))


def _moved(batch: LineBatch, start: int) -> LineBatch:
    """Return lines with positions that count from another line."""
    rejected = [reject._replace(number=reject.number + start) for reject in batch.rejected]
    return batch._replace(numbers=batch.numbers + start, rejected=rejected)


class EveryLine:
    """Writer of a row for each line of the input of a complete run.

    Parameters
    ----------
    run : StoredRun
    results : Results
        Of the run.
    read : callable
        ``read(columns, block, within, lines)`` gives the table of some rows of a block, and a line of each.

    Raises
    ------
    InputError
        The sources are no longer as they were.
    """

    def __init__(self, run: StoredRun, results: Results, read: ReadLines) -> None:
        self._results = results
        self._read = read
        self._form = run.manifest.settings.normal_form
        self._lines = SourceLines(run)
        totals = run.manifest.totals
        assert totals
        self._n_lines = totals.lines

    @property
    def names(self) -> list[str]:
        """The names of all columns."""
        names: list[str] = self._empty(None).column_names
        return names

    def _empty(self, columns: Sequence[str] | None) -> pa.Table:
        """Return the table of no rows, as the columns do not depend on them."""
        return self._read(columns, 0, NO_LINES.positions, NO_LINES)

    def tables(
        self, columns: Sequence[str] | None, folder: Path | None, listener: Listener | None = None
    ) -> Iterator[pa.Table]:
        """Yield the rows as consecutive tables, one at least.

        Parameters
        ----------
        columns : sequence of str, optional
            Columns to give, in this order; all by default.
        folder : Path, optional
            Folder for temporary files; the system's by default.
        listener : Listener, optional
            Takes the events of the stages "read", "match" and "write".

        Raises
        ------
        InputError
            A source changes meanwhile, can't be read, or has lines that the run does not have.
        """
        with tempfile.TemporaryDirectory(prefix="novelty-", dir=folder) as temporary:
            by_block = Path(temporary)
            schema, listener = self._empty(columns).schema, listener or ignore
            rejected = (self._rejected(schema, lines) for lines in self._hand_out(by_block, listener))
            tables = chain(rejected, self._match(columns, by_block, listener))
            each = partial(report_each, "write", listener=listener)
            yield from sort_by_number(tables, range(self._n_lines), folder, each)

    def _hand_out(self, folder: Path, listener: Listener) -> Iterator[list[Rejected]]:
        """Write all lines to the files of the blocks that have their rows; yield those that are rejected."""
        urls = (self._results.read("rows/url", block)[:1] for block in range(self._results.n_blocks))
        starts = [*chain.from_iterable(self._keys(self._forms(pa.array(first.tolist()))) for first in urls)]
        gathered: list[LineBatch] = []
        n_lines = n_bytes = 0
        for batch in self._lines.read(listener):
            if batch.rejected:
                yield batch.rejected
            gathered.append(batch)
            n_lines += batch.n_lines
            n_bytes += sum(map(len, chain(batch.texts, batch.kept or ())))
            if n_lines >= PASS_LINES or n_bytes >= BUCKET_BYTES:
                self._distribute(gathered, starts, folder)
                gathered, n_lines, n_bytes = [], 0, 0
        self._distribute(gathered, starts, folder)

    def _distribute(self, batches: list[LineBatch], starts: list[str], folder: Path) -> None:
        """Append lines to the files of the blocks, which begin at some keys."""
        urls = pa.array([*chain.from_iterable(batch.texts for batch in batches)], pa.string())
        normal = self._forms(urls)
        table = pa.table(
            {
                "form": normal,
                "url": urls,
                "position": np.concatenate([np.array([], np.int64), *(batch.numbers for batch in batches)]),
                "kept": pa.array(
                    [*chain.from_iterable(batch.kept or [""] * len(batch.texts) for batch in batches)],
                    pa.string(),
                ),
            }
        )
        blocks = [max(bisect_right(starts, key) - 1, 0) for key in self._keys(normal)]
        if blocks:
            distribute(table, np.array(blocks), folder)

    def _forms(self, urls: pa.StringArray) -> pa.StringArray:
        """Return the normal forms of URLs."""
        return forms(urls, self._form)

    def _keys(self, normal: pa.StringArray) -> Iterator[str]:
        """Return the keys by which the rows of normal forms are sorted."""
        return (_key(form, self._form) for form in normal.to_pylist())

    def _match(self, columns: Sequence[str] | None, folder: Path, listener: Listener) -> Iterator[pa.Table]:
        """Yield the rows of lines that were handed out, a block at a time."""
        for block in report_each("match", range(self._results.n_blocks), listener):
            path = folder / f"{block:08}"
            urls = pa.array(self._results.read("rows/url", block).tolist(), pa.string())
            normal = self._forms(urls)
            for lines in _parts(read_tables(path) if path.exists() else ()):
                within = pc.index_in(lines["form"], value_set=normal)
                if within.null_count:
                    message = (
                        "The sources have lines that the run does not have; score them again into another "
                        "path, or leave out --every-line."
                    )
                    raise InputError(message)
                positions = lines["position"].to_numpy()
                given = Lines(positions, *(lines[name].combine_chunks() for name in ("url", "kept")))
                rows = within.to_numpy().astype(np.int64)
                yield with_key(self._read(columns, block, rows, given), positions)
            path.unlink(missing_ok=True)

    def _rejected(self, schema: pa.Schema, rejected: list[Rejected]) -> pa.Table:
        """Return rows of lines that were rejected, which have a place and a reason and no more."""
        positions = np.array([line.number for line in rejected], np.int64)
        columns = self._results.places.columns(positions)
        columns["reason"] = pa.array([str(line.reason) for line in rejected], pa.string())
        each = (columns.get(field.name, pa.nulls(len(rejected), field.type)) for field in schema)
        return with_key(pa.table([*each], schema=schema), positions)


def _key(form: str, kind: NormalForm) -> str:
    """Return the key by which the row of a form is sorted."""
    # Any digest will do, as it is dropped; lines compared as they are tie in the order of their text.
    return SEPARATOR.join((sort_key(form), form)) if kind == "raw" else form_key(spelling_key(form, ""))


def _parts(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield tables of lines, the small ones joined, and none of too many."""
    taken, n_lines = [], 0
    for table in tables:
        taken.append(table)
        n_lines += table.num_rows
        if n_lines >= PART_ROWS:
            yield from _cut(taken)
            taken, n_lines = [], 0
    if taken:
        yield from _cut(taken)


def _cut(tables: list[pa.Table]) -> Iterator[pa.Table]:
    """Yield joined tables in parts."""
    joined = pa.concat_tables(tables)
    return (joined.slice(start, PART_ROWS) for start in range(0, joined.num_rows, PART_ROWS))
