"""Groups of URLs: hosts, sites, pages and templates; their numbers, and templates as people read them."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from novelty_dask.kernels.text.templates import DIGITS, SYMBOLS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.kernels.choices import NormalForm
    from novelty_dask.kernels.text.lines import LineBatch

DIGEST_BYTES = 8
READABLE = dict(zip([DIGITS, *SYMBOLS.values()], ["{digits}", "{hex}", "{uuid}", "{mixed}"], strict=True))
"""What stands for each symbol of a template where people read it."""
_SYMBOL = re.compile("|".join(READABLE))
_READABLE_SYMBOL = re.compile("|".join(map(re.escape, READABLE.values())))
_SYMBOLS = {name: symbol for symbol, name in READABLE.items()}


def hosts(urls: pa.StringArray) -> pa.DictionaryArray:
    """Return the host of each URL, as it stands in its page; it is empty for a line without one."""
    from novelty_dask.kernels.text.sites import hosts_of  # noqa: PLC0415 - its library takes long to import

    return hosts_of(urls)


def sites(urls: pa.StringArray) -> pa.DictionaryArray:
    """Return the site of each URL."""
    from novelty_dask.kernels.text.sites import sites_of  # noqa: PLC0415 - its library takes long to import

    return sites_of(urls)


def pages(urls: pa.StringArray) -> pa.StringArray:
    """Return the page of each URL."""
    return forms(urls, "page")


def templates(urls: pa.StringArray) -> pa.StringArray:
    """Return the template of each URL."""
    return forms(urls, "template")


def forms(urls: pa.StringArray, form: NormalForm) -> pa.StringArray:
    """Return the normal form of each URL."""
    from novelty_dask.kernels.text.normal_forms import normalize_array  # noqa: PLC0415 - as does Numba

    return normalize_array(urls, form)


def reject_nameless(batch: LineBatch) -> LineBatch:
    """Return lines without those that have no web form, which are rejected."""
    from novelty_dask.kernels.text import normal_forms  # noqa: PLC0415 - as does Numba

    return normal_forms.reject_nameless(batch)


GROUPS: dict[str, Callable[[pa.StringArray], pa.Array]] = {"template": templates, "site": sites}
"""Functions that name the group of each URL."""


def to_readable(template: str) -> str:
    r"""Return a template as people read it.

    >>> to_readable("a.example/orders/\x1a")
    'a.example/orders/{digits}'
    """
    return _SYMBOL.sub(lambda symbol: READABLE[symbol[0]], template)


def from_readable(template: str) -> str:
    r"""Return a template as it is compared.

    >>> from_readable("a.example/orders/{digits}")
    'a.example/orders/\x1a'
    """
    return _READABLE_SYMBOL.sub(lambda name: _SYMBOLS[name[0]], template)


def digests(names: pa.Array) -> NDArray[np.uint64]:
    """Return a number of 64 bits for each name, the same on every machine."""
    encoded = names if pa.types.is_dictionary(names.type) else names.dictionary_encode()
    distinct = (blake2b(name.encode(), digest_size=DIGEST_BYTES) for name in encoded.dictionary.to_pylist())
    # Not Python's own hash, which differs from process to process: if two names share a number, they do so
    # everywhere.
    numbers = np.frombuffer(b"".join(digest.digest() for digest in distinct), np.uint64)
    each: NDArray[np.uint64] = np.take(numbers, encoded.indices.to_numpy())
    return each
