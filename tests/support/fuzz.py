"""Readers of files that are damaged by chance, cut anywhere, or made to exhaust memory."""

import random
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from novelty_dask.errors import InputError
from novelty_dask.readers.readers import StreamReader
from novelty_dask.sources.find import find_sources
from novelty_dask.sources.pieces import split
from tests.support.books import Books, keep_books, scan

CHUNK_BYTES = (1, 7, 64, 2**18)
BOMB_BYTES = 2**16
"""Chunk of a bomb."""


def damage(content: bytes, chance: random.Random) -> bytes:
    """Return a file with some bytes changed, lost, repeated, or put where others were."""
    data = bytearray(content)
    for _ in range(chance.choice([1, 1, 2, 8])):
        start = chance.randrange(len(data) + 1)
        stop = min(start + chance.choice([1, 1, 4, 40]), len(data))
        piece = bytes(data[start:stop])
        other = chance.randrange(len(data) + 1)
        data[start:stop] = chance.choice(
            [b"", piece * 2, chance.randbytes(len(piece)), bytes(data[other : other + 20]), b"\0", b"<", b'"']
        )
    return bytes(data[: chance.choice([len(data), len(data), chance.randrange(len(data) + 1)])])


def outcome(reader: StreamReader, content: bytes, chunk_bytes: int) -> Books | str:
    """Return what a reader makes of a file, or the sentence by which it refuses it."""
    try:
        return scan(reader, content, chunk_bytes)
    except InputError as error:
        sentence = str(error)
        assert sentence.startswith(("'a' ", "Can't read 'a'"))
        assert sentence.endswith(".")
        assert "\n" not in sentence
        return sentence


def check_damaged(reader: StreamReader, content: bytes, n_files: int = 150) -> None:
    """Assert that files which are damaged by chance have an account or a sentence, however they are cut."""
    for seed in range(n_files):
        damaged = damage(content, random.Random(seed))
        outcomes = {repr(outcome(reader, damaged, size)) for size in CHUNK_BYTES}
        assert len(outcomes) == 1, seed


def check_cuts(
    reader: StreamReader, content: bytes, expected: tuple[dict[int, str], dict[int, str], int]
) -> None:
    """Assert what a file holds, whatever its chunks."""
    for chunk_bytes in CHUNK_BYTES:
        assert outcome(reader, content, chunk_bytes) == expected


def check_pieces(reader: StreamReader, path: Path, content: bytes) -> None:
    """Assert that the pieces of a file hold what the whole file does, wherever it is cut."""
    whole = scan(reader, content)
    path.write_bytes(content)
    [source] = find_sources([str(path)])
    for piece_bytes in (1, 30, 100, len(content) // 2):
        texts: list[str] = []
        n_lines, n_rejected = 0, 0
        for piece in split([source], reader.cut, piece_bytes):
            books = keep_books(reader.read(source, piece))
            texts += books.texts.values()
            n_lines, n_rejected = n_lines + books.n_lines, n_rejected + len(books.reasons)
        assert (texts, n_rejected, n_lines) == ([*whole.texts.values()], len(whole.reasons), whole.n_lines)


class Explosion(NamedTuple):
    """What became of a bomb, and the memory that it took."""

    books: Books | str
    peak_bytes: int


def explode(reader: StreamReader, head: bytes, filling: bytes, n_bytes: int, tail: bytes) -> Explosion:
    """Read a file that is never held: a head, some bytes over and over, and a tail."""
    chunk = filling * (BOMB_BYTES // len(filling))

    def chunks() -> Iterable[bytes]:
        yield head
        for _ in range(n_bytes // len(chunk)):
            yield chunk
        yield tail

    return _measured(lambda: keep_books(reader.scan("'a'", iter(chunks()), is_start=True)))


def _measured(read: Callable[[], Books]) -> Explosion:
    """Return the result of a read, and its peak of memory."""
    tracemalloc.start()
    try:
        books: Books | str = read()
    except InputError as error:
        books = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return Explosion(books, peak)
