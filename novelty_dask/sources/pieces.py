"""Pieces of sources, which are read in parallel.

An uncompressed file is split into byte ranges; a compressed one is a single piece, because it can only be
decompressed from its beginning.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
Check = Callable[[str, bytes], None]
"""Takes the name of a source, in quotes, and its first bytes; raises InputError to refuse it."""
Cut = Callable[[Source, int], list[int]]
"""Takes a source and the size of a piece; returns where its pieces begin."""


class Piece(NamedTuple):
    """Records that begin in the part ``start`` to ``stop`` of a source; None is its end.

    Both count bytes of a text, and what its reader chose of other sources.
    """

    source: int
    start: int
    stop: int | None


def split(sources: Sequence[Source], cut: Cut, piece_bytes: int = PIECE_BYTES) -> list[Piece]:
    """Return pieces of about equal size, in the order of their records.

    Parameters
    ----------
    sources : sequence of Source
    cut : callable
        Takes a source and the size of a piece, and returns where its pieces begin.
    piece_bytes : int
        Least size of a piece.

    >>> sources = [Source("file:///a.txt", 25, None), Source("file:///b.gz", 99, "gzip")]
    >>> split(sources, lambda source, size: [0] if source.compression else [0, size], piece_bytes=15)
    [Piece(source=0, start=0, stop=15), Piece(source=0, start=15, stop=None), \
Piece(source=1, start=0, stop=None)]
    """
    total = sum(source.n_bytes for source in sources)
    step = max(piece_bytes, -(-total // MAXIMUM_PIECES))
    starts = [cut(source, step) for source in sources]
    return [
        Piece(number, start, stop)
        for number, of_source in enumerate(starts)
        for start, stop in zip(of_source, [*of_source[1:], None], strict=True)
    ]


def read_chunks(
    source: Source, piece: Piece, chunk_bytes: int = CHUNK_BYTES, check: Check = check_text
) -> Iterator[bytes]:
    """Yield the bytes of a piece's lines, decompressed, a chunk at a time.

    Parameters
    ----------
    source : Source
    piece : Piece
    chunk_bytes : int
        Most bytes of a chunk.
    check : callable
        Refuses a source, named in quotes, by its first bytes.

    Raises
    ------
    InputError
        The file can't be read or decompressed to its end, is refused, or has changed since it was found.
    """
    with opened(source) as file:
        chunks = _chunks(file, source.compression, piece, chunk_bytes)
        last = source.n_bytes if piece.stop is None else piece.stop
        for chunk in chunks if piece.start else check_chunks(source.shown, chunks, check):
            yield chunk
            # Of a compressed file, too, this is where it is read.
            position = file.tell()
            advance(position - piece.start, last - piece.start)
            # Behind its end, it grows; it may grow as fast as it is read.  Some stores tell no size.
            if 0 < source.n_bytes < position:
                raise _changed(source)


@contextmanager
def opened(source: Source) -> Iterator[BinaryIO]:
    """Open a source; in the end, refuse one that changed meanwhile.

    Raises
    ------
    InputError
        It can't be read, whatever was raised, or it has changed since it was found.
    """
    with reading_errors(f"Can't read {source.shown} to its end"):
        # Before it is read only the size is compared: network file systems may report another version on
        # another machine for a while.
        before = _unchanged(source, (source.n_bytes,))
        fs, path = file_system(source.url)
        with fs.open(path, "rb") as file:
            yield file
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


def check_chunks(name: str, chunks: Iterator[bytes], check: Check = check_text) -> Iterator[bytes]:
    """Yield the chunks of a file from its start, after a check of them.

    Parameters
    ----------
    name : str
        Name to use in messages, in quotes.
    chunks : iterator of bytes
    check : callable
        Takes the name and the first bytes, more than the longest line unless there are fewer.

    Raises
    ------
    InputError
        They are refused.
    """
    beginning, chunks = take_beginning(chunks, CHUNK_BYTES)
    check(name, beginning)
    yield from chunks


def take_beginning(chunks: Iterator[bytes], least_bytes: int) -> tuple[bytes, Iterator[bytes]]:
    """Return the first chunks, joined, that have so much as a number of bytes, and all chunks.

    >>> beginning, chunks = take_beginning(iter([b"ab", b"cd", b"ef"]), 3)
    >>> beginning, [*chunks]
    (b'abcd', [b'ab', b'cd', b'ef'])
    """
    taken, n_bytes = [], 0
    for chunk in chunks:
        taken.append(chunk)
        n_bytes += len(chunk)
        if n_bytes >= least_bytes:
            break
    return b"".join(taken), chain(taken, chunks)


def read_beginning(source: Source, n_bytes: int) -> bytes:
    """Return the first bytes of a source, decompressed, whatever it is."""
    chunks = read_chunks(source, Piece(0, 0, None), check=lambda _name, _beginning: None)
    return take_beginning(chunks, n_bytes)[0][:n_bytes]
