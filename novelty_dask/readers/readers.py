"""The protocol of readers, and what readers of streams have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Protocol

from novelty_dask.errors import InputError
from novelty_dask.kernels.text.invalid import escape_invalid
from novelty_dask.sources.estimate import Estimate, estimate_stream
from novelty_dask.sources.pieces import read_chunks
from novelty_dask.sources.signatures import check_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from novelty_dask.kernels.text.lines import LineBatch
    from novelty_dask.sources.find import Source
    from novelty_dask.sources.pieces import Piece


class Reader(Protocol):
    """What reads sources of one format.

    Every record of a source has a position: the line on which it begins in a text, else its number; from 0.
    A record is accepted, or rejected for a reason, or no record at all, as the header of a table is none.
    """

    def check(self, name: str, beginning: bytes) -> None:
        """Refuse a source, named in quotes, by its first bytes.

        Raises
        ------
        InputError
            They are not of the format.
        """
        ...

    def cut(self, source: Source, piece_bytes: int) -> list[int]:
        """Return where the pieces of a source begin, from 0 on, in a unit of the reader's choice."""
        ...

    def read(self, source: Source, piece: Piece) -> Iterator[LineBatch]:
        """Yield the records of a piece, with positions that count from its first.

        Raises
        ------
        InputError
            The source can't be read to its end, or is not of the format.
        """
        ...

    def estimate(self, source: Source, head_bytes: int) -> Estimate:
        """Return about how many records a source has, and bytes of their text, by a look at its head.

        Raises
        ------
        InputError
            The head can't be read, or is not of the format.
        """
        ...


class BrokenError(Exception):
    """What is wrong with a source, as a sentence goes on behind its name."""

    def of(self, name: str, *remedy: str) -> InputError:
        """Return the error of a source, by its name in quotes, with a remedy if the error tells none."""
        # Standard input has no quotes, and may begin a sentence.
        return InputError(f"{name[:1].upper()}{name[1:]} {'; '.join([str(self), *remedy])}.")


class StreamReader(ABC):
    """Reader of a format that is read from its beginning to its end."""

    by_lines = False
    """True if every line is a record, so that a file can be cut at any newline."""
    keeps_invalid = False
    """True to read bytes that are not UTF-8 as ``%XX``."""

    def check(self, name: str, beginning: bytes) -> None:
        """Refuse a source that is no text."""
        check_text(name, beginning)

    @abstractmethod
    def scan(self, name: str, chunks: Iterator[bytes], *, is_start: bool) -> Iterator[LineBatch]:
        """Yield the records of consecutive chunks of a source.

        Parameters
        ----------
        name : str
            Name of the source in messages, in quotes.
        chunks : iterator of bytes
        is_start : bool
            True if the first chunk is the start of the source.

        Raises
        ------
        InputError
            They are not of the format.
        """

    def cut(self, source: Source, piece_bytes: int) -> list[int]:
        """Return the bytes at which the pieces of a source begin."""
        # A compressed file can only be decompressed from its beginning.
        is_cut = self.by_lines and not source.compression
        # Some stores tell no size, which then is 0: such a file is one piece, too.
        return list(range(0, max(source.n_bytes, 1), piece_bytes)) if is_cut else [0]

    def read(self, source: Source, piece: Piece) -> Iterator[LineBatch]:
        """Yield the records of a piece."""
        # A byte order mark counts only where the file begins.
        return self.scan(source.shown, self.chunks(source, piece), is_start=piece.start == 0)

    def chunks(self, source: Source, piece: Piece) -> Iterator[bytes]:
        """Return the text of a piece in chunks."""
        chunks = read_chunks(source, piece, check=self.check)
        return escape_invalid(chunks) if self.keeps_invalid else chunks

    def measure(self, name: str, chunks: Iterator[bytes]) -> Iterator[Estimate]:
        """Yield the number of records of the next chunks, and bytes of their text."""
        for batch in self.scan(name, chunks, is_start=True):
            yield Estimate(batch.n_lines, sum(map(len, [*batch.texts, *(batch.kept or ())])))

    def estimate(self, source: Source, head_bytes: int) -> Estimate:
        """Return about how many records a source has, and bytes of their text."""
        return estimate_stream(source, head_bytes, self.measure)
