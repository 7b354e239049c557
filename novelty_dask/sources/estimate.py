"""Estimates of the records that sources hold, by a look at the beginning of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

from novelty_dask.errors import reading_errors
from novelty_dask.planning.budget import Extent
from novelty_dask.sources.decompress import COMPRESSIONS, DAMAGED, decompress
from novelty_dask.sources.folders import file_system
from novelty_dask.sources.ranges import read_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from novelty_dask.sources.find import Source

ESTIMATE_BYTES = 2**18
"""Stored bytes to read from the beginning of a file, at least."""
COMPRESSED_BYTES = 2**21
"""Stored bytes to read of all compressed files together, if that is more."""
LARGEST_TEXT = 2**24
"""Most bytes of text to look at in a file, however well it is compressed."""
TEXT_CHUNK_BYTES = 2**16
SAMPLED_SOURCES = 32
"""Most sources that are looked at, as each costs a request where they are in an object store."""
COMPRESSION_RATIO = 5
"""Bytes of text for a stored byte of a compressed file, assumed without a look at it."""


class Estimate(NamedTuple):
    """Estimated records and bytes of text of a file, or of a part of it."""

    n_lines: float
    n_bytes: float


Measure = Callable[[str, Iterator[bytes]], Iterator[Estimate]]
"""Takes a name for messages and chunks of text; yields the records in the next chunks."""


def estimate_records(sources: Sequence[Source], estimate: Callable[[Source, int], Estimate]) -> Extent:
    """Return about how many records and bytes of text sources hold, and the bytes held to decompress them.

    Standard input counts as empty, as it can't be read twice.

    Parameters
    ----------
    sources : sequence of Source
    estimate : callable
        Takes a source and a number of stored bytes to look at.
    """
    files = [source for source in sources if not source.is_stream]
    if not files:
        return Extent(0, 0)
    sampled = files[:: -(-len(files) // SAMPLED_SOURCES)]
    head_bytes = max(COMPRESSED_BYTES // len(sampled), ESTIMATE_BYTES)
    estimates = [estimate(source, head_bytes if source.compression else ESTIMATE_BYTES) for source in sampled]
    scale = sum(source.n_bytes for source in files) / max(sum(source.n_bytes for source in sampled), 1)
    n_lines, n_bytes = (scale * sum(numbers) for numbers in zip(*estimates, strict=True))
    return Extent(round(n_lines), round(n_bytes), decompressor_bytes(files))


def text_bytes(sources: Iterable[Source]) -> int:
    """Return about how many bytes of text sources hold, by their sizes alone.

    >>> from novelty_dask.sources.find import Source
    >>> text_bytes([Source("a.gz", 9, "gzip"), Source("b.txt", 9, None)])
    54
    """
    return sum(source.n_bytes * (COMPRESSION_RATIO if source.compression else 1) for source in sources)


def decompressor_bytes(sources: Iterable[Source]) -> int:
    """Return the most bytes that a task holds to decompress any of some sources.

    >>> from novelty_dask.sources.find import Source
    >>> decompressor_bytes([Source("a.gz", 9, "gzip"), Source("b.txt", 9, None)])
    0
    >>> decompressor_bytes([Source("a.xz", 9, "xz")])
    135266304
    """
    # A member states the memory that it needs, but the next one may need more: the maximum is assumed.
    compressions = {source.compression for source in sources if source.compression}
    return max((COMPRESSIONS[compression].decompressor_bytes for compression in compressions), default=0)


def estimate_stream(source: Source, head_bytes: int, measure: Measure) -> Estimate:
    """Measure the records at the beginning of a file, and assume that the rest is like the end of that.

    Parameters
    ----------
    source : Source
    head_bytes : int
        Stored bytes to look at.
    measure : callable
        Takes a name for messages and chunks of text, and yields the records in the next of these.

    Raises
    ------
    InputError
        The beginning can't be read.
    """
    with reading_errors(f"Can't read {source.shown}"):
        fs, path = file_system(source.url)
        with fs.open(path, "rb") as stored:
            head = stored.read(head_bytes)
        points = _measure(head, source, measure)
    last = max(points)
    if len(head) == source.n_bytes:
        return points[last]
    # Compression improves while the decompressor learns what repeats: the first bytes hold less text than
    # those behind them, by up to a quarter in .xz.  So the rest is taken to be like the second half.
    first = min((point for point in points if last / 2 <= point < last), default=0)
    factor = (source.n_bytes - last) / max(last - first, 1)
    return Estimate(
        *(now + factor * (now - before) for now, before in zip(points[last], points[first], strict=True))
    )


def _measure(head: bytes, source: Source, measure: Measure) -> dict[int, Estimate]:
    """Measure the records in the first bytes of a file, by the number of stored bytes that were read."""
    file, counted = BytesIO(head), Estimate(0, 0)
    # Some decompressors return text a block at a time: text and stored bytes agree when they do.
    points = {0: counted}
    try:
        for found in measure(source.shown, iter(_text(file, source.compression))):
            counted = Estimate(counted.n_lines + found.n_lines, counted.n_bytes + found.n_bytes)
            points[file.tell()] = counted
            if counted.n_bytes >= LARGEST_TEXT:
                break
    except (OSError, *DAMAGED):
        # The head is cut anywhere, so an error at its end is expected, unless it is the whole file.
        if len(head) == source.n_bytes:
            raise
    return points


def _text(file: BytesIO, compression: str | None) -> Iterable[bytes]:
    """Yield the text in the first bytes of a file."""
    return decompress(file, compression, TEXT_CHUNK_BYTES) if compression else read_all(file, LARGEST_TEXT)
