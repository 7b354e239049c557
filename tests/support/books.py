"""What a reader makes of some bytes: records by position, rejected ones, and lines that are neither."""

from collections.abc import Iterable
from typing import NamedTuple

from novelty_dask.kernels.text.lines import LineBatch
from novelty_dask.readers.readers import StreamReader


class Books(NamedTuple):
    """Texts and reasons of records by their lines, and the number of all lines."""

    texts: dict[int, str]
    reasons: dict[int, str]
    n_lines: int


def scan(reader: StreamReader, content: bytes, chunk_bytes: int = 2**18) -> Books:
    """Read a source in chunks of a size."""
    chunks = (content[start : start + chunk_bytes] for start in range(0, len(content), chunk_bytes))
    return keep_books(reader.scan("'a'", chunks, is_start=True))


def keep_books(batches: Iterable[LineBatch]) -> Books:
    """Return what became of the records of batches; every line has at most one fate."""
    texts: dict[int, str] = {}
    reasons: dict[int, str] = {}
    n_lines = 0
    for batch in batches:
        assert batch.n_skipped >= 0
        texts |= dict(zip(batch.numbers.tolist(), batch.texts, strict=True))
        reasons |= {each.number: str(each.reason) for each in batch.rejected}
        assert all(
            n_lines <= number for number in [*batch.numbers, *(each.number for each in batch.rejected)]
        )
        n_lines += batch.n_lines
        assert all(number < n_lines for number in [*texts, *reasons])
    assert not {*texts} & {*reasons}
    return Books(texts, reasons, n_lines)
