"""Tables as text: CSV with commas, semicolons or bars, and TSV."""

from __future__ import annotations

import csv
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from novelty_dask.errors import InputError
from novelty_dask.kernels.text.lines import Reason, is_comment, split_lines
from novelty_dask.readers.columns import describe_absence, looks_like_address, name_column, number_of
from novelty_dask.readers.readers import StreamReader
from novelty_dask.readers.records import Gathered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from novelty_dask.kernels.text.lines import LineBatch

DELIMITERS = {"csv": ",;|", "tsv": "\t"}
"""Characters that may stand between the fields of a record, by format."""
RECORD_BYTES, RECORD_LINES = 2**20, 1_000
"""Longest record that is read as one; a quote that is open for longer is none."""


class DelimitedReader(StreamReader):
    """Reader of one column of tables.

    A record may have several lines, where fields in quotes have newlines.  The header is no record, nor is a
    repetition of it, as in files that were joined.  Lines between records that begin with ``#`` are comments;
    the header may be the last of those at the start.

    Parameters
    ----------
    form : {"csv", "tsv"}
        Format.
    column : str or None
        Name of the column in the header, or its number, from 1.
    keep : sequence of str
        Other columns that rows keep, named alike.
    """

    def __init__(self, form: str, column: str | None, keep: Sequence[str] = ()) -> None:
        self._delimiters = DELIMITERS[form]
        self._column = column
        self._keep = keep

    def scan(self, name: str, chunks: Iterator[bytes], *, is_start: bool) -> Iterator[LineBatch]:
        """Yield the records of a source."""
        lines = _Lines(raw for raws in split_lines(chunks, RECORD_BYTES) for raw in raws)
        table = _Table(lines, self._choose_delimiter(lines))
        column = self._find_column(name, table)
        gathered = Gathered()
        for fields in table.records():
            _take_comments(lines, gathered)
            if isinstance(fields, Reason):
                gathered.reject(lines.start, fields, lines.first)
            elif fields != column.header:
                _take(fields, column, lines, gathered)
            if gathered.is_full:
                yield gathered.pop(lines.end)
        _take_comments(lines, gathered)
        yield gathered.pop(lines.end)

    def _choose_delimiter(self, lines: _Lines) -> str:
        """Return the delimiter that gives the named column, or else the most fields."""
        # A name alone may be in one line with several delimiters: it must be a whole field.
        heads = [_Table(lines, delimiter).heads() for delimiter in self._delimiters]
        found = [self._column in head or self._column in comment for head, comment in heads]
        widths = [len(head) for head, _ in heads]
        return self._delimiters[found.index(True) if any(found) else widths.index(max(widths))]

    def _find_column(self, name: str, table: _Table) -> _Column:
        """Return the place of the column; InputError if there is none."""
        head, comment = table.heads()
        if self._column is None:
            raise InputError(name_column(name, head))
        # Some feeds have the names of their columns in a comment.
        for header in (head, comment):
            if self._column in header:
                places = [_place(name, kept, header) for kept in self._keep]
                return _Column(header.index(self._column), header, places)
        place = _place(name, self._column, head)
        # A header names the column, and a name is no address.
        is_header = not looks_like_address(head[place])
        return _Column(place, head if is_header else None, [_place(name, kept, head) for kept in self._keep])


def _place(source: str, column: str, head: list[str]) -> int:
    """Return the place of a column by its name or number; InputError if there is none."""
    number = number_of(column)
    if column in head:
        return head.index(column)
    if number is None or not 0 < number <= len(head):
        raise InputError(describe_absence(source, column, head))
    return number - 1


def _take_comments(lines: _Lines, gathered: Gathered) -> None:
    """Reject the comments that were passed."""
    for number, comment in lines.pop_comments():
        gathered.reject(number, Reason.COMMENT, comment)


def _take(fields: list[str], column: _Column, lines: _Lines, gathered: Gathered) -> None:
    """Add a record by its fields; an empty line has none."""
    # A record without fields is an empty line, which is blank rather than too short.
    if fields and len(fields) <= column.place:
        gathered.reject(lines.start, Reason.MISSING, lines.first)
        return
    raw = fields[column.place].encode("utf-8", "surrogateescape") if fields else b""
    kept = [fields[place] if place < len(fields) else None for place in column.kept] if column.kept else None
    gathered.add(lines.start, raw, kept)


class _Column(NamedTuple):
    """The place of a column in records, the record that is the header if there is one, and other places."""

    place: int
    header: list[str] | None
    kept: list[int]


class _Lines:
    """Lines of a table, as the parser of records takes them, one record after the other.

    Attributes
    ----------
    start : int
        Number of the first line of the record, from 0.
    last_comment : bytes
        The last comment that was passed.
    """

    def __init__(self, raws: Iterator[bytes]) -> None:
        self._raws = raws
        self._waiting: deque[bytes] = deque()
        self._record: list[bytes] = []
        self._comments: list[tuple[int, bytes]] = []
        self.start = 0
        self.last_comment = b""

    @property
    def end(self) -> int:
        """Number of the line behind the record."""
        return self.start + len(self._record)

    @property
    def first(self) -> bytes:
        """First line of the record."""
        return self._record[0]

    def begin(self) -> bool:
        """Begin the next record, behind comments; return whether there is one."""
        # Comments are passed here, and not where lines are taken: within quotes they are text.
        self.start = self.end
        self._record.clear()
        while (raw := self._next()) is not None and is_comment(raw):
            self._comments.append((self.start, raw))
            self.last_comment = raw
            self.start += 1
        if raw is not None:
            self._waiting.appendleft(raw)
        return raw is not None

    def peek(self) -> bytes:
        """Return the first line of the first record, nothing if there is none."""
        return self._waiting[0] if self.begin() else b""

    def end_behind_first(self) -> None:
        """Let the record be its first line alone."""
        # The others were read as parts of a field, and are records of their own.
        self._waiting.extendleft(reversed(self._record[1:]))
        del self._record[1:]

    def pop_comments(self) -> list[tuple[int, bytes]]:
        """Return the comments that were passed, with their numbers, and forget them."""
        comments, self._comments = self._comments, []
        return comments

    def __iter__(self) -> Iterator[str]:
        """Return the lines themselves."""
        return self

    def __next__(self) -> str:
        """Return the next line of the record."""
        is_long = len(self._record) >= RECORD_LINES or sum(map(len, self._record)) >= RECORD_BYTES
        # The parser takes lines until a quote is closed, which may be never.
        raw = None if is_long else self._next()
        if raw is None:
            raise StopIteration
        self._record.append(raw)
        # Bytes that are no UTF-8 come back as they were.
        return raw.decode("utf-8", "surrogateescape") + "\n"

    def _next(self) -> bytes | None:
        """Return the next line, None at the end."""
        return self._waiting.popleft() if self._waiting else next(self._raws, None)


class _Table:
    """Records of lines.

    Parameters
    ----------
    lines : _Lines
    delimiter : str
    """

    def __init__(self, lines: _Lines, delimiter: str) -> None:
        self._lines = lines
        self._delimiter = delimiter
        # Set for the process: by default it is too small for a column that has the text of a page.
        csv.field_size_limit(max(csv.field_size_limit(), RECORD_BYTES))

    def heads(self) -> tuple[list[str], list[str]]:
        """Return the fields of the first record, and those of the comment before it."""
        first, comment = self._lines.peek(), self._lines.last_comment.lstrip(b"# ")
        fields, named = self.split(first), self.split(comment)
        return [] if isinstance(fields, Reason) else fields, [] if isinstance(named, Reason) else named

    def records(self) -> Iterator[list[str] | Reason]:
        """Yield the fields of each record, or why it is rejected."""
        # Strict, as only an error tells that a quote is out of place; after one, the parser begins anew.
        rows = csv.reader(self._lines, delimiter=self._delimiter, strict=True)
        while self._lines.begin():
            try:
                yield next(rows)
            except (csv.Error, StopIteration):
                # A quote that is not closed, or closed too early, is a character like others.
                self._lines.end_behind_first()
                yield self.split(self._lines.first)

    def split(self, raw: bytes) -> list[str] | Reason:
        """Return the fields of a line that is a record by itself, or why it is none."""
        if len(raw) > RECORD_BYTES:
            return Reason.TOO_LONG
        try:
            [fields] = csv.reader([raw.decode("utf-8", "surrogateescape")], delimiter=self._delimiter)
        except csv.Error:
            # A CR within a field that has no quotes.
            return Reason.MALFORMED
        return fields
