"""Standard input, copied into the run, so that workers can read it, and more than once."""

import hashlib
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from novelty_dask.errors import InputError, reading_errors
from novelty_dask.objects.protocol import Objects
from novelty_dask.sources.find import STDIN, Source
from novelty_dask.sources.folders import file_system
from novelty_dask.sources.pieces import CHUNK_BYTES

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


def copy_stdin(stream: BinaryIO, objects: Objects, key: str) -> Source:
    """Copy a stream to an object, whole or not at all; the version of the source is a hash of its bytes.

    Raises
    ------
    InputError
        It can't be read or stored, or has no newlines.
    """
    counted = _Counted(stream)
    with reading_errors("Can't copy standard input into the run"):
        objects.write_stream(key, counted.chunks())
    return counted.source


def identify(stream: BinaryIO) -> Source:
    """Read a stream to its end; return what `copy_stdin` would."""
    counted = _Counted(stream)
    with reading_errors("Can't read standard input"):
        deque(counted.chunks(), maxlen=0)
    return counted.source


def has_altered_copy(sources: Sequence[Source], url: str) -> bool:
    """Return whether standard input was copied to a URL, and is not there as it was read."""
    copied = [source for source in sources if source.url == STDIN and source.version]
    return bool(copied) and not _is_copy(copied[0], url)


def _is_copy(source: Source, url: str) -> bool:
    """Return whether the object at a URL has the hash that a source keeps."""
    fs, path = file_system(url)
    try:
        with fs.open(path, "rb") as stream:
            return identify(stream) == source
    except (FileNotFoundError, InputError):
        return False


class _Counted:
    """Stream that counts and hashes the bytes read from it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.blake2b(digest_size=16)
        self._n_bytes = 0

    def chunks(self) -> Iterator[bytes]:
        """Yield all bytes; ValueError if a line is too long to be one."""
        line_bytes = 0
        while chunk := self._stream.read(CHUNK_BYTES):
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
        """Standard input as a source, once all of it was read."""
        return Source(STDIN, self._n_bytes, None, self._digest.hexdigest())
