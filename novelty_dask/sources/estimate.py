"""How many lines some sources hold, judged by the beginning of each, and what it takes to read them."""

from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import NamedTuple

from novelty_dask.errors import reading_errors
from novelty_dask.sources.decompress import DAMAGED, FORMATS, decompress
from novelty_dask.sources.find import STDIN, Source
from novelty_dask.sources.folders import file_system

SAMPLE_BYTES = 2**18
LARGEST_TEXT = 2**24
"""Text looked at of a file, however well it is compressed."""
CHUNK_BYTES = 2**16
SAMPLED_SOURCES = 32
COMPRESSION_RATIO = 5
"""Bytes of text for a stored byte of a compressed file, before a look at it."""


class Estimate(NamedTuple):
    """About how much a file holds."""

    n_lines: float
    n_text: float


def estimate_lines(sources: Sequence[Source]) -> tuple[int, int, int]:
    """About how many lines, and bytes of text, some sources hold, and bytes held to decompress them.

    Standard input counts as nothing, as it can't be looked at twice.
    """
    files = [source for source in sources if source.url != STDIN]
    if not files:
        return 0, 0, 0
    every = -(-len(files) // SAMPLED_SOURCES)
    sampled = files[::every]
    estimates = [_estimate(source) for source in sampled]
    scale = sum(source.n_bytes for source in files) / max(sum(source.n_bytes for source in sampled), 1)
    n_lines, n_text = (scale * sum(figures) for figures in zip(*estimates, strict=True))
    return round(n_lines), round(n_text), held_bytes(files)


def text_bytes(sources: Iterable[Source]) -> int:
    """Return about how many bytes of text some sources hold, by their sizes alone.

    >>> text_bytes([Source("a.gz", 9, "gzip"), Source("b.txt", 9, None)])
    54
    """
    return sum(source.n_bytes * (COMPRESSION_RATIO if source.compression else 1) for source in sources)


def held_bytes(sources: Iterable[Source]) -> int:
    """Most bytes that a task holds to decompress one of some sources.

    A member of a file says what it needs, but the next may need more, so this is what any may.

    >>> held_bytes([Source("a.gz", 9, "gzip"), Source("b.txt", 9, None)])
    0
    >>> held_bytes([Source("a.xz", 9, "xz")])
    135266304
    """
    return max(
        (FORMATS[source.compression].held_bytes for source in sources if source.compression), default=0
    )


def _estimate(source: Source) -> Estimate:
    """Count the lines at the beginning of a file, and suppose that the rest is like it.

    Raises
    ------
    InputError
        Not even that can be read.
    """
    with reading_errors(f"Can't read {source.url!r}"):
        fs, path = file_system(source.url)
        with fs.open(path, "rb") as stored:
            head = stored.read(SAMPLE_BYTES)
        n_lines, n_text = _count(head, source)
    scale = max(source.n_bytes / max(len(head), 1), 1)
    return Estimate(scale * n_lines, scale * n_text)


def _count(head: bytes, source: Source) -> tuple[int, int]:
    """Lines and bytes of text of a file that begins so; that it is cut there is no fault."""
    n_lines, n_text, end = 0, 0, b"\n"
    try:
        for chunk in _text(head, source.compression):
            n_lines, n_text, end = n_lines + chunk.count(b"\n"), n_text + len(chunk), chunk[-1:]
            if n_text >= LARGEST_TEXT:
                break
    except (OSError, *DAMAGED):
        if len(head) == source.n_bytes:
            raise
    return n_lines + (end != b"\n"), n_text


def _text(head: bytes, compression: str | None) -> Iterable[bytes]:
    """The text in the first bytes of a file."""
    return decompress(BytesIO(head), compression, CHUNK_BYTES) if compression else filter(None, [head])
