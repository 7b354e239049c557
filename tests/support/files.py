"""Files that tests write, read and compare."""

import bz2
import gzip
import lzma
import sys
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

from novelty_dask.sources.find import Source
from novelty_dask.sources.pieces import Piece, read_chunks

if sys.version_info >= (3, 14):
    from compression import zstd as zstd
else:
    from backports import zstd as zstd

ROOT = Path(__file__).parents[2]
"""The folder of the project."""
TEXT = b"".join(b"https://a.example/%d\n" % i for i in range(20_000))
"""Many lines, in no time."""
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd.compress,
}
"""By the end of the file's name."""


def write(path: Path, content: bytes = b"https://a.example/\n") -> Path:
    """Write a file and the folders above it; return its path."""
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(content)
    return path


def write_all(*paths: Path) -> None:
    """Write files of one line."""
    for path in paths:
        write(path)


def write_packed(path: Path, content: bytes) -> Path:
    """Write a file, compressed as its name says; return its path."""
    return write(path, COMPRESSORS.get(path.suffix[1:], bytes)(content))


def write_lines(path: Path, lines: Iterable[str]) -> Path:
    """Write a file of lines, each with its newline; return its path."""
    return write(path, "".join(f"{line}\n" for line in lines).encode())


def read_real_lines(corpora: Path, n: int) -> list[str]:
    """Return the first lines of the real corpus."""
    with lzma.open(corpora / "urls_1m.txt.xz", "rt", encoding="utf-8", errors="strict") as lines:
        return [line.rstrip("\n") for line in islice(lines, n)]


def read_whole(source: Source, chunk_bytes: int = 2**20) -> bytes:
    """Return all bytes of a source, decompressed."""
    return b"".join(read_chunks(source, Piece(0, 0, None), chunk_bytes))


def snapshot(path: Path) -> dict[str, bytes]:
    """Return the content of a file, or of all files under a folder, by path from there."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): file.read_bytes() for file in files}
