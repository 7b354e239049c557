"""Sources: from what the user names to pieces of bytes that can be read side by side.

A source is a file, a glob, a folder or any URL that fsspec knows, compressed or not.  An
uncompressed file is cut into byte ranges; a compressed one is a single piece, because
its middle can't be found without its beginning.
"""

import lzma
import re
import shutil
import stat
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

import fsspec
from fsspec.core import get_compression, url_to_fs
from fsspec.spec import AbstractFileSystem

from novelty_dask.errors import InputError
from novelty_dask.kernels.lines import looks_like_utf16

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdError
else:
    from backports.zstd import ZstdError

CHUNK_BYTES = 2**18
PIECE_BYTES = 16 * 2**20
MAXIMUM_PIECES = 1_024
STDIN = "-"
HIDDEN = re.compile(r"/[._]")
ARCHIVE = re.compile(r"\.(zip|tar(\.\w+)?|tgz|tbz2?|txz|tzst|7z|rar)$", re.IGNORECASE)
HEAD_BYTES = 512
VERSIONS = ("ETag", "etag", "mtime", "LastModified", "created")
"""What file systems tell of a file that changes with its content, best first."""
UNREADABLE = (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error, ZstdError)
"""What a missing, cut or damaged file raises."""


class Source(NamedTuple):
    """One file.

    Parameters
    ----------
    url : str
        Where it is, for fsspec.
    n_bytes : int
        Its size as stored.
    compression : str or None
        fsspec's name of its compression.
    version : str
        What changes with its content, as far as its file system tells.
    """

    url: str
    n_bytes: int
    compression: str | None
    version: str = ""


class Piece(NamedTuple):
    """The lines that begin in the bytes ``start`` to ``stop`` of a source; None is its end."""

    source: int
    start: int
    stop: int | None


def find_sources(names: Iterable[str]) -> list[Source]:
    """The files behind paths, globs, folders and URLs, each once, in the order named.

    Raises
    ------
    InputError
        A name matches nothing, or something that can't be read.
    """
    found = {source.url: source for name in names for source in expand(name)}
    if not found:
        message = "No source is named; give a file, a glob, a folder, a URL, or - for standard input."
        raise InputError(message)
    return list(found.values())


def expand(name: str) -> list[Source]:
    """The files behind one name; standard input is a source of its own."""
    if name == STDIN:
        return [Source(STDIN, 0, None)]
    try:
        sources = _find(name) if name else []
    except InputError:
        raise
    except (ImportError, ValueError) as error:
        message = f"Can't open {name!r}: {str(error).rstrip('.')}."
        raise InputError(message) from None
    except OSError as error:
        message = f"Can't read {error.filename or name!r}: {error.strerror or error}."
        raise InputError(message) from None
    if not sources:
        message = f"Nothing matches {name!r}; check the path."
        raise InputError(message)
    return sources


def _find(name: str) -> list[Source]:
    """The file of that name, or else the files of that folder or glob."""
    fs, path = url_to_fs(name)
    if fs.exists(f"{path}/zarr.json"):
        message = f"{name!r} is a run or another Zarr store; name files of URLs."
        raise InputError(message)
    named = [path] if fs.exists(path) else sorted(fs.glob(path))
    paths = _folder(fs, path) if fs.isdir(path) else named
    return [_source(fs, path) for path in paths if not fs.isdir(path)]


def _folder(fs: AbstractFileSystem, path: str) -> list[str]:
    """Files under a folder, without hidden ones and markers such as _SUCCESS."""
    depth = len(path.rstrip("/"))
    return [file for file in sorted(fs.find(path)) if not HIDDEN.search(file, depth)]


def _source(fs: AbstractFileSystem, path: str) -> Source:
    """Describe one file, after a look at how it begins."""
    info = fs.info(path)
    if info["type"] != "file" or not stat.S_ISREG(info.get("mode", stat.S_IFREG)):
        message = f"{path!r} is no regular file; pipe it in and name - as the source."
        raise InputError(message)
    with fs.open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    if ARCHIVE.search(path) or head.startswith(b"PK\x03\x04") or head[257:262] == b"ustar":
        message = f"{path!r} is an archive; unpack it and name its files."
        raise InputError(message)
    if looks_like_utf16(head):
        message = f"{path!r} is UTF-16 text; convert it to UTF-8."
        raise InputError(message)
    n_bytes, version = _state(info)
    return Source(fs.unstrip_protocol(path), n_bytes, get_compression(path, "infer"), version)


def _state(info: dict[str, Any]) -> tuple[int, str]:
    """Size of a file, 0 where its server doesn't tell, and what changes with its content."""
    return int(info["size"] or 0), next((str(info[key]) for key in VERSIONS if info.get(key)), "")


def spool(stream: BinaryIO, url: str) -> Source:
    """Copy a stream to a file, so that workers can read it, and again."""
    with fsspec.open(url, "wb", auto_mkdir=True) as file:
        shutil.copyfileobj(stream, file, CHUNK_BYTES)
        n_bytes = file.tell()
    return Source(url, n_bytes, None)


def cut(sources: Sequence[Source], piece_bytes: int = PIECE_BYTES) -> list[Piece]:
    """Pieces of about equal size, in the order of their bytes.

    >>> cut([Source("file:///a.txt", 25, None), Source("file:///b.gz", 99, "gzip")], piece_bytes=10)
    [Piece(source=0, start=0, stop=10), Piece(source=0, start=10, stop=20), \
Piece(source=0, start=20, stop=None), Piece(source=1, start=0, stop=None)]
    """
    total = sum(source.n_bytes for source in sources)
    step = max(piece_bytes, -(-total // MAXIMUM_PIECES))
    return [piece for number, source in enumerate(sources) for piece in _cut(number, source, step)]


def _cut(number: int, source: Source, step: int) -> Iterator[Piece]:
    """Pieces of one source."""
    starts = [0] if source.compression else list(range(0, max(source.n_bytes, 1), step))
    for start, stop in zip(starts, [*starts[1:], None], strict=True):
        yield Piece(number, start, stop)


def read_chunks(source: Source, piece: Piece, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """The bytes of a piece's lines, decompressed, a chunk at a time.

    Raises
    ------
    InputError
        The file can't be read or decompressed to its end, or it has changed since it was found.
    """
    try:
        _check_unchanged(source)
        with fsspec.open(source.url, "rb", compression=source.compression) as file:
            read = _whole if piece.start == 0 and piece.stop is None else _lines_between
            yield from read(file, piece, chunk_bytes)
    except InputError:
        raise
    except UNREADABLE as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        message = f"Can't read {source.url!r} to its end: {reason.rstrip('.')}."
        raise InputError(message) from None


def _check_unchanged(source: Source) -> None:
    """Refuse a file whose pieces are no longer those that were cut.

    Its version is not looked at, as that may differ for a while from machine to machine.
    """
    fs, path = url_to_fs(source.url)
    if _state(fs.info(path))[0] != source.n_bytes:
        message = f"{source.url!r} has changed since it was found; start again when it rests."
        raise InputError(message)


def _whole(file: BinaryIO, _piece: Piece, chunk_bytes: int) -> Iterator[bytes]:
    """All bytes of a file."""
    while chunk := file.read(chunk_bytes):
        yield chunk


def _lines_between(file: BinaryIO, piece: Piece, chunk_bytes: int) -> Iterator[bytes]:
    """Bytes of the lines that begin in a range: the last may end after it."""
    position = _first_line(file, piece.start, chunk_bytes)
    stop = piece.stop
    while stop is None or position < stop:
        chunk = file.read(chunk_bytes if stop is None else min(chunk_bytes, stop - position))
        if not chunk:
            return
        position += len(chunk)
        yield chunk
        if position == stop and not chunk.endswith(b"\n"):
            yield from _rest_of_line(file, chunk_bytes)


def _first_line(file: BinaryIO, start: int, chunk_bytes: int) -> int:
    """Go to the first line that begins at or after ``start``; a line begins after a newline."""
    if start == 0:
        return 0
    position = start - 1
    file.seek(position)
    while chunk := file.read(chunk_bytes):
        newline = chunk.find(b"\n")
        if newline >= 0:
            file.seek(position + newline + 1)
            return position + newline + 1
        position += len(chunk)
    return position


def _rest_of_line(file: BinaryIO, chunk_bytes: int) -> Iterator[bytes]:
    """Bytes up to and with the next newline."""
    while chunk := file.read(chunk_bytes):
        newline = chunk.find(b"\n") + 1
        yield chunk[:newline] if newline else chunk
        if newline:
            return
