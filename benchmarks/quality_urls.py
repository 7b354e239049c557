"""Simple parts and templates of URLs for labelled sets, independent of the features that are tested."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_URL = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:(?=//))?(?://)?([^/?#]*)([^?#]*)(?:\?([^#]*))?")
_STYLE = re.compile(r"(https?://)?(www\.)?", re.I)
_PORT = re.compile(r":[0-9]*\Z")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I)
_HEX = re.compile(r"(?<![0-9a-z])(?=[0-9a-f]*[0-9])[0-9a-f]{8,}(?![0-9a-z])", re.I)
_LONG = re.compile(r"[A-Za-z0-9_\-=%+]{16,}")
_TURN = re.compile(r"[0-9][A-Za-z]|[A-Za-z][0-9]|[a-z][A-Z]")
_NUMBER = re.compile(r"[0-9]+")
_EXTENSION = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,4}\Z")
RANDOM_SLOT = re.compile("<[uhb]>")
"""Placeholders of UUIDs, hexadecimal numbers, and text like Base64."""
# The public suffix list would say it for all registries; these cover nearly all hosts of public corpora.
_SECOND_LEVELS = frozenset({"ac", "co", "com", "edu", "gob", "gov", "mil", "ne", "net", "or", "org", "sch"})
DEEPEST, RARE, MANY, LONGEST_NAMES = 30, 2, 8, 60


class Url(NamedTuple):
    """Parts of a URL."""

    host: str
    path: str
    query: str | None


def split(url: str) -> Url:
    """Return the parts of a URL, with or without scheme.

    >>> split("https://me@A.example:80/b?c=d#e")
    Url(host='a.example', path='/b', query='c=d')
    """
    match = _URL.match(url)
    assert match, "all its parts may be empty"
    authority, path, query = match.groups()
    return Url(_PORT.sub("", authority.rpartition("@")[2]).lower().rstrip("."), path, query)


def strip_style(url: str) -> str:
    """Return a URL without what tells its source rather than its site: the scheme of the web, and www.

    >>> strip_style("https://www.a.example/www.")
    'a.example/www.'
    """
    return _STYLE.sub("", url, count=1)


def registered_domain(host: str) -> str:
    """Return the last two labels of a host; three where the last is a country's and the next a kind's.

    >>> registered_domain("a.b.example"), registered_domain("a.b.co.uk"), registered_domain("192.0.2.1")
    ('b.example', 'b.co.uk', '192.0.2.1')
    """
    labels = host.split(".")
    if len(labels) < 3 or labels[-1].isdigit() or host.startswith("["):
        return host
    is_kind = len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVELS
    return ".".join(labels[-3 if is_kind else -2 :])


def mask(text: str) -> str:
    """Return a text with UUIDs, hexadecimal numbers, text like Base64, and numbers replaced.

    >>> mask("/orders/77/3f2504e0-4f89-11d3-9a0c-0305e82c3301/d3b07384")
    '/orders/<n>/<u>/<h>'
    """
    text = _LONG.sub(_mask_base64, _HEX.sub("<h>", _UUID.sub("<u>", text)))
    return _NUMBER.sub("<n>", text)


def _mask_base64(match: re.Match[str]) -> str:
    """Return the placeholder of a long token that turns often between digits, small and capital letters."""
    core = re.sub("[^A-Za-z0-9]", "", match[0])
    kinds = (any(map(is_kind, core)) for is_kind in (str.isdigit, str.isupper, str.islower))
    is_random = len(core) >= 14 and all(kinds) and len(_TURN.findall(core)) >= len(core) / 6
    return "<b>" if is_random else match[0]


def pattern_template(url: str) -> str:
    """Return a URL with what looks like a number or a random token masked, and the names of its query.

    >>> pattern_template("https://a.example/Orders/77?b=1&a=2")
    'a.example/orders/<n>?a&b'
    """
    host, path, query = split(url)
    names = "" if query is None else "?" + "&".join(sorted({mask(name) for name in _names(query)}))
    return mask(host) + mask(path).lower() + names


def _names(query: str) -> Iterator[str]:
    """Yield the names of a query."""
    yield from (pair.partition("=")[0] for pair in query.split("&"))


class _Leaf(NamedTuple):
    """A URL in the prefix tree of its host: its number, the segments of its path, and what follows them."""

    row: int
    segments: list[str]
    tail: str


def tree_templates(urls: Sequence[str]) -> list[str]:
    """Return the template of each URL by the prefix tree of the paths of its host.

    A segment is a slot where eight or more values of its place are found once or twice.

    >>> tree_templates([f"a.example/{name}/x.html" for name in "abcdefgh"])[0]
    'a.example/*/x.html.html?'
    """
    by_host: dict[str, list[_Leaf]] = defaultdict(list)
    for row, url in enumerate(urls):
        host, path, query = split(url)
        segments = path.split("/")[1 : DEEPEST + 1]
        extension = _EXTENSION.search(segments[-1]) if segments else None
        names = "&".join(sorted(set(_names(query)))) if query else ""
        names = names if len(names) <= LONGEST_NAMES else "*"
        by_host[host].append(_Leaf(row, segments, f"{extension[0] if extension else ''}?{names}"))
    found = [""] * len(urls)
    for host, leaves in by_host.items():
        for row, template in _grow(leaves, host, 0):
            found[row] = mask(template).lower()
    return found


def _grow(leaves: Sequence[_Leaf], prefix: str, depth: int) -> Iterator[tuple[int, str]]:
    """Yield number and template of all URLs below a prefix."""
    groups: dict[str, list[_Leaf]] = defaultdict(list)
    for leaf in leaves:
        if depth < len(leaf.segments):
            groups[leaf.segments[depth]].append(leaf)
        else:
            yield leaf.row, prefix + leaf.tail
    rare = [segment for segment, group in groups.items() if len(group) <= RARE]
    slot = [leaf for segment in rare for leaf in groups.pop(segment)] if len(rare) >= MANY else []
    for segment, group in groups.items():
        yield from _grow(group, f"{prefix}/{segment}", depth + 1)
    if slot:
        yield from _grow(slot, f"{prefix}/*", depth + 1)


def style_strata(urls: Sequence[str]) -> NDArray[np.int64]:
    """Return the style of each URL as a number: octile of its length, depth of its path, and query or none.

    >>> style_strata(["a.example/b", "a.example/cc/dd?e"])
    array([  2, 145])
    """
    lengths = np.array([len(url) for url in urls])
    octiles = np.digitize(lengths, np.quantile(lengths, np.arange(1, 8) / 8))
    parts = list(map(split, urls))
    depths = [min(sum(map(bool, part.path.split("/"))), 3) for part in parts]
    has_query = [part.query is not None for part in parts]
    return np.array(octiles * 20 + np.array(depths) * 2 + has_query, np.int64)
