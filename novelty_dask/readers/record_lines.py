"""Formats in which every line is a record by itself, as the beginning of the source may say."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from novelty_dask.kernels.text.lines import Reason, split_lines
from novelty_dask.readers.readers import BrokenError, StreamReader
from novelty_dask.readers.records import Gathered
from novelty_dask.sources.pieces import read_beginning, take_beginning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from novelty_dask.kernels.text.lines import LineBatch
    from novelty_dask.sources.find import Source
    from novelty_dask.sources.pieces import Piece

RECORD_BYTES = 2**20
"""Longest line that is read; others are rejected."""
BEGINNING_BYTES = 2**16
"""First bytes of a source by which its lines are understood."""
BOM = b"\xef\xbb\xbf"


class Record(NamedTuple):
    """A record with further fields, which rows keep."""

    text: bytes
    kept: Sequence[str | None]


Take = Callable[[bytes], bytes | Record | Reason | None]
"""Takes a line that is not blank; returns what of it is scored, why it is rejected, or None to skip it."""


class RecordLines(StreamReader):
    """Reader of lines that are records, which can be cut at any newline."""

    by_lines = True

    @abstractmethod
    def learn(self, beginning: bytes) -> Take:
        """Return how a line is read, by the beginning of its source, without a byte order mark.

        Raises
        ------
        BrokenError
            It is not of the format; raised for a line, too, where what is joined does not fit.
        """

    def scan(self, name: str, chunks: Iterator[bytes], *, is_start: bool) -> Iterator[LineBatch]:
        """Yield the lines of a source from its beginning."""
        beginning, chunks = take_beginning(chunks, BEGINNING_BYTES)
        return self._take_lines(name, beginning, chunks, is_start=is_start)

    def read(self, source: Source, piece: Piece) -> Iterator[LineBatch]:
        """Yield the lines of a piece."""
        if piece.start == 0 and piece.stop is None:
            return super().read(source, piece)
        # What its first lines say holds for every piece, even one that has not all of them.
        beginning = read_beginning(source, BEGINNING_BYTES)
        chunks = self.chunks(source, piece)
        return self._take_lines(source.shown, beginning, chunks, is_start=piece.start == 0)

    def _take_lines(
        self, name: str, beginning: bytes, chunks: Iterator[bytes], *, is_start: bool
    ) -> Iterator[LineBatch]:
        """Yield the records of lines."""
        gathered = Gathered()
        try:
            # Cut, as whole chunks were taken: all pieces have to learn the same as the whole source does.
            take = self.learn(beginning[:BEGINNING_BYTES].removeprefix(BOM))
            for raws in split_lines(chunks, RECORD_BYTES, first_chunk_is_start=is_start):
                for number, raw in enumerate(raws, gathered.end):
                    found = _take(take, raw)
                    # What is neither, such as a header, counts as a line alone.
                    if isinstance(found, bytes):
                        gathered.add(number, found)
                    elif isinstance(found, Record):
                        gathered.add(number, *found)
                    elif found:
                        gathered.reject(number, found, raw)
                yield gathered.pop(gathered.end + len(raws))
        except BrokenError as error:
            raise error.of(name) from None


def _take(take: Take, raw: bytes) -> bytes | Record | Reason | None:
    """Return what of a line is scored, or its fate."""
    # What was read of it is not the whole: another part may hold the URL.
    if len(raw) > RECORD_BYTES:
        return Reason.TOO_LONG
    return take(raw) if raw and not raw.isspace() else Reason.BLANK
