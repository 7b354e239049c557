"""Copies of what was in memory: a text a line, behind a mark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from novelty_dask.kernels.text.lines import MAX_BYTES, Reason, split_lines
from novelty_dask.readers.readers import StreamReader
from novelty_dask.readers.records import Gathered
from novelty_dask.sources.memory import MALFORMED, MISSING, ROW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from novelty_dask.kernels.text.lines import LineBatch


class MemoryReader(StreamReader):
    """Reader of the copies that runs keep of URLs that were in memory."""

    by_lines = True

    def check(self, name: str, beginning: bytes) -> None:
        """Take every copy: it has no more than what was passed."""

    def scan(self, _name: str, chunks: Iterator[bytes], *, is_start: bool) -> Iterator[LineBatch]:
        """Yield the texts of consecutive chunks."""
        gathered = Gathered()
        # One byte more than a line may have, for its mark.
        for raws in split_lines(chunks, MAX_BYTES + 1, first_chunk_is_start=is_start):
            for number, raw in enumerate(raws, gathered.end):
                mark, text = raw[:1], raw[1:]
                if mark == MISSING:
                    gathered.reject(number, Reason.MISSING, b"")
                elif mark == MALFORMED:
                    raw_text = text.decode("unicode_escape").encode("latin-1")
                    gathered.reject(number, Reason.MALFORMED, raw_text)
                elif mark == ROW:
                    gathered.take(number, text.decode())
                else:
                    gathered.add(number, text)
            yield gathered.pop(gathered.end + len(raws))
