"""Sizes of decoded chunks, as their heads announce them, checked before anything is decoded.

A decoder makes room for whatever the head of a chunk announces, and 90 kB can announce 1 GiB.  So a chunk
that announces another size than its array has is never decoded.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from novelty_dask.planning.arrays import ArraySpec

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHECKSUM_BYTES = 4
COUNT_BYTES = 4
"""Bytes of the number before all texts of a chunk, and of the length before each."""
BLOSC_SIZES = slice(4, 16)
"""Where Blosc stores the bytes decoded, the bytes of a block, and the bytes stored, each in 4."""


def size_error(spec: ArraySpec, data: bytes) -> str | None:
    """Return what is wrong with the announced size of a stored chunk; None if nothing is.

    Parameters
    ----------
    spec : ArraySpec
        Its array.
    data : bytes
        The whole chunk as stored.
    """
    least, most = _expected(spec)
    found = _ANNOUNCED[spec.codecs](data, math.prod(spec.chunk_shape))
    if found is None:
        return "does not say how large it is"
    if not least <= found <= most:
        return f"would be {found:,} bytes large instead of {most:,}"
    return None


def _expected(spec: ArraySpec) -> tuple[int, int]:
    """Return the least and most bytes of a chunk that is decoded."""
    n = math.prod(spec.chunk_shape)
    if spec.codecs == "text":
        return COUNT_BYTES * (1 + n), COUNT_BYTES * (1 + n) + n * spec.text_bytes
    n_bytes = n * np.dtype(spec.dtype).itemsize
    return n_bytes, n_bytes


def _of_blosc(data: bytes, _n: int) -> int | None:
    """Return the bytes that Blosc announces; None if they make no sense."""
    if len(data) < BLOSC_SIZES.stop:
        return None
    decoded, _, stored = np.frombuffer(data[BLOSC_SIZES], "<u4").tolist()
    return int(decoded) if stored == len(data) else None


def _of_checked_blosc(data: bytes, n: int) -> int | None:
    """Return the bytes that Blosc announces, with a checksum behind it."""
    return _of_blosc(data[:-CHECKSUM_BYTES], n)


def _of_text(data: bytes, n: int) -> int | None:
    """Return the bytes that one frame of Zstandard announces; None if it holds another number of texts."""
    frame = data[:-CHECKSUM_BYTES]
    try:
        # A second frame behind the first would be decoded, too, and its size is announced nowhere.
        if zstd.get_frame_size(frame) != len(frame):
            return None
        # Four bytes and no more: whatever the frame announces, it costs nothing to read its count.
        count = zstd.ZstdDecompressor().decompress(frame, COUNT_BYTES)
        n_bytes: int | None = zstd.get_frame_info(frame).decompressed_size
    except zstd.ZstdError:
        return None
    return n_bytes if int.from_bytes(count, "little") == n else None


_ANNOUNCED: dict[str, Callable[[bytes, int], int | None]] = {
    "numbers": _of_checked_blosc,
    "indices": _of_blosc,
    "weights": lambda data, _n: len(data),
    "text": _of_text,
}
"""By the codecs of `layout.CODECS`."""
