"""Decompression within bounds, of every member of a file to its last byte.

When a member of a .bz2 or .xz file is followed by damaged bytes, Python's own readers stop there as if the
file ended, and everything behind is lost silently.  Here that is an error, and so is a file that expands
too much.
"""

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple, Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

READ_BYTES = 2**14
DICTIONARY_BYTES = 2**27
"""Most memory that a member may ask for; ``xz -9`` needs half of it, ``zstd --long`` all."""
BUFFER_BYTES = 2**20
"""Most bytes that a decompressor holds besides its dictionary."""
EXPANSION = 200
"""Bytes of text for a stored byte beyond which a file can't be a list of URLs; lists have 3 to 20."""
FREE_BYTES = 2**23
"""Bytes of text that any file may expand to, however small it is."""

DAMAGED = (EOFError, ValueError, lzma.LZMAError, zlib.error, zstd.ZstdError)
"""Errors that a truncated, damaged or excessive file raises, besides OSError."""


class Decompressor(Protocol):
    """Decompressor of one member.

    It returns a bounded number of bytes; called without data, it returns more of what it still holds.
    """

    @property
    def eof(self) -> bool:
        """True at the end of the member."""
        ...

    @property
    def unused_data(self) -> bytes:
        """Bytes behind the member."""
        ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Return the next bytes of text, up to a maximum; none if more data are needed."""
        ...


class _Gzip:
    """Decompressor of gzip members, with the interface of those of the other formats."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        # When it reaches the maximum, zlib hands back the input that it did not use, and forgets it.
        return self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)


class _Format(NamedTuple):
    """A compression format.

    Parameters
    ----------
    member : callable
        Makes the decompressor of a member.
    marks : tuple of bytes
        Beginnings of members.
    padding : bytes
        Byte that may stand between and behind members.
    decompressor_bytes : int
        Most bytes that a decompressor holds, if that is much beside the text.
    """

    member: Callable[[], Decompressor]
    marks: tuple[bytes, ...]
    padding: bytes = b""
    decompressor_bytes: int = 0


WINDOW: dict[int, int] = {zstd.DecompressionParameter.window_log_max: DICTIONARY_BYTES.bit_length() - 1}
SKIPPABLE = tuple(bytes([first, 0x2A, 0x4D, 0x18]) for first in range(0x50, 0x60))
"""Beginnings of zstd frames that hold no text (RFC 8878, section 3.1.2)."""

COMPRESSIONS = {
    "gzip": _Format(_Gzip, (b"\x1f\x8b",), padding=b"\0"),
    "bz2": _Format(bz2.BZ2Decompressor, (b"BZh",)),
    "xz": _Format(
        lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=DICTIONARY_BYTES),
        (b"\xfd7zXZ\0",),
        padding=b"\0",
        decompressor_bytes=DICTIONARY_BYTES + BUFFER_BYTES,
    ),
    "zstd": _Format(
        lambda: zstd.ZstdDecompressor(options=WINDOW),
        (b"\x28\xb5\x2f\xfd", *SKIPPABLE),
        decompressor_bytes=DICTIONARY_BYTES + BUFFER_BYTES,
    ),
}
"""Formats by fsspec's names.  Decompressors of gzip and bzip2 hold 4 MB at most, little beside the text."""


MARK_BYTES = 6
"""Length of the longest mark."""


def find_compression(head: bytes) -> str | None:
    """Return fsspec's name of the compression of a stream by its first `MARK_BYTES`; None if it has none.

    >>> find_compression(b"http:/"), find_compression(bz2.compress(b"http://a.example/"))
    (None, 'bz2')
    """
    return next((name for name, form in COMPRESSIONS.items() if head.startswith(form.marks)), None)


def decompress(file: BinaryIO, compression: str, chunk_bytes: int) -> Iterator[bytes]:
    """Yield the text of a compressed file, a chunk at a time.

    Parameters
    ----------
    file : binary file
        At its start.
    compression : {"gzip", "bz2", "xz", "zstd"}
        Its format.
    chunk_bytes : int
        Most bytes of a chunk.

    Yields
    ------
    bytes
        The next bytes of text, at least one.

    Raises
    ------
    EOFError
        The file ends in the middle of a member.
    ValueError, OSError, LZMAError, zlib.error, ZstdError
        It is damaged, holds something else behind a member, or expands too much.
    """
    stored, form = _Counted(file), COMPRESSIONS[compression]
    n_text, data = 0, stored.read()
    _check_mark(data, form, f"it is not compressed with {compression}, as its name says")
    while True:
        member = form.member()
        while not member.eof:
            chunk = _decompressed(member, data, chunk_bytes)
            # As long as it returns text it may hold more, and gets no new data.
            data = b"" if chunk or member.eof else stored.read_more()
            if chunk:
                n_text += len(chunk)
                _check_expansion(n_text, stored.n_bytes)
                yield chunk
        data = stored.read_behind(member.unused_data, form.padding)
        if not data:
            return
        _check_mark(data, form, "something else follows its compressed data")


def _decompressed(member: Decompressor, data: bytes, chunk_bytes: int) -> bytes:
    """Return the next bytes of a member; explain to the user if it needs too much memory."""
    try:
        return member.decompress(data, chunk_bytes)
    except (lzma.LZMAError, zstd.ZstdError) as error:
        if "memory" not in str(error).lower():
            raise
        message = (
            f"it takes more than {DICTIONARY_BYTES // 2**20} MiB to decompress it; decompress it yourself"
        )
        raise ValueError(message) from None


class _Counted:
    """Stored file that counts the bytes read from it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.n_bytes = 0

    def read(self) -> bytes:
        """Return the next bytes, none at the end."""
        data = self._file.read(READ_BYTES)
        self.n_bytes += len(data)
        return data

    def read_more(self) -> bytes:
        """Return the next bytes of a member that has not ended."""
        data = self.read()
        if not data:
            message = "it ends in the middle of its compressed data"
            raise EOFError(message)
        return data

    def read_behind(self, data: bytes, padding: bytes) -> bytes:
        """Return the first bytes of the next member, none if there is none."""
        # Padding may be longer than what was read so far, and is read to its end.
        data = (data or self.read()).lstrip(padding)
        while padding and not data and (data := self.read()):
            data = data.lstrip(padding)
        return data


def _check_mark(data: bytes, form: _Format, problem: str) -> None:
    """Raise an error about data that do not begin as a member does."""
    # Fewer bytes than a mark has may be its beginning: what is wrong then is that the file ends there.
    if not any(data.startswith(mark) or mark.startswith(data) for mark in form.marks):
        raise ValueError(problem)


def _check_expansion(n_text: int, n_stored: int) -> None:
    """Raise an error about a file that expands too much: it may be made to exhaust its readers."""
    if n_text > max(FREE_BYTES, EXPANSION * n_stored):
        message = (
            f"it expands to more than {EXPANSION} times its size; if it is meant to, decompress it yourself"
        )
        raise ValueError(message)
