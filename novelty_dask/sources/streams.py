"""Streams, copied into the run, so that workers can read them, and more than once.

Standard input and pipes have no name that tells how they are compressed: that is seen by their first bytes.
A copy is text, so that several workers can read parts of it.
"""

from __future__ import annotations

import hashlib
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from functools import cached_property, partial
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, cast

from novelty_dask.errors import InputError, capital, reading_errors
from novelty_dask.sources.decompress import DAMAGED, MARK_BYTES, decompress, find_compression
from novelty_dask.sources.find import MEMORY, STDIN, Source
from novelty_dask.sources.folders import file_system
from novelty_dask.sources.pieces import CHUNK_BYTES, Check, check_chunks
from novelty_dask.sources.signatures import check_text

if TYPE_CHECKING:
    from novelty_dask.objects.protocol import Objects

STANDARD_INPUT = Source(STDIN, 0, None)
LONGEST_LINE_BYTES = 256 * 2**20
"""Length of a line after which a stream is taken for endless."""


def standard_input() -> BinaryIO:
    """Return the stream of standard input.

    Raises
    ------
    InputError
        It is closed.
    """
    if sys.stdin is None:
        message = "Standard input is closed; name a file, or pipe something in."
        raise InputError(message)
    return sys.stdin.buffer


class Stream:
    """Stream that is opened when it is needed, and once.

    Parameters
    ----------
    open_stream : callable
        Returns the stream, a binary file.
    is_closed : bool
        True to close it once it was read, or could not be.
    """

    def __init__(self, open_stream: Callable[[], BinaryIO], *, is_closed: bool = True) -> None:
        self._open, self._is_closed = open_stream, is_closed

    @cached_property
    def _stream(self) -> BinaryIO:
        """The stream."""
        return self._open()

    def peek(self) -> bytes:
        """Return the first bytes, decompressed, and leave them there."""
        return peek(self._stream)

    def copy(self, source: Source, objects: Objects, key: str, check: Check) -> Source:
        """Copy it to an object, as `copy_stream` does."""
        with self._reading() as stream:
            return copy_stream(stream, objects, key, check, source)

    def identify(self, source: Source) -> Source:
        """Read it to its end, and return what `copy` would."""
        with self._reading() as stream:
            return identify(stream, source)

    def _reading(self) -> AbstractContextManager[BinaryIO]:
        """Return a context in which the stream is read, the last one."""
        return closing(self._stream) if self._is_closed else nullcontext(self._stream)


def open_pipe(path: str) -> BinaryIO:
    """Return a pipe, open for reading.

    Raises
    ------
    InputError
        It can't be opened.
    """
    with reading_errors(f"Can't read {path!r}"):
        # By the descriptor where the path names one: it may be opened once only, as on macOS.
        return cast("BinaryIO", open(path, "rb"))  # noqa: PTH123 - read later, to its end


def peek(stream: BinaryIO) -> bytes:
    """Return the first bytes of a stream, decompressed, and leave them there; none if it has no end."""
    # In a terminal it would wait for the first line, before anything is asked for.
    head = b"" if stream.isatty() else _peek(stream)
    compression = find_compression(head)
    if compression is None:
        return head
    with suppress(OSError, *DAMAGED):
        return next(decompress(BytesIO(head), compression, CHUNK_BYTES), b"")
    return b""


def _peek(stream: BinaryIO) -> bytes:
    """Return the first bytes of a stream, and leave them there."""
    if stream.seekable():
        start = stream.tell()
        head = stream.read(CHUNK_BYTES)
        stream.seek(start)
        return head
    # Of a pipe, as much as has been written to it by now, and fits in a buffer.
    return bytes(stream.peek()) if hasattr(stream, "peek") else b""


def copy_stream(
    stream: BinaryIO, objects: Objects, key: str, check: Check = check_text, source: Source = STANDARD_INPUT
) -> Source:
    """Copy the text of a stream to an object, whole or not at all; its hash is the version of the source.

    Parameters
    ----------
    stream : binary file
    objects : Objects
    key : str
        Where to store it.
    check : callable
        Refuses it by its first bytes.
    source : Source
        What it is.

    Returns
    -------
    Source
        The same, with the bytes of its text and their hash.

    Raises
    ------
    InputError
        It can't be read or decompressed, is no text, or has no newlines.
    StoreError
        It can't be stored.
    """
    counted = _Counted(stream, source, check)
    objects.write_stream(key, counted.chunks())
    return counted.source


def identify(stream: BinaryIO, source: Source = STANDARD_INPUT) -> Source:
    """Read a stream to its end; return what `copy_stream` would."""
    counted = _Counted(stream, source)
    deque(counted.chunks(), maxlen=0)
    return counted.source


class _Whole:
    """Stream from its start on, though its first bytes have been read."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    def read(self, size: int) -> bytes:
        """Return the next bytes, none at the end."""
        head, self._head = self._head, b""
        # These may be fewer than asked for, which is not the end: only none are.
        return head or self._stream.read(size)


def _read_text(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the text of a stream, decompressed if it begins like a compressed file."""
    if stream.isatty():
        return _read_typed(stream)
    head = stream.read(MARK_BYTES)
    whole, compression = cast("BinaryIO", _Whole(head, stream)), find_compression(head)
    if compression is None:
        return iter(partial(whole.read, CHUNK_BYTES), b"")
    return decompress(whole, compression, CHUNK_BYTES)


def _read_typed(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines that are typed in a terminal."""
    # Not in chunks: each would wait for an end of its own, as one can go on to type behind the first.
    for line in iter(stream.readline, b""):
        yield line
        if not line.endswith(b"\n"):
            return


def is_copy(source: Source, url: str) -> bool:
    """Return whether the object at a URL has the hash that a source keeps."""
    fs, path = file_system(url)
    try:
        with fs.open(path, "rb") as stream:
            return identify(stream, source) == source
    except (FileNotFoundError, InputError):
        return False


class _Counted:
    """Stream that counts and hashes the bytes of its text."""

    def __init__(self, stream: BinaryIO, source: Source, check: Check = check_text) -> None:
        self._stream = stream
        self._of = source
        self._check = check
        self._digest = hashlib.blake2b(digest_size=16)
        self._n_bytes = 0

    def chunks(self) -> Iterator[bytes]:
        """Yield all text; InputError if it can't be read, or a line is too long to be one."""
        # Errors of whoever takes the chunks, as of a full disk, are not raised here, and stay what they are;
        # so do those of a user's own code, which makes what is in memory.
        is_own = self._of.url.startswith(MEMORY)
        with nullcontext() if is_own else reading_errors(f"Can't read {self._of.shown}"):
            yield from self._chunks()

    def _chunks(self) -> Iterator[bytes]:
        """Yield all text; ValueError if a line is too long to be one."""
        line_bytes = 0
        for chunk in check_chunks(capital(self._of.shown), _read_text(self._stream), self._check):
            newline = chunk.rfind(b"\n")
            line_bytes = len(chunk) - newline - 1 if newline >= 0 else line_bytes + len(chunk)
            if line_bytes > LONGEST_LINE_BYTES:
                message = f"a line of it has more than {LONGEST_LINE_BYTES:,} bytes"
                raise ValueError(message)
            self._digest.update(chunk)
            self._n_bytes += len(chunk)
            yield chunk

    @property
    def source(self) -> Source:
        """The source, once all of it was read."""
        return self._of._replace(n_bytes=self._n_bytes, version=self._digest.hexdigest())
