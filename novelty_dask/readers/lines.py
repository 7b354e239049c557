"""Lists: one URL a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from novelty_dask.kernels.text.lines import read_lines
from novelty_dask.readers.readers import StreamReader
from novelty_dask.readers.recognition import check_list
from novelty_dask.sources.estimate import Estimate
from novelty_dask.sources.signatures import check_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from novelty_dask.kernels.text.lines import LineBatch


class LineReader(StreamReader):
    """Reader of lists of URLs, one a line.

    Parameters
    ----------
    is_sure : bool
        True to take any text for one; otherwise what looks like another format is refused.
    """

    by_lines = True

    def __init__(self, *, is_sure: bool = False) -> None:
        self._is_sure = is_sure

    def check(self, name: str, beginning: bytes) -> None:
        """Refuse a source that is no text, or no list."""
        (check_text if self._is_sure else check_list)(name, beginning)

    def scan(self, _name: str, chunks: Iterator[bytes], *, is_start: bool) -> Iterator[LineBatch]:
        """Yield the lines of consecutive chunks."""
        return read_lines(chunks, first_chunk_is_start=is_start)

    def measure(self, _name: str, chunks: Iterator[bytes]) -> Iterator[Estimate]:
        """Yield the number of lines of the next chunks, and their bytes, without decoding them."""
        # The last line may lack its end.
        end = b"\n"
        for chunk in chunks:
            end = chunk[-1:]
            yield Estimate(chunk.count(b"\n"), len(chunk))
        yield Estimate(end != b"\n", 0)
