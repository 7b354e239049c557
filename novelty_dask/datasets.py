"""Made corpora with a known answer: pages of invented sites, and planted URLs unlike all others.

Sites have Zipf-distributed sizes: a few have hundreds of pages, many have only a few.  The pages of a site
follow the path templates of its kind, and some are listed twice.  Planted URLs are of sites of their own, and
made of words that no other has.  No host exists: names end in a domain that RFC 2606 reserves.
"""

from bisect import bisect
from collections.abc import Callable, Sequence
from itertools import accumulate
from random import Random
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from novelty_dask.errors import SettingsError

_T = TypeVar("_T")

PAGES_PER_SITE = 24
REPEATED_SHARE = 0.02
PLANTED_SHARE = 0.01

VOCABULARY = """
amber anchor apple archive atlas autumn bakery balance bamboo barley basin beacon birch bridge bronze budget
cabin camera canyon carbon castle cedar census chapel cherry circle citizen climate clover coastal cobalt
coffee comet copper coral cotton council crystal current cycle daily dairy desert digital dolphin early
eastern echo editor elder ember energy engine evening fabric falcon family farmer festival field flower
forest fossil frontier galaxy garden gentle glacier global golden granite gravel guide guitar harbor harvest
hazel health heritage hidden history holiday honey horizon housing indigo island ivory jasmine journal
juniper kettle kitchen ladder lagoon lantern laurel ledger lemon letter library light linen local lumber
magnet maple marble market meadow medal melody member mercury middle mineral mirror modern monitor morning
mosaic mountain museum music native nectar network night northern notice ocean office olive orange orchard
outdoor oxford palace panel paper parade park pebble pepper picture pigeon pillow pine planet plaster pocket
policy pond poplar portal pottery prairie press project public purple quarry quartz quick quiet radio
railway rainbow range record reef region report review ribbon river rocket saddle saffron sailor salmon
school science season second secret shadow shelter signal silver simple sister society solar southern spring
square stable station stone storm stream street studio summer sunrise supply survey table tailor temple
theater thunder timber today tomato tower trade trail travel tunnel turtle upper urban valley velvet village
violet vision volume walnut water weather weekly western willow window winter wonder yellow zenith
"""
WORDS = VOCABULARY.split()

RESERVED = ("example", "test", "example.com", "example.org", "example.net")
SUBDOMAINS = ("", "", "www.", "www.", "blog.", "shop.", "docs.", "m.")

# Path templates of a site, by its kind.  A name that ends in a number is another draw of the same field.
PAGES = (
    ("/{year}/{month}/{day}/{slug}", "/{section}/{year}-{month}-{day}-{slug}.html"),
    ("/{section}/{slug}-{id}", "/{section}/", "/{section}/page/{number}"),
    ("/products/{section}/{word}-{word2}-{id}", "/shop/{section}?sort=price&page={number}"),
    ("/users/{word}{number}", "/users/{word}{number}/posts?page={number2}", "/thread/{id}/{slug}"),
    ("/search?q={word}+{word2}&page={number}", "/tag/{word}", "/wiki/{word}_{word2}"),
    ("/download/{section}-{version}.tar.gz", "/releases/v{version}/{section}-{version}-{system}.zip"),
    ("/static/css/{section}.{number}.css", "/images/{section}/{word}-{word2}-{number}.jpg"),
    ("/", "/about", "/contact", "/{section}.html", "/{section}/{word}-{word2}.html"),
)

# Only the scheme, a reserved name and a few punctuation marks of a planted URL recur.
PLANTED = (
    "https://{coined}.{coined2}.test/{coined3}/{coined4}.{coined5}",
    "https://{coined}-{coined2}.example/{coined3}/{coined4}/{coined5}?{coined6}={coined7}",
    "http://{coined}{coined2}.example.org/~{coined3}/{coined4}_{coined5}",
    "https://{coined}.{script}.example.net/{coined2}/{coined3}",
    "https://{coined}.example.com/{script}/{coined2}",
    "http://{coined}.{coined2}.{coined3}.test/?{coined4}={coined5}&{coined6}={coined7}",
)

CONSONANTS, VOWELS = "bcdfghjklmnpqrstvwxz", "aeiouy"
CODAS = ("", "", "x", "k", "sh", "q", "ff", "zz")
"""Ends of coined words."""
# First and last letter of Cyrillic, Armenian, Devanagari, Thai, Georgian and Hangul.
SCRIPTS = ("\u0430\u044f", "\u0561\u0586", "\u0905\u0939", "\u0e01\u0e2e", "\u10d0\u10f0", "\uac00\ud7a3")


def _pick(rng: Random, items: Sequence[_T]) -> _T:
    """Draw one item."""
    # By random() alone: of all methods of Random, only it is promised to be the same in every version.
    return items[int(rng.random() * len(items))]


def _number(rng: Random, low: int, high: int) -> int:
    """Draw an integer from low to high, both included."""
    return _pick(rng, range(low, high + 1))


def _joined(rng: Random, items: Sequence[str], count: int, separator: str = "") -> str:
    """Draw items and join them."""
    return separator.join(_pick(rng, items) for _ in range(count))


def _coined(rng: Random) -> str:
    """Draw a word that is in no dictionary."""
    # Of syllables, as a random string would be masked: a random token tells nothing new.
    syllables = (_pick(rng, CONSONANTS) + _pick(rng, VOWELS) for _ in range(_number(rng, 3, 5)))
    return "".join(syllables) + _pick(rng, CODAS)


def _script(rng: Random) -> str:
    """Draw four words of one script that is not Latin."""
    first, last = map(ord, _pick(rng, SCRIPTS))
    letters = range(first, last + 1)
    return "-".join("".join(chr(_pick(rng, letters)) for _ in range(_number(rng, 5, 9))) for _ in range(4))


FIELDS: dict[str, Callable[[Random], str]] = {
    "word": lambda rng: _pick(rng, WORDS),
    "slug": lambda rng: _joined(rng, WORDS, _number(rng, 2, 6), "-"),
    "year": lambda rng: str(_number(rng, 2012, 2026)),
    "month": lambda rng: f"{_number(rng, 1, 12):02}",
    "day": lambda rng: f"{_number(rng, 1, 28):02}",
    "id": lambda rng: str(_number(rng, 1000, 99999)),
    "number": lambda rng: str(_number(rng, 1, 400)),
    "version": lambda rng: f"{_number(rng, 0, 9)}.{_number(rng, 0, 20)}.{_number(rng, 0, 9)}",
    "system": lambda rng: _pick(rng, ("linux-x64", "linux-arm64", "macos-arm64", "windows-x64")),
    "coined": _coined,
    "script": _script,
}


class _Fields(dict[str, str]):
    """Fields of one URL, each drawn when its template first asks for it."""

    def __init__(self, rng: Random, **known: str) -> None:
        super().__init__(known)
        self._rng = rng

    def __missing__(self, name: str) -> str:
        return self.setdefault(name, FIELDS[name.rstrip("234567")](self._rng))


class _Site(NamedTuple):
    """An invented site."""

    origin: str
    paths: Sequence[str]
    sections: list[str]

    def page(self, rng: Random) -> str:
        """Draw the URL of a page."""
        fields = _Fields(rng, section=_pick(rng, self.sections))
        return self.origin + _pick(rng, self.paths).format_map(fields)


def _site(rng: Random) -> _Site:
    """Draw a site."""
    scheme = "https" if rng.random() < 0.8 else "http"
    name = _joined(rng, WORDS, 2, _pick(rng, ("", "", "-")))
    origin = f"{scheme}://{_pick(rng, SUBDOMAINS)}{name}.{_pick(rng, RESERVED)}"
    return _Site(origin, _pick(rng, PAGES), [_pick(rng, WORDS) for _ in range(8)])


def _distinct(draw: Callable[[], str], count: int) -> list[str]:
    """Draw until there are `count` different strings."""
    # A dict keeps the order of its keys, which a set does not.
    drawn: dict[str, None] = {}
    while len(drawn) < count:
        drawn[draw()] = None
    return list(drawn)


def _ordinary(rng: Random, n: int) -> list[str]:
    """Draw pages of sites with Zipf-distributed sizes, some of them twice."""
    sites = [_site(rng) for _ in range(1 + n // PAGES_PER_SITE)]
    weights = list(accumulate(1 / rank for rank in range(1, 1 + len(sites))))
    n_repeated = int(REPEATED_SHARE * n)
    pages = _distinct(lambda: sites[bisect(weights, rng.random() * weights[-1])].page(rng), n - n_repeated)
    return pages + [_pick(rng, pages) for _ in range(n_repeated)]


def make_urls(
    n: int = 10_000, *, n_planted: int | None = None, seed: int = 0
) -> tuple[list[str], NDArray[np.int64]]:
    """Make a corpus of URLs in which some are novel by construction.

    Parameters
    ----------
    n : int, default 10,000
        Number of lines; about 2 % of them repeat another line.
    n_planted : int, optional
        Number of planted URLs, all different and never repeated.  By default 1 % of the lines and at least
        one, but none in a corpus of one line.
    seed : int, default 0
        The same seed gives the same lines, on every platform.

    Returns
    -------
    urls : list of str, length n
        The lines in random order.
    planted : ndarray of int64, shape (n_planted,)
        Positions of the planted URLs in `urls`, ascending.

    Raises
    ------
    SettingsError
        If `n` is less than 1, or `n_planted` is not from 0 to `n`.

    Examples
    --------
    >>> urls, planted = make_urls(1_000)
    >>> len(urls), len(planted)
    (1000, 10)
    """
    if n < 1 or not 0 <= (n_planted or 0) <= n:
        message = f"n must be at least 1 and n_planted from 0 to n, not n={n} and n_planted={n_planted}"
        raise SettingsError(message)
    if n_planted is None:
        n_planted = min(n - 1, max(1, round(PLANTED_SHARE * n)))
    rng = Random(seed)  # noqa: S311 - reproducible, not secret
    planted = _distinct(lambda: _pick(rng, PLANTED).format_map(_Fields(rng)), n_planted)
    lines = planted + _ordinary(rng, n - n_planted)
    # By random() again: shuffle() may be another one in the next version.
    order = sorted(range(n), key=lambda _: rng.random())
    return [lines[i] for i in order], np.flatnonzero(np.array(order) < n_planted)
