"""Bytes that are not UTF-8, written as URLs write bytes."""

import codecs
from collections.abc import Iterable, Iterator

HANDLER = "novelty-percent"


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Return bytes that can't be decoded as ``%XX``, and where to go on."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(f"%{byte:02X}" for byte in error.object[error.start : error.end]), error.end


codecs.register_error(HANDLER, _escape)


def escape_invalid(chunks: Iterable[bytes]) -> Iterator[bytes]:
    r"""Yield text in which bytes that are not UTF-8 are written as ``%XX``.

    Parameters
    ----------
    chunks : iterable of bytes
        Consecutive pieces of a text, cut anywhere.

    Examples
    --------
    >>> b"".join(escape_invalid([b"caf\xe9 \xc3", b"\xbc"])).decode()
    'caf%E9 ü'
    """
    decoder = codecs.getincrementaldecoder("utf-8")(HANDLER)
    for chunk in chunks:
        if text := decoder.decode(chunk):
            yield text.encode()
    # What is left is the beginning of a character.
    if rest := decoder.decode(b"", final=True):
        yield rest.encode()
