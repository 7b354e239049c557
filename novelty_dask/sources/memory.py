r"""URLs in memory as a stream of lines, so that a run keeps them as it keeps standard input.

Each is one line, whatever is in it: a mark, and its text.  A text with newlines inside, which is no URL,
keeps its line, and so does a missing value.

>>> TextStream(["https://a.example/", None, "two\nlines"]).read(100)
b' https://a.example/\n-\n!two\\nlines\n'
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from itertools import islice
from numbers import Real
from typing import TYPE_CHECKING

from novelty_dask.errors import InputError
from novelty_dask.kernels.text.lines import MAX_BYTES, sample_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TEXT, MISSING, MALFORMED, ROW = b" ", b"-", b"!", b"="
"""Marks of lines: a text, a missing value, the beginning of a text that is no line, and that of a row."""
BATCH = 4_096
"""Texts that are encoded at once."""


class TextStream:
    """Binary file of texts, one a line, made as it is read.

    Parameters
    ----------
    texts : iterable of str
        Texts in order, also those of pandas, polars, NumPy or Arrow; missing values are None, NaN or NA.
    are_rows : bool
        True if they are those of rows of runs, which are taken as they are.

    Raises
    ------
    InputError
        They are one text, a mapping, a set or a table, which have no order of texts.
    """

    def __init__(self, texts: Iterable[object], *, are_rows: bool = False) -> None:
        self._chunks = _encode(check_texts(texts), _row if are_rows else _line)
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Return the next bytes, as many as asked for at most; none at the end."""
        data = self._rest or next(self._chunks, b"")
        self._rest = data[size:]
        return data[:size]

    def close(self) -> None:
        """Read no more."""
        self._chunks, self._rest = iter(()), b""

    def isatty(self) -> bool:
        """Return False."""
        return False


def check_texts(texts: object) -> Iterable[object]:
    """Return texts as they are; refuse what has no order of texts.

    Raises
    ------
    InputError
        It says what to pass.
    """
    kind = type(texts).__name__
    if isinstance(texts, Mapping) or len(getattr(texts, "shape", ())) > 1:
        message = f"urls takes one column of texts, not {kind}; pass the column."
        raise InputError(message)
    if isinstance(texts, str | bytes | bytearray) or not isinstance(texts, Iterable):
        message = f"urls takes several URLs, not {kind}; pass a list of texts."
        raise InputError(message)
    if isinstance(texts, Set):
        message = "A set has no order, which the result would depend on; pass urls=sorted(...)."
        raise InputError(message)
    return texts


def _encode(texts: Iterable[object], line: Callable[[int, object], bytes]) -> Iterator[bytes]:
    """Yield texts as lines, many at once."""
    numbered = enumerate(texts)
    while batch := [*islice(numbered, BATCH)]:
        yield b"".join(line(number, text) for number, text in batch)


def _row(_number: int, text: object) -> bytes:
    """Return the line of the text of a row."""
    return ROW + str(text).encode() + b"\n"


def _line(number: int, value: object) -> bytes:
    """Return the line of a text."""
    if hasattr(value, "as_py"):
        # A scalar of Arrow.
        value = value.as_py()
    if isinstance(value, str):
        # A lone surrogate is no text, and the line is rejected as what it is.
        raw = value.strip().encode("utf-8", "surrogatepass")
        if b"\n" in raw:
            return MALFORMED + sample_of(raw).encode() + b"\n"
        # One byte more shows that it is too long.  Whole, a very long text would end the copy as a stream
        # without lines.
        return TEXT + raw[: MAX_BYTES + 1] + b"\n"
    # By the names of their types, as pandas need not be imported for this.
    is_missing = value is None or type(value).__name__ in ("NAType", "NaTType")
    if is_missing or (isinstance(value, Real) and math.isnan(value)):
        return MISSING + b"\n"
    message = f"urls takes texts, and number {number:,} (from 0) is {type(value).__name__}; convert it first."
    raise InputError(message)
