"""Lines of a part of a file, namely those that begin in a range of its bytes."""

from collections.abc import Iterator
from typing import BinaryIO


def read_all(file: BinaryIO, chunk_bytes: int) -> Iterator[bytes]:
    """Yield all bytes of a file, a chunk at a time."""
    while chunk := file.read(chunk_bytes):
        yield chunk


def read_lines_between(file: BinaryIO, start: int, stop: int | None, chunk_bytes: int) -> Iterator[bytes]:
    r"""Yield the bytes of the lines that begin in a range; the last line may end behind it.

    Parameters
    ----------
    file : binary file
        Must support seeking.
    start : int
        First byte of the range.
    stop : int or None
        The byte after its last; None is the end of the file.
    chunk_bytes : int
        Most bytes of a chunk.

    Yields
    ------
    bytes
        The next bytes.

    Examples
    --------
    >>> from io import BytesIO
    >>> [b"".join(read_lines_between(BytesIO(b"one\ntwo\n"), *ends, 9)) for ends in [(0, 2), (2, None)]]
    [b'one\n', b'two\n']
    """
    position = _first_line(file, start, stop, chunk_bytes)
    while stop is None or position < stop:
        chunk = file.read(chunk_bytes if stop is None else min(chunk_bytes, stop - position))
        if not chunk:
            return
        position += len(chunk)
        yield chunk
        if position == stop and not chunk.endswith(b"\n"):
            yield from _rest_of_line(file, chunk_bytes)


def _first_line(file: BinaryIO, start: int, stop: int | None, chunk_bytes: int) -> int:
    """Seek the first line that begins in the range, or else its end; return the position."""
    # No byte behind the range is read: otherwise a single long line would be read once for each range in it.
    if start == 0:
        return 0
    # A newline that ends right before the range makes its first byte the beginning of a line.
    position = start - 1
    file.seek(position)
    while (stop is None or position < stop) and (chunk := file.read(chunk_bytes)):
        newline = chunk.find(b"\n")
        if newline >= 0:
            file.seek(position + newline + 1)
            return position + newline + 1
        position += len(chunk)
    return position


def _rest_of_line(file: BinaryIO, chunk_bytes: int) -> Iterator[bytes]:
    """Yield the bytes up to the next newline, and that newline."""
    while chunk := file.read(chunk_bytes):
        newline = chunk.find(b"\n") + 1
        yield chunk[:newline] if newline else chunk
        if newline:
            return
