"""Sources: from what the user names to pieces of bytes that can be read side by side.

A source is a file, a glob, a folder or any URL that fsspec knows, compressed or not.  An
uncompressed file is cut into byte ranges; a compressed one is a single piece, because
its middle can't be found without its beginning.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

import fsspec
from fsspec.core import get_compression, url_to_fs
from fsspec.spec import AbstractFileSystem

from novelty_dask.errors import InputError, reading_errors, reason, without_secrets
from novelty_dask.objects.protocol import METADATA
from novelty_dask.sources.decompress import FORMATS, decompress
from novelty_dask.sources.folders import file_system
from novelty_dask.sources.ranges import read_all, read_lines_between
from novelty_dask.sources.signatures import HEAD_BYTES, check_head, check_name, check_text

CHUNK_BYTES = 2**18
PIECE_BYTES = 16 * 2**20
MAXIMUM_PIECES = 1_024
STDIN = "-"
HIDDEN = re.compile(r"/[._]")
WEB = re.compile(r"\A(\w*cache::)?https?://", re.IGNORECASE)
VERSIONS = ("ETag", "etag", "mtime", "LastModified", "created")
"""What file systems tell of a file that changes with its content, best first."""


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

    def __repr__(self) -> str:
        """Without what a URL keeps secret, as Dask logs the arguments of a task that failed."""
        return f"Source({without_secrets(self.url)!r}, {self.n_bytes}, {self.compression!r})"


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
    found: dict[str, Source] = {}
    for source in chain.from_iterable(map(expand, names)):
        found.setdefault(_identity(source.url), source)
    if not found:
        message = "No source is named; give a file, a glob, a folder, a URL, or - for standard input."
        raise InputError(message)
    return list(found.values())


def _identity(url: str) -> str:
    """What two names of one file have in common."""
    path = url.removeprefix("file://")
    return os.path.realpath(path) if path != url else url


def expand(name: str) -> list[Source]:
    """The files behind one name; standard input is a source of its own."""
    if name == STDIN:
        return [Source(STDIN, 0, None)]
    try:
        sources = _find(name) if name else []
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - each file system has its own
        named = getattr(error, "filename", None)
        message = f"Can't read {(named if isinstance(named, str) else name)!r}: {reason(error)}."
        raise InputError(message) from None
    if not sources:
        message = f"Nothing matches {name!r}; check the path."
        raise InputError(message)
    return sources


def _find(name: str) -> list[Source]:
    """The file of that name, or else the files of that folder or glob."""
    fs, path = file_system(name)
    if WEB.match(name):
        # A list of URLs may pass for a page, whose links nobody asked to follow.
        return [_source(fs, path)]
    if fs.exists(f"{path}/{METADATA}"):
        message = f"{name!r} is a run or another Zarr store; name files of URLs."
        raise InputError(message)
    named = [path] if fs.exists(path) else sorted(fs.glob(path))
    paths = _folder(fs, path) if fs.isdir(path) else named
    return [_source(fs, path) for path in paths if not fs.isdir(path)]


def _folder(fs: AbstractFileSystem, path: str) -> list[str]:
    """Files under a folder, without hidden ones, markers such as _SUCCESS, and those of runs."""
    depth = len(path.rstrip("/"))
    files = [file for file in sorted(fs.find(path)) if not HIDDEN.search(file, depth)]
    stores = tuple(file.removesuffix(METADATA) for file in files if file.endswith(f"/{METADATA}"))
    return [file for file in files if not file.startswith(stores)]


def _source(fs: AbstractFileSystem, path: str) -> Source:
    """Describe one file, after a look at how it begins."""
    info = fs.info(path)
    if info["type"] != "file" or not stat.S_ISREG(info.get("mode", stat.S_IFREG)):
        message = f"{path!r} is no regular file; pipe it in and name - as the source."
        raise InputError(message)
    check_name(path)
    compression = get_compression(path, "infer")
    with fs.open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
    if compression is None:
        check_head(path, head)
    elif compression not in FORMATS:
        message = f"{path!r} is compressed in a format that is not read ({compression}); decompress it."
        raise InputError(message)
    n_bytes, version = _state(info)
    return Source(fs.unstrip_protocol(path), n_bytes, compression, version)


def _state(info: dict[str, Any]) -> tuple[int, str]:
    """Size of a file, 0 where its server doesn't tell, and what changes with its content."""
    return int(info["size"] or 0), next((str(info[key]) for key in VERSIONS if info.get(key)), "")


def check_unchanged(source: Source) -> None:
    """Refuse, by InputError, a source that is not as it was when its run was begun."""
    [found, *others] = expand(source.url)
    if others or found[1:] != (*source[1:3], source.version or found.version):
        message = f"{source.url!r} has changed since its run was begun; score it into another path."
        raise InputError(message)


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
        The file can't be read or decompressed to its end, it holds no lines of text, or it has changed
        since it was found.
    """
    with reading_errors(f"Can't read {source.url!r} to its end"):
        before = _unchanged(source, (source.n_bytes,))
        with fsspec.open(source.url, "rb") as file:
            chunks = _chunks(file, source.compression, piece, chunk_bytes)
            yield from chunks if piece.start else _checked(source.url, chunks)
        _unchanged(source, before)


def _unchanged(source: Source, known: tuple[int | str, ...]) -> tuple[int, str]:
    """The state of a file; refuse one whose pieces are no longer those that were cut.

    Its version when it was found is not known here, as that may differ for a while from machine to machine.
    """
    fs, path = url_to_fs(source.url)
    state = _state(fs.info(path))
    if state[: len(known)] != known:
        message = f"{source.url!r} has changed since it was found; start again when it rests."
        raise InputError(message)
    return state


def _chunks(file: BinaryIO, compression: str | None, piece: Piece, chunk_bytes: int) -> Iterator[bytes]:
    """The bytes of a piece's lines."""
    if compression:
        return decompress(file, compression, chunk_bytes)
    if piece.start == 0 and piece.stop is None:
        return read_all(file, chunk_bytes)
    return read_lines_between(file, piece.start, piece.stop, chunk_bytes)


def _checked(url: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks of a file from its start, once that has shown that it is text."""
    beginning, n_bytes = [], 0
    for chunk in chunks:
        beginning.append(chunk)
        n_bytes += len(chunk)
        if n_bytes >= CHUNK_BYTES:
            break
    check_text(url, b"".join(beginning))
    yield from chain(beginning, chunks)
