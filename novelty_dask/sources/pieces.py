"""Pieces of sources, which are read in parallel.

An uncompressed file is split into byte ranges; a compressed one is a single piece, because it can only be
decompressed from its beginning.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import BinaryIO, NamedTuple

from novelty_dask.errors import InputError, reading_errors
from novelty_dask.progress import advance
from novelty_dask.sources.decompress import decompress
from novelty_dask.sources.find import Source, file_state
from novelty_dask.sources.folders import file_system
from novelty_dask.sources.ranges import read_all, read_lines_between
from novelty_dask.sources.signatures import check_text

CHUNK_BYTES = 2**18
PIECE_BYTES = 16 * 2**20
MAXIMUM_PIECES = 1_024


class Piece(NamedTuple):
    """Lines that begin in the bytes ``start`` to ``stop`` of a source; None is its end."""

    source: int
    start: int
    stop: int | None


def split(sources: Sequence[Source], piece_bytes: int = PIECE_BYTES) -> list[Piece]:
    """Return pieces of about equal size, in the order of their bytes.

    >>> split([Source("file:///a.txt", 25, None), Source("file:///b.gz", 99, "gzip")], piece_bytes=10)
    [Piece(source=0, start=0, stop=10), Piece(source=0, start=10, stop=20), \
Piece(source=0, start=20, stop=None), Piece(source=1, start=0, stop=None)]
    """
    total = sum(source.n_bytes for source in sources)
    step = max(piece_bytes, -(-total // MAXIMUM_PIECES))
    return [piece for number, source in enumerate(sources) for piece in _split(number, source, step)]


def _split(number: int, source: Source, step: int) -> Iterator[Piece]:
    """Yield the pieces of one source."""
    starts = [0] if source.compression else list(range(0, max(source.n_bytes, 1), step))
    for start, stop in zip(starts, [*starts[1:], None], strict=True):
        yield Piece(number, start, stop)


def read_chunks(source: Source, piece: Piece, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Yield the bytes of a piece's lines, decompressed, a chunk at a time.

    Raises
    ------
    InputError
        The file can't be read or decompressed to its end, it holds no lines of text, or it has changed
        since it was found.
    """
    with reading_errors(f"Can't read {source.shown} to its end"):
        # Before it is read only the size is compared: network file systems may report another version on
        # another machine for a while.
        before = _unchanged(source, (source.n_bytes,))
        fs, path = file_system(source.url)
        with fs.open(path, "rb") as file:
            chunks = _chunks(file, source.compression, piece, chunk_bytes)
            last = source.n_bytes if piece.stop is None else piece.stop
            for chunk in chunks if piece.start else check_chunks(source.shown, chunks):
                yield chunk
                # Of a compressed file, too, this is where it is read.
                position = file.tell()
                advance(position - piece.start, last - piece.start)
                # Behind its end, it grows; it may grow as fast as it is read.  Some stores tell no size.
                if 0 < source.n_bytes < position:
                    raise _changed(source)
        _unchanged(source, before)


def _unchanged(source: Source, known: tuple[int | str, ...]) -> tuple[int, str]:
    """Return size and version of a file; refuse one that no longer has those that are known."""
    fs, path = file_system(source.url)
    state = file_state(fs.info(path))
    if state[: len(known)] != known:
        raise _changed(source)
    return state


def _changed(source: Source) -> InputError:
    """Return the error of a file that changes while it is read."""
    message = (
        f"{source.shown} changed while it was being read; run the command again once it is no longer being "
        "written."
    )
    return InputError(message)


def _chunks(file: BinaryIO, compression: str | None, piece: Piece, chunk_bytes: int) -> Iterator[bytes]:
    """Return the chunks of a piece's lines."""
    if compression:
        return decompress(file, compression, chunk_bytes)
    if piece.start == 0 and piece.stop is None:
        return read_all(file, chunk_bytes)
    return read_lines_between(file, piece.start, piece.stop, chunk_bytes)


def check_chunks(name: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the chunks of a file from its start, after a check that they are text.

    Raises
    ------
    InputError
        They are not; the message uses the name, which is in quotes.
    """
    beginning, n_bytes = [], 0
    for chunk in chunks:
        beginning.append(chunk)
        n_bytes += len(chunk)
        if n_bytes >= CHUNK_BYTES:
            break
    check_text(name, b"".join(beginning))
    yield from chain(beginning, chunks)
