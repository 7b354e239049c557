"""How many lines some sources hold, judged by the beginning of each."""

from collections.abc import Sequence
from typing import NamedTuple

import fsspec
from fsspec.compression import compr

from novelty_dask.errors import InputError
from novelty_dask.storage.sources import STDIN, UNREADABLE, Source

SAMPLE_BYTES = 2**20
SAMPLED_SOURCES = 32
COMPRESSION_RATIO = 5
"""Bytes of text for a stored byte of a compressed file, before a look at it."""


class Estimate(NamedTuple):
    """About how much a file holds."""

    n_lines: float
    n_text: float


def estimate_lines(sources: Sequence[Source]) -> tuple[int, int]:
    """About how many lines, and bytes of text, some sources hold.

    Standard input counts as nothing, as it can't be looked at twice.
    """
    files = [source for source in sources if source.url != STDIN]
    if not files:
        return 0, 0
    every = -(-len(files) // SAMPLED_SOURCES)
    sampled = files[::every]
    estimates = [_estimate(source) for source in sampled]
    scale = sum(source.n_bytes for source in files) / max(sum(source.n_bytes for source in sampled), 1)
    n_lines, n_text = (scale * sum(figures) for figures in zip(*estimates, strict=True))
    return round(n_lines), round(n_text)


def _estimate(source: Source) -> Estimate:
    """Count the lines at the beginning of a file, and suppose that the rest is like it.

    Raises
    ------
    InputError
        Not even that can be read.
    """
    try:
        with fsspec.open(source.url, "rb") as stored:
            file = compr[source.compression](stored, mode="rb") if source.compression else stored
            text = file.read(SAMPLE_BYTES)
            n_read = stored.tell()
    except UNREADABLE as error:
        message = f"Can't read {source.url!r}: {getattr(error, 'strerror', None) or error}."
        raise InputError(message) from None
    n_lines = text.count(b"\n") + (not text.endswith(b"\n") and bool(text))
    scale = 1 if len(text) < SAMPLE_BYTES else max(source.n_bytes / n_read, 1)
    return Estimate(scale * n_lines, scale * len(text))
