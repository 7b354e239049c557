"""Standard input as a file of the run, so that workers can read it, and again."""

import hashlib
import sys
from collections.abc import Callable
from typing import BinaryIO

import fsspec

from novelty_dask.errors import InputError, reading_errors
from novelty_dask.sources.find import STDIN, Source
from novelty_dask.sources.pieces import CHUNK_BYTES

LINE_BYTES = 256 * 2**20
"""A line after which a stream is taken for endless."""


def standard_input() -> BinaryIO:
    """The bytes of standard input.

    Raises
    ------
    InputError
        It is closed.
    """
    if sys.stdin is None:
        message = "Standard input is closed; name a file, or pipe something in."
        raise InputError(message)
    return sys.stdin.buffer


def spool(stream: BinaryIO, url: str) -> Source:
    """Copy a stream to a file; its version is a hash of its bytes.

    Raises
    ------
    InputError
        It can't be read or stored, or has no newlines.
    """
    with (
        reading_errors("Can't copy standard input into the run"),
        fsspec.open(url, "wb", auto_mkdir=True) as file,
    ):
        return _pass_on(stream, file.write)


def identify(stream: BinaryIO) -> Source:
    """Read a stream to its end; what `spool` would return."""
    with reading_errors("Can't read standard input"):
        return _pass_on(stream, len)


def _pass_on(stream: BinaryIO, write: Callable[[bytes], object]) -> Source:
    """Pass a stream on; its length, and a hash of its bytes."""
    digest, n_bytes, line_bytes = hashlib.blake2b(digest_size=16), 0, 0
    while chunk := stream.read(CHUNK_BYTES):
        newline = chunk.rfind(b"\n")
        line_bytes = len(chunk) - newline - 1 if newline >= 0 else line_bytes + len(chunk)
        if line_bytes > LINE_BYTES:
            message = f"a line of it has more than {LINE_BYTES:,} bytes"
            raise ValueError(message)
        digest.update(chunk)
        write(chunk)
        n_bytes += len(chunk)
    return Source(STDIN, n_bytes, None, digest.hexdigest())
