"""Counts of the features of URLs: 3-grams of the host and of the rest, and whole tokens of the structure.

`novelty_dask.features.definition` defines the same readably; a test holds the two against each other.  Each
block of features has its own range of columns, so that a column tells its block.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from novelty_dask.kernels.accelerate import compiled_loop
from novelty_dask.kernels.text.bucket_sort import allocate_buckets, sort_keys
from novelty_dask.kernels.text.counting import (
    Counts,
    Texts,
    allocate_counts,
    append_row,
    bits_of,
    encode_texts,
    filled_matrix,
)
from novelty_dask.kernels.text.masks import LOWER, decode_and_mask, mask
from novelty_dask.kernels.text.url_hashes import FNV_SEED, add_unit, hash_column, hash_set, hash_units
from novelty_dask.kernels.text.url_parts import (
    AND,
    DOT,
    EQUALS,
    SHARP,
    SLASH,
    Parts,
    is_ipv4,
    is_punycode,
    split_url,
)

START, END = 2, 3
"""Marks of the start and the end of a part, bytes that URLs don't have."""
DIRECTORIES = 6
"""Directories of a path that are features, with those above them."""
OTHER_FEATURES = DIRECTORIES + 4
"""Most features of a URL that do not begin at a byte of their own, and those of the marks."""
HOST_TOKEN, DIRECTORY_TOKEN, NAMES_TOKEN, SCHEME_TOKEN, PORT_TOKEN, USER_TOKEN = b"hdqspu"


class _Ranges(NamedTuple):
    """The first column and the number of columns of each block."""

    host: np.uint64
    host_size: np.uint64
    rest: np.uint64
    rest_size: np.uint64
    tokens: np.uint64
    tokens_size: np.uint64


class _Scratch(NamedTuple):
    """Space for one URL: units of its host and of its rest, a decoded part, hashes of names, its columns."""

    host: NDArray[np.uint16]
    rest: NDArray[np.uint16]
    decoded: NDArray[np.uint8]
    names: NDArray[np.uint64]
    columns: NDArray[np.uint32]
    ordered: NDArray[np.uint32]
    buckets: NDArray[np.uint32]


def block_starts(n_features: int) -> tuple[int, int, int, int]:
    """Return the first columns of HOST, REST and TOKENS, and the number of columns.

    >>> block_starts(8)
    (0, 1, 4, 8)
    """
    return 0, n_features // 8, n_features // 2, n_features


def count_url_features(texts: Sequence[str], n_features: int) -> sp.csr_matrix:
    """Return the counts of the hashed features of each URL.

    Parameters
    ----------
    texts : sequence of str
        Lines, also such as are no URLs.
    n_features : int
        Number of columns, 8 to 2**31 - 1: an eighth for HOST, three eighths for REST, a half for TOKENS.

    Returns
    -------
    csr_matrix of float32, shape (len(texts), n_features)
        Columns ascending in each row.

    Raises
    ------
    UnicodeEncodeError
        A text has a lone surrogate, which UTF-8 can't encode.

    Examples
    --------
    >>> count_url_features(["a.example/b/c", "a.example"], 2**22).sum(axis=1).A1.tolist()
    [16.0, 12.0]
    """
    encoded = encode_texts(texts)
    # All unsigned: Numba makes a floating-point number of a signed and an unsigned one.
    host, rest, tokens, end = map(np.uint64, block_starts(n_features))
    ranges = _Ranges(host, rest - host, rest, tokens - rest, tokens, end - tokens)
    # A 3-gram begins at each byte, and a token at each label of a host, which are at most every other byte.
    most = encoded.characters.size // 2 * 3 + OTHER_FEATURES * len(texts)
    counts = allocate_counts(len(texts), most)
    _count_rows(encoded, ranges, bits_of(n_features), counts, _allocate_scratch(encoded.longest))
    return filled_matrix(counts, n_features)


def _allocate_scratch(size: int) -> _Scratch:
    """Return space for a text of up to `size` bytes."""
    # The marks, the dots around the host, and the slash of an empty path.
    host, rest = np.empty((2, size + 4), np.uint16)
    columns, ordered = np.empty((2, size // 2 * 3 + 2 * OTHER_FEATURES), np.uint32)
    names = np.empty(size + 1, np.uint64)
    return _Scratch(
        host, rest, np.empty(size, np.uint8), names, columns, ordered, allocate_buckets(columns.size)
    )


@compiled_loop
def _count_rows(texts: Texts, ranges: _Ranges, bits: int, counts: Counts, scratch: _Scratch) -> None:
    """Fill the matrix row by row."""
    for row in range(texts.ends.size - 1):
        parts = split_url(texts.characters, texts.ends[row], texts.ends[row + 1])
        n_columns = _hash_features(texts.characters, parts, ranges, scratch)
        ordered = scratch.ordered[:n_columns]
        sort_keys(scratch.columns[:n_columns], bits, ordered, scratch.buckets)
        append_row(ordered, row, counts)


@compiled_loop
def _hash_features(text: NDArray[np.uint8], parts: Parts, ranges: _Ranges, scratch: _Scratch) -> int:
    """Write the columns of all features of a URL; return how many there are."""
    count = 0
    host_end = 0
    if parts.host_stop > parts.host_start:
        host_end = _mask_host(text, parts, scratch.host)
        host = scratch.host[: host_end + 1]
        count = _hash_3grams(host, ranges.host, ranges.host_size, scratch.columns, count)
        is_whole = is_ipv4(text, parts.host_start, parts.host_stop)
        count = _hash_suffixes(scratch.host, host_end, ranges, scratch.columns, count, is_whole)
    rest_end = _mask_path(text, parts, scratch)
    if host_end:
        count = _hash_directories(scratch, host_end, rest_end, ranges, count)
    if rest_end == 1:
        scratch.rest[1] = SLASH
        rest_end = 2
    if parts.query < parts.fragment:
        rest_end, names = _mask_query(text, parts, scratch, rest_end)
        scratch.columns[count] = hash_column(names, ranges.tokens, ranges.tokens_size)
        count += 1
    if parts.fragment < parts.stop:
        scratch.rest[rest_end] = SHARP
        rest_end = decode_and_mask(
            text, parts.fragment + 1, parts.stop, scratch.decoded, scratch.rest, rest_end + 1
        )
    scratch.rest[rest_end] = END
    rest = scratch.rest[: rest_end + 1]
    count = _hash_3grams(rest, ranges.rest, ranges.rest_size, scratch.columns, count)
    return _hash_odd_parts(text, parts, ranges, scratch.columns, count)


@compiled_loop
def _mask_host(text: NDArray[np.uint8], parts: Parts, units: NDArray[np.uint16]) -> int:
    """Write a host between a start mark with a dot, and a dot; return the place of the last dot."""
    units[0], units[1] = START, DOT
    # Numbers are not random, and punycode only looks so.
    start, stop = parts.host_start, parts.host_stop
    if is_ipv4(text, start, stop) or is_punycode(text, start, stop):
        end = 2
        for i in range(start, stop):
            units[end] = LOWER[text[i]]
            end += 1
    else:
        end = mask(text, start, stop, LOWER, units, 2)
    units[end] = DOT
    return end


@compiled_loop
def _mask_path(text: NDArray[np.uint8], parts: Parts, scratch: _Scratch) -> int:
    """Write a start mark and the path; return their end."""
    # Directories are read from here, before the slash of an empty path is added.
    scratch.rest[0] = START
    return decode_and_mask(text, parts.path, parts.query, scratch.decoded, scratch.rest, 1)


@compiled_loop
def _mask_query(text: NDArray[np.uint8], parts: Parts, scratch: _Scratch, end: int) -> tuple[int, np.uint64]:
    """Append the query; return the new end and the hash of the set of its names."""
    units, count = scratch.rest, 0
    start = parts.query
    while start < parts.fragment:
        # The question mark of the first pair, and the ampersand of each other.
        units[end] = text[start]
        stop = equals = start + 1
        while stop < parts.fragment and text[stop] != AND:
            stop += 1
        while equals < stop and text[equals] != EQUALS:
            equals += 1
        name = end + 1
        end = decode_and_mask(text, start + 1, equals, scratch.decoded, units, name)
        scratch.names[count] = hash_units(FNV_SEED, units[name:end])
        count += 1
        if equals < stop:
            units[end] = EQUALS
            end = decode_and_mask(text, equals + 1, stop, scratch.decoded, units, end + 1)
        start = stop
    return end, hash_set(scratch.names[:count], NAMES_TOKEN)


@compiled_loop
def _hash_3grams(
    units: NDArray[np.uint16], first: np.uint64, size: np.uint64, columns: NDArray[np.uint32], count: int
) -> int:
    """Append the columns of all 3-grams of characters; return the new count."""
    # A character is a unit and the units 0x80 to 0xBF behind it: the bytes of one character of UTF-8.
    starts = (-1, -1, -1)
    for i in range(units.size + 1):
        if i == units.size or i == 0 or units[i] & 0xFFC0 != 0x80:
            if starts[0] >= 0:
                columns[count] = hash_column(hash_units(FNV_SEED, units[starts[0] : i]), first, size)
                count += 1
            starts = (starts[1], starts[2], i)
    return count


@compiled_loop
def _hash_suffixes(
    host: NDArray[np.uint16],
    end: int,
    ranges: _Ranges,
    columns: NDArray[np.uint32],
    count: int,
    is_whole: bool,  # noqa: FBT001 - Numba compiles no keyword-only arguments
) -> int:
    """Append a host and each of its suffixes of two labels or more; return the new count."""
    hashed, dots = add_unit(FNV_SEED, HOST_TOKEN), 0
    # From its end, so that a host of many labels takes no longer than its length.
    for i in range(end - 1, 1, -1):
        if host[i] == DOT and not is_whole:
            dots += 1
            # The last label alone is no suffix.
            if dots > 1:
                columns[count] = hash_column(hashed, ranges.tokens, ranges.tokens_size)
                count += 1
        hashed = add_unit(hashed, host[i])
    columns[count] = hash_column(hashed, ranges.tokens, ranges.tokens_size)
    return count + 1


@compiled_loop
def _hash_directories(scratch: _Scratch, host_end: int, path_end: int, ranges: _Ranges, count: int) -> int:
    """Append the host with the first directory, with the first two, and so on; return the new count."""
    hashed = hash_units(add_unit(FNV_SEED, DIRECTORY_TOKEN), scratch.host[2:host_end])
    path = scratch.rest[:path_end]
    start = 1
    for _ in range(DIRECTORIES):
        # A directory stands between two slashes; what is behind the last one is none.
        stop = start + 1
        while stop < path_end and path[stop] != SLASH:
            stop += 1
        if stop >= path_end:
            break
        hashed = hash_units(hashed, path[start:stop])
        scratch.columns[count] = hash_column(hashed, ranges.tokens, ranges.tokens_size)
        count += 1
        start = stop
    return count


@compiled_loop
def _hash_odd_parts(
    text: NDArray[np.uint8], parts: Parts, ranges: _Ranges, columns: NDArray[np.uint32], count: int
) -> int:
    """Append a scheme and a port that the web does not use, and that there is a user; return the count."""
    scheme = text[parts.start : parts.scheme_stop]
    if scheme.size and not _is_web_scheme(scheme):
        hashed = add_unit(FNV_SEED, SCHEME_TOKEN)
        for byte in scheme:
            hashed = add_unit(hashed, LOWER[byte])
        columns[count] = hash_column(hashed, ranges.tokens, ranges.tokens_size)
        count += 1
    port = text[parts.port_start : parts.port_stop]
    if port.size and not _is_web_port(port):
        hashed = add_unit(FNV_SEED, PORT_TOKEN)
        for byte in port:
            hashed = add_unit(hashed, byte)
        columns[count] = hash_column(hashed, ranges.tokens, ranges.tokens_size)
        count += 1
    if parts.has_user:
        columns[count] = hash_column(add_unit(FNV_SEED, USER_TOKEN), ranges.tokens, ranges.tokens_size)
        count += 1
    return count


@compiled_loop
def _is_web_scheme(scheme: NDArray[np.uint8]) -> bool:
    """Return whether a scheme is http or https."""
    for i, letter in enumerate(b"https"):
        if i < scheme.size and scheme[i] | 32 != letter:
            return False
    return scheme.size in (4, 5)


@compiled_loop
def _is_web_port(port: NDArray[np.uint8]) -> bool:
    """Return whether a port is 80 or 443."""
    number = 0
    for digit in port:
        number = 10 * number + digit - ord("0")
    return (number == 80 and port.size == 2) or (number == 443 and port.size == 3)
