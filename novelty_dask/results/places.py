"""Places of URLs among others that are sorted as rows are."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from novelty_dask.kernels.text.normal_forms import make_row_keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from novelty_dask.kernels.choices import NormalForm


def find_place(url: str, n: int, url_of: Callable[[int], str], form: NormalForm) -> tuple[int, bool]:
    """Return before which of n sorted URLs a URL belongs, and whether that one is of its normal form.

    Parameters
    ----------
    url : str
    n : int
    url_of : callable
        Takes a number below n; returns that URL.
    form : {"raw", "web", "page", "template"}
        The normal form by which they are sorted.

    Examples
    --------
    >>> urls = ["http://a.example/", "http://b.example/x"]
    >>> find_place("https://b.example/x/", 2, urls.__getitem__, "page")
    (1, True)
    """

    def key_of(number: int) -> str:
        return make_row_keys([url_of(number)], form)[0]

    [key] = make_row_keys([url], form)
    # Normal forms are made of those alone that the search looks at.
    place = bisect_left(range(n), key, key=key_of)
    return place, place < n and key_of(place) == key
