"""Files that tests read as sources, plain and compressed."""

import bz2
import gzip
import lzma
import sys
from collections.abc import Callable
from pathlib import Path

from novelty_dask.sources.find import Source
from novelty_dask.sources.pieces import Piece, read_chunks

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

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


def read_whole(source: Source, chunk_bytes: int = 2**20) -> bytes:
    """Return all bytes of a source, decompressed."""
    return b"".join(read_chunks(source, Piece(0, 0, None), chunk_bytes))
