"""The readable definition of the features of URLs, version 2.

`novelty_dask.kernels.text.url_features` computes the same features quickly; a test holds the two against each
other.  Here each feature also has the places in the line that it comes from.

All rules work on the bytes of the line in UTF-8, and know ASCII letters and digits only.  What is compared is
never what is shown: masks, lower case and decoding change no line.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

from novelty_dask.features.masks import LOWER, mask, mask_rest
from novelty_dask.features.spanned import Spanned

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HOST, REST, TOKENS = "host", "rest", "tokens"
"""Blocks: 3-grams of the host; 3-grams of path, query and fragment; whole tokens of the structure."""
START, END = "\x02", "\x03"
DIRECTORIES = 6
MASK_64 = 2**64 - 1

# Anchored, so that a search takes linear time too, whatever the line.
_AUTHORITY = re.compile(r"\A(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):)?//(?P<authority>[^/?#]*)")
_FIRST_PART = re.compile(r"\A[^/?#]*")
_BARE_HOST = re.compile(
    r"""\A(?: \[[0-9A-Fa-f:.]+\] | (?!\[) (?=[^.]*\.) [^\s:,;()<>"']* [^\s:,;()<>"'.] )\Z""", re.A | re.X
)
_PORT = re.compile(r":([0-9]*)\Z")
_IPV4 = re.compile(r"\A(?:[0-9]+\.){3}[0-9]+\Z")
# A character of UTF-8: a byte or a placeholder, and the continuation bytes behind it.
_CHARACTER = re.compile(r".[\x80-\xbf]*", re.S)


class Feature(NamedTuple):
    """One feature of a line.

    Parameters
    ----------
    block : {"host", "rest", "tokens"}
    key : str or tuple of str
        A 3-gram, a token, or ``q`` and the set of the names of a query in order.
    spans : tuple of (int, int)
        Bytes of the line that it comes from; none of a mark or of a slash that the line does not have.
    """

    block: str
    key: str | tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


class UrlParts(NamedTuple):
    """Parts of a line; query and fragment with their mark, and empty if they are missing."""

    scheme: Spanned
    user: Spanned
    host: Spanned
    port: Spanned
    path: Spanned
    query: Spanned
    fragment: Spanned


def split(line: str) -> UrlParts:
    """Return the parts of a line.

    >>> [part.text for part in split("ftp://me@a.example.:21/b?c=d#e")]
    ['ftp', 'me', 'a.example', '21', '/b', '?c=d', '#e']
    >>> [part.text for part in split("GET /b?c=d")][2:]
    ['', '', 'GET /b', '?c=d', '']
    """
    characters = line.encode().decode("latin-1")
    whole = Spanned(characters, tuple((i, i + 1) for i in range(len(characters))))
    # A byte becomes the character of its number, so that rules on bytes can be regular expressions.
    match = _AUTHORITY.match(characters)
    if match:
        scheme = whole.part(0, len(match["scheme"] or ""))
        authority, rest = whole.part(*match.span("authority")), whole.part(match.end())
    else:
        scheme, end = whole.part(0, 0), _bare_authority(characters)
        authority, rest = whole.part(0, end), whole.part(end)
    # A password may hold an at sign, a host can't.
    at = authority.text.rfind("@")
    user, host = authority.part(0, max(at, 0)), authority.part(at + 1)
    found = _PORT.search(host.text)
    port = host.part(found.start(1)) if found else host.part(0, 0)
    host = host.part(0, found.start()) if found else host
    before, sharp, behind = rest.partition("#")
    path, question, query = before.partition("?")
    host = host.part(0, len(host.text.rstrip(".")))
    return UrlParts(scheme, user, host, port, path, question + query, sharp + behind)


def _bare_authority(line: str) -> int:
    """Return the length of the authority with which a line without ``//`` begins; 0 if it has no host."""
    match = _FIRST_PART.match(line)
    authority = match[0] if match else ""
    user, _, host = authority.rpartition("@")
    is_user = not re.search(r"[\s@]", user, re.A)
    return len(authority) if is_user and _BARE_HOST.match(_PORT.sub("", host)) else 0


def features(line: str) -> list[Feature]:
    """Return all features of a line, those that it has several times as often.

    >>> [feature.key for feature in features("https://a.example/b/?c=1") if feature.block == TOKENS]
    ['ha.example', 'da.example/b', ('q', 'c')]
    """
    parts = split(line)
    found: list[Feature] = []
    known = mask_host(parts.host)
    if known.text:
        found += grams(HOST, _virtual(START + ".") + known + _virtual("."))
        found += _suffixes(parts.host.text, known)
        found += _directories(known, mask_rest(parts.path))
    rest = mask_rest(parts.path) if parts.path.text else _virtual("/")
    if parts.query.text:
        query, names = _mask_query(parts.query)
        rest += query
        # The order of a query means nothing, and neither do names that come twice.
        keys = tuple(sorted({name.text for name in names}))
        places = sum(names, _virtual(""))
        found.append(_token(("q", *keys), places if places.text else parts.query))
    if parts.fragment.text:
        rest += parts.fragment.part(0, 1) + mask_rest(parts.fragment.part(1))
    return [*found, *grams(REST, _virtual(START) + rest + _virtual(END)), *_odd_parts(parts)]


def mask_host(host: Spanned) -> Spanned:
    """Return a host masked, in small letters; numbers are not random, and punycode only looks so."""
    is_plain = _IPV4.match(host.text) or "xn--" in host.text.translate(LOWER)
    return (host if is_plain else mask(host)).translate(LOWER)


def grams(block: str, text: Spanned) -> Iterator[Feature]:
    """Yield the 3-grams of a text, each of three characters."""
    # A character of three bytes, cut in the middle, would have 3-grams in common with unrelated ones.
    starts = [match.start() for match in _CHARACTER.finditer(text.text)]
    for start, stop in zip(starts, [*starts, len(text.text)][3:], strict=False):
        yield _feature(block, text.part(start, stop))


def _suffixes(written: str, host: Spanned) -> Iterator[Feature]:
    """Yield a host and each of its suffixes of two labels or more."""
    labels = [*host.split(".")]
    # Its first label makes a suffix another one than the next.
    yield _token("h" + host.text, labels[0] if len(labels) > 2 else host)
    if not _IPV4.match(written):
        for first in range(1, len(labels) - 1):
            suffix = ".".join(label.text for label in labels[first:])
            places = labels[first] if first < len(labels) - 2 else labels[first] + labels[first + 1]
            yield _token("h" + suffix, places)


def _directories(host: Spanned, path: Spanned) -> Iterator[Feature]:
    """Yield the host with the first directory, with the first two, and so on."""
    key = "d" + host.text
    # A directory stands between two slashes.
    for directory in [*path.split("/")][1:-1][:DIRECTORIES]:
        key += "/" + directory.text
        yield _token(key, directory)


def _mask_query(query: Spanned) -> tuple[Spanned, list[Spanned]]:
    """Return a query, each name and value masked, and its names."""
    text, mark, rest, names = _virtual(""), query.part(0, 1), query.part(1), []
    while mark.text:
        pair, ampersand, rest = rest.partition("&")
        name, equals, value = pair.partition("=")
        names.append(mask_rest(name))
        text += mark + names[-1] + equals + mask_rest(value)
        mark = ampersand
    return text, names


def _odd_parts(parts: UrlParts) -> Iterator[Feature]:
    """Yield a scheme and a port that are not those of the web, and that there is a user."""
    # Of nearly all URLs these would be the same, and columns that all rows share only cost.
    scheme = parts.scheme.text.translate(LOWER)
    if scheme not in {"", "http", "https"}:
        yield _token("s" + scheme, parts.scheme)
    if parts.port.text not in {"", "80", "443"}:
        yield _token("p" + parts.port.text, parts.port)
    if parts.user.text:
        yield _token("u", parts.user)


def _virtual(characters: str) -> Spanned:
    """Return characters that the line does not have at this place, or not as such."""
    return Spanned(characters, ((0, 0),) * len(characters))


def _feature(block: str, text: Spanned) -> Feature:
    """Return a feature that is a part of a text."""
    return Feature(block, text.text, _places(text.spans))


def _token(key: str | tuple[str, ...], text: Spanned) -> Feature:
    """Return a token, and where it comes from."""
    return Feature(TOKENS, key, _places(text.spans))


def _places(spans: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return the spans that hold something."""
    return tuple((start, stop) for start, stop in spans if start < stop)


def count_columns(line: str, n_features: int) -> dict[int, int]:
    """Return how often a line has each column, by the columns in order.

    >>> sum(count_columns("a.example/b/c", 2**22).values())
    16
    """
    found = Counter(column(feature, n_features) for feature in features(line))
    return dict(sorted(found.items()))


def column(feature: Feature, n_features: int) -> int:
    """Return the column of a feature: its hash, scaled to the range of its block."""
    starts = {HOST: (0, n_features // 8), REST: (n_features // 8, n_features // 2)}
    first, end = starts.get(feature.block, (n_features // 2, n_features))
    return first + ((_finalize(_hash(feature)) & 0xFFFFFFFF) * (end - first) >> 32)


def _hash(feature: Feature) -> int:
    """Return the hash of a feature."""
    if not isinstance(feature.key, str):
        # A set: by the hashes of its members in order.
        mark, *names = feature.key
        return _fnv([ord(mark), *sorted(_fnv(map(ord, name)) for name in names)])
    if feature.block == TOKENS and feature.key[0] == "h":
        # From its end, as all suffixes of a host have the same.
        return _fnv(map(ord, "h" + feature.key[:0:-1]))
    return _fnv(map(ord, feature.key))


def _fnv(units: Iterable[int]) -> int:
    """Return the 64-bit FNV-1a hash (RFC 9923) of numbers in place of bytes."""
    return reduce(lambda hashed, unit: (hashed ^ unit) * 0x100000001B3 & MASK_64, units, 0xCBF29CE484222325)


def _finalize(hashed: int) -> int:
    """Return a hash with its bits mixed, by the finalizer of MurmurHash3."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        hashed = (hashed ^ hashed >> 33) * factor & MASK_64
    return hashed ^ hashed >> 33
