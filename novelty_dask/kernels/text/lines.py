r"""Lines of text from chunks of bytes, with a reason for each line that is rejected.

A stream is read in chunks of any sizes.  A line ends with LF or CRLF; the last one may lack its end; a UTF-8
byte order mark at the start of a file is not part of the first line.  The lines do not depend on where the
chunks were cut.

No line is dropped silently, and none can exhaust memory: of a line over the limit, just enough is kept to
show that it is over, and its batch names it with its number, a `Reason` and a sample that is safe to print.

>>> [batch] = read_lines([b"https://a.example/\nhttps://b.example/\n\xff\n"])
>>> batch.texts
['https://a.example/', 'https://b.example/']
>>> batch.rejected
[Rejected(number=2, reason=<Reason.INVALID_UTF8: 'invalid-utf8'>, sample='\\xff')]
"""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from itertools import compress
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 8192
"""Longest line that is accepted, without its end."""
KEPT_CHARACTERS = 1_000
"""Most characters of a further field of a record that a row keeps."""
REJECTED_SAMPLE_BYTES = 80
"""First bytes of a rejected line that are kept to show it."""
_BOM = b"\xef\xbb\xbf"


class Reason(StrEnum):
    """Reason why a line is not a row of the corpus; the values are stored in runs and stay as they are."""

    BLANK = "blank"
    TOO_LONG = "too-long"
    NUL = "nul"
    INVALID_UTF8 = "invalid-utf8"
    NOT_A_URL = "not-a-url"
    MALFORMED = "malformed"
    MISSING = "missing"
    COMMENT = "comment"
    NO_TIME = "no-time"
    BAD_TIME = "bad-time"


class Rejected(NamedTuple):
    """A line that was not accepted.

    Parameters
    ----------
    number : int
        Position of the line in its stream, from 0.
    reason : Reason
        Reason why it was not accepted.
    sample : str
        Its first 80 bytes in printable ASCII: everything else, and the backslash, is escaped with a
        backslash.
    """

    number: int
    reason: Reason
    sample: str


class LineBatch(NamedTuple):
    """Consecutive lines of a stream, accepted and rejected.

    Parameters
    ----------
    numbers : ndarray of int64, shape (n_accepted,)
        Position of each accepted line in the stream, from 0, ascending.
    texts : list of str
        The accepted lines, without surrounding white space.
    rejected : list of Rejected
        The lines that are rejected, ascending.
    n_lines : int
        Number of lines of the batch: also of those that are neither, such as the header of a table.
    kept : list of str, optional
        For each accepted line, further fields of its record, as a list in JSON.
    times : ndarray of int64, shape (n_accepted,), optional
        Microseconds since 1970 of each accepted line.
    """

    numbers: NDArray[np.int64]
    texts: list[str]
    rejected: list[Rejected]
    n_lines: int
    kept: list[str] | None = None
    times: NDArray[np.int64] | None = None

    def changed(self, change: Callable[[str], str]) -> "LineBatch":
        """Return the batch with its texts changed."""
        return self._replace(texts=[*map(change, self.texts)])

    def chosen(self, is_accepted: NDArray[np.bool_], rejected: list[Rejected]) -> "LineBatch":
        """Return the batch with some of the accepted lines, and others among the rejected ones."""
        return LineBatch(
            self.numbers[is_accepted],
            [*compress(self.texts, is_accepted)],
            sorted([*self.rejected, *rejected]),
            self.n_lines,
            None if self.kept is None else [*compress(self.kept, is_accepted)],
            None if self.times is None else self.times[is_accepted],
        )

    @property
    def n_skipped(self) -> int:
        """Number of lines that are neither accepted nor rejected."""
        return self.n_lines - len(self.texts) - len(self.rejected)


def read_lines(
    chunks: Iterable[bytes], max_bytes: int = MAX_BYTES, *, first_chunk_is_start: bool = True
) -> Iterator[LineBatch]:
    r"""Decode a stream into batches of lines, about one for each chunk.

    Parameters
    ----------
    chunks : iterable of bytes
        Consecutive pieces of the stream, of any sizes.
    max_bytes : int, default 8192
        Longest line to accept, without its end.
    first_chunk_is_start : bool, default True
        True if the stream starts where its file does; a byte order mark there is dropped.

    Yields
    ------
    LineBatch
        The next lines; together the batches hold every line of the stream.

    Examples
    --------
    >>> [batch.texts for batch in read_lines([b"a.example/1\r\na.exam", b"ple/2"])]
    [['a.example/1'], ['a.example/2']]
    """
    start = 0
    for raws in split_lines(chunks, max_bytes, first_chunk_is_start=first_chunk_is_start):
        yield _decode_batch(raws, start, max_bytes)
        start += len(raws)


def split_lines(
    chunks: Iterable[bytes], max_bytes: int = MAX_BYTES, *, first_chunk_is_start: bool = True
) -> Iterator[list[bytes]]:
    r"""Cut a stream into raw lines, one list for each chunk in which a line ends.

    Parameters
    ----------
    chunks : iterable of bytes
        Consecutive pieces of the stream, of any sizes.
    max_bytes : int, default 8192
        Longest line to keep whole, without its end.
    first_chunk_is_start : bool, default True
        True if the stream starts where its file does; a byte order mark there is dropped.

    Yields
    ------
    list of bytes
        The next lines, at least one, without LF or CRLF.

    Examples
    --------
    >>> list(split_lines([b"one\r\ntw", b"o\nthree"]))
    [[b'one'], [b'two'], [b'three']]
    """
    # A line of more than `max_bytes` may lose its end, but stays longer than `max_bytes`, with or without the
    # mark and the CR, so that `decode_line` refuses it.  Memory is bounded by one chunk and one such line.
    bom = _BOM if first_chunk_is_start else b""
    for raws in _split_at_newlines(chunks, max(max_bytes, REJECTED_SAMPLE_BYTES) + len(_BOM + b"\r") + 1):
        raws[0] = raws[0].removeprefix(bom)
        bom = b""
        yield [raw.removesuffix(b"\r") for raw in raws]


def decode_line(raw: bytes, max_bytes: int = MAX_BYTES) -> str | Reason:
    r"""Return the text of a line without surrounding white space, or the reason to reject it.

    Parameters
    ----------
    raw : bytes
        A line without its end.
    max_bytes : int, default 8192
        Longest line to accept.

    Returns
    -------
    str or Reason
        Test for ``isinstance(result, Reason)``, as a `Reason` is a str too.

    Examples
    --------
    >>> decode_line(b" https://example.org/ ")
    'https://example.org/'
    >>> decode_line(b"\xff")
    <Reason.INVALID_UTF8: 'invalid-utf8'>
    >>> decode_line(b"# feed"), decode_line(b"#/route")
    (<Reason.COMMENT: 'comment'>, '#/route')
    """
    if len(raw) > max_bytes:
        return Reason.TOO_LONG
    # Before it is decoded, as NUL is valid UTF-8.
    if b"\0" in raw:
        return Reason.NUL
    try:
        # All that `str.isspace` counts, and not only ASCII's: what is not seen must not make two URLs of one.
        text = raw.decode().strip()
    except UnicodeDecodeError:
        return Reason.INVALID_UTF8
    if text.startswith("#") and is_comment(raw):
        return Reason.COMMENT
    return text or Reason.BLANK


def is_comment(raw: bytes) -> bool:
    """Return whether a line is a comment: ``#``, and white space, more of these, or nothing behind it.

    >>> [is_comment(raw) for raw in (b"# feed", b"####", b"#", b"#/route", b"#!section")]
    [True, True, True, False, False]
    """
    rest = raw.lstrip()
    return rest.startswith(b"#") and (len(rest.rstrip()) == 1 or rest[1:2] in b"# \t")


def sample_of(raw: bytes) -> str:
    r"""Return the first 80 bytes of a line as text that is safe for a terminal.

    Parameters
    ----------
    raw : bytes
        A line of any length and content.

    Returns
    -------
    str
        Printable ASCII; everything else, and the backslash, is escaped with a backslash.

    Examples
    --------
    >>> sample_of(b"caf\xe9 \x1b[31m")
    'caf\\xe9 \\x1b[31m'
    """
    return raw[:REJECTED_SAMPLE_BYTES].decode("latin-1").encode("unicode_escape").decode("ascii")


def _split_at_newlines(chunks: Iterable[bytes], max_kept: int) -> Iterator[list[bytes]]:
    """Cut a stream at LF, and a line that spans chunks after `max_kept` bytes."""
    carry = b""
    for chunk in chunks:
        # Once a line has reached its limit, what follows of it is not joined to it: an endless line costs no
        # copy.
        rest = chunk if len(carry) < max_kept else b"".join(chunk.partition(b"\n")[1:])
        raws = (carry + rest).split(b"\n")
        carry = raws.pop()[:max_kept]
        if raws:
            yield raws
    if carry:
        yield [carry]


def _decode_batch(raws: list[bytes], start: int, max_bytes: int) -> LineBatch:
    """Decode consecutive lines, numbered from `start` on."""
    decoded = [decode_line(raw, max_bytes) for raw in raws]
    rejected = [
        Rejected(start + i, text, sample_of(raws[i]))
        for i, text in enumerate(decoded)
        if isinstance(text, Reason)
    ]
    numbers = np.arange(start, start + len(raws))
    if rejected:
        numbers = np.delete(numbers, [reject.number - start for reject in rejected])
        decoded = [text for text in decoded if not isinstance(text, Reason)]
    return LineBatch(numbers, decoded, rejected, len(raws))
