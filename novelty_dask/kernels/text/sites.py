"""Sites of hosts: registered domains, by the public suffix list.

The list is that which the library *publicsuffixlist* ships; it is never fetched.  Its private part counts,
so that each user of a hosting service has a site.
"""

import re
from collections.abc import Sequence
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc
from publicsuffixlist import PublicSuffixList

from novelty_dask.kernels.text.pages import find_host

# All that the host of a line depends on.
_ORIGIN = r"^(?P<origin>(?:(?:[A-Za-z][A-Za-z0-9+.\-]*:)?//)?[^/?#]*)"
_IS_ADDRESS = re.compile(r"^(?:\[.*\]|(?:.*\.)?[0-9]+)", re.DOTALL)


def hosts_of(lines: pa.StringArray) -> pa.DictionaryArray:
    """Return the host of each line, as it stands in its page; it is empty for a line without a host."""
    # Once for each origin, as the rows of a site have few, and a run has them side by side.
    origins = pc.struct_field(pc.extract_regex(lines, _ORIGIN), "origin").dictionary_encode()
    return _renamed(origins, [find_host(origin) for origin in origins.dictionary.to_pylist()])


def sites_of(lines: pa.StringArray) -> pa.DictionaryArray:
    """Return the site of each line; it is empty for a line without a host.

    >>> lines = ["https://user@www.Example.co.uk:8080/x", "a.github.io", "GET /x", "http://192.0.2.7/"]
    >>> sites_of(pa.array(lines)).to_pylist()
    ['example.co.uk', 'a.github.io', '', '192.0.2.7']
    """
    hosts = hosts_of(lines)
    return _renamed(hosts, [site_of(host) for host in hosts.dictionary.to_pylist()])


def _renamed(groups: pa.DictionaryArray, names: Sequence[str]) -> pa.DictionaryArray:
    """Return groups under other names, which need not differ."""
    distinct = pa.array(names, pa.string()).dictionary_encode()
    return pa.DictionaryArray.from_arrays(distinct.indices.take(groups.indices), distinct.dictionary)


def site_of(host: str) -> str:
    """Return the registered domain of a host, or the host itself if it has none.

    >>> site_of("a.b.example.com"), site_of("example.com"), site_of("com"), site_of("x.localhost")
    ('example.com', 'example.com', 'com', 'x.localhost')
    """
    # The list would take the last two numbers of an address for a domain.
    if _IS_ADDRESS.fullmatch(host):
        return host
    return _suffixes().privatesuffix(host) or host


@cache
def _suffixes() -> PublicSuffixList:
    """Return the list, which takes a while to read."""
    return PublicSuffixList()
