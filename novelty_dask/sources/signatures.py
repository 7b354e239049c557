"""Recognition of files that are not text in UTF-8, by their names and first bytes."""

import re

from novelty_dask.errors import InputError

HEAD_BYTES = 512
"""Enough to include the mark of a tar archive."""
ARCHIVE = re.compile(r"\.(zip|tar(\.\w+)?|tgz|tbz2?|txz|tzst|7z|rar)$", re.IGNORECASE)
TAR_MARK = slice(257, 262)
COLUMNAR_MARKS = {b"PAR1": "parquet", b"ARROW1": "arrow"}
"""Beginnings of files of tables, and their formats."""
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
"""Byte order marks of UTF-16; that of little-endian UTF-32 begins like one."""
CONTROLS = bytes([*range(7), 11, *range(14, 27), *range(28, 32), 127])
"""Bytes that text of any encoding hardly has: controls, but for white space, bell, backspace and ESC."""
LEAST_CONTROLS = 32
"""Fewer of them make no file binary, however short it is."""
TEXT_BYTES = 16
"""Bytes of text for each of them that a file with more of them is not; random bytes have one in ten."""

NAME_COLUMN = "name the column to score, as in --column url, and the file itself, uncompressed"
KINDS = {
    b"PK\x03\x04": "an archive; unpack it and name its files",
    b"7z\xbc\xaf\x27\x1c": "an archive; unpack it and name its files",
    b"Rar!\x1a\x07": "an archive; unpack it and name its files",
    b"\x1f\x8b": "compressed with gzip more than once; decompress it",
    b"BZh": "compressed with bzip2 more than once; decompress it",
    b"\xfd7zXZ\0": "compressed with xz more than once; decompress it",
    b"\x28\xb5\x2f\xfd": "compressed with zstd more than once; decompress it",
    b"\x04\x22\x4d\x18": "compressed with lz4; decompress it",
    b"\x1f\x9d": "compressed with compress; decompress it",
    b"\xff\x06\0\0sNaPpY": "compressed with snappy; decompress it",
    b"PAR1": f"a Parquet file; {NAME_COLUMN}",
    b"ARROW1": f"an Arrow file; {NAME_COLUMN}",
    b"SQLite format 3\0": "a database; write its URLs as text, one a line",
    b"%PDF-": "a PDF file; write its URLs as text, one a line",
    b"\x7fELF": "a program; name a file of URLs, one a line",
    b"\x89PNG": "an image; name a file of URLs, one a line",
    b"\xff\xd8\xff": "an image; name a file of URLs, one a line",
}
"""Beginnings of files of other formats, and what to tell the user."""


def check_name(name: str) -> None:
    """Refuse an archive by its name.

    Raises
    ------
    InputError
        The name is that of an archive.
    """
    if ARCHIVE.search(name):
        message = f"{name!r} is an archive; unpack it and name its files."
        raise InputError(message)


def check_head(name: str, head: bytes) -> None:
    """Refuse a file that does not begin like text.

    Parameters
    ----------
    name : str
        Name to use in the message, in quotes.
    head : bytes
        Its first bytes, decompressed; at least `HEAD_BYTES` unless it is shorter.

    Raises
    ------
    InputError
        It is an archive, compressed, of a binary format, or in UTF-16.
    """
    if kind := _kind(head):
        message = f"{name} is {kind}."
        raise InputError(message)


def check_text(name: str, beginning: bytes) -> None:
    """Refuse a file that is not text, or whose only newlines are those of old Macintosh computers.

    Parameters
    ----------
    name : str
        Name to use in the message, in quotes.
    beginning : bytes
        Its first bytes, decompressed, more than the longest line; or all of them.

    Raises
    ------
    InputError
        As for `check_head`; or it is binary, or lines end in CR alone.
    """
    check_head(name, beginning)
    if _is_binary(beginning):
        message = f"{name} is binary; name a file of URLs as text, one a line."
        raise InputError(message)
    if b"\n" not in beginning and b"\r" in beginning.strip(b"\r"):
        message = f"{name} is text whose lines end in CR alone; convert it to LF or CRLF."
        raise InputError(message)


def _kind(head: bytes) -> str | None:
    """Return what a file is that holds no lines of UTF-8, and the remedy; None if it may be text."""
    # A tar archive begins with the name of its first file, and has its mark behind it.
    if head[TAR_MARK] == b"ustar":
        return KINDS[b"PK\x03\x04"]
    if head.startswith(UTF16_MARKS):
        return "UTF-16 text; convert it to UTF-8"
    return next((kind for mark, kind in KINDS.items() if head.startswith(mark)), None)


def _is_binary(beginning: bytes) -> bool:
    """Return whether most lines hold bytes that text hardly has, and there are many of these."""
    n_controls = len(beginning) - len(beginning.translate(None, CONTROLS))
    if n_controls < max(LEAST_CONTROLS, len(beginning) / TEXT_BYTES):
        return False
    # Not by their number alone: a crash may leave a block of NUL bytes, which is one line, between good ones.
    lines = beginning.removesuffix(b"\n").split(b"\n")
    return 2 * sum(line != line.translate(None, CONTROLS) for line in lines) > len(lines)
