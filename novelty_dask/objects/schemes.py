"""Schemes of URLs: those that name storage are opened, those of the web never are.

Lists of URLs come from strangers.  One passed where the name of such a list is expected must not be fetched:
its server would learn of it, and receive the tokens in it.  Schemes are therefore allowed one by one.  A
list of forbidden ones would miss the next file system that somebody installs for fsspec.

Allowed are this machine, and stores that are reached by their own credentials or configuration: object
stores and HDFS.  ``sftp://``, ``ssh://`` and ``smb://`` name a host that is called, as ``ftp://`` does, and
occur in lists of URLs: such folders are read where they are mounted.
"""

import re

from fsspec import available_protocols

LOCAL = frozenset({"", "file", "local"})
OBJECT_STORES = frozenset(
    {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "ocilake", "tos", "tosfs"}
)
STORAGE = LOCAL | OBJECT_STORES | {"memory", "hdfs", "arrow_hdfs"}
BEYOND_FSSPEC = frozenset(
    {"dav", "davs", "ftps", "gist", "git+https", "git+ssh", "gopher", "rsync", "telnet", "tftp", "ws", "wss"}
)
"""Schemes of the web for which fsspec, or an older version of it, has no file system."""
CHAIN = "::"
"""What joins several file systems in one URL of fsspec, such as ``simplecache::https://a.example/``."""
WRAPPERS = frozenset(
    {"simplecache", "filecache", "blockcache", "cached", "zip", "tar", "libarchive", "dir", "reference"}
)
"""Schemes that show another file system in some other way; alone they reach nothing."""

_WORD = re.compile(r"[a-z][a-z0-9+.-]*|\w+")


def scheme_of(name: str) -> str:
    """Return what precedes ``://`` in lower case; empty for a path on this machine.

    >>> scheme_of("S3://bucket/a.txt"), scheme_of("/data/a.txt"), scheme_of("folder/http://a")
    ('s3', '', '')
    """
    head, separator, _ = name.partition("://")
    return head.strip().lower() if separator and "/" not in head else ""


def is_local(name: str) -> bool:
    """Return whether a path or a URL names something on this machine.

    >>> [is_local(name) for name in ("/data/a.txt", "FILE:///a.txt", "folder/http://a", "s3://bucket/a.txt")]
    [True, True, True, False]
    """
    return scheme_of(name) in LOCAL


def is_web(name: str) -> bool:
    """Return whether a URL, or any of those that it chains, has a known scheme that is not one of storage.

    >>> [is_web(name) for name in ("HTTPS://a.example/", "https:/a.example", "zip://a::ftp://b", "c:/a")]
    [True, True, True, False]
    """
    if is_local(name):
        # A Path writes a URL with a single slash.
        head, slash, _ = name.partition(":/")
        parts = [head] if slash and "/" not in head and not scheme_of(name) else []
    else:
        parts = [part.partition(":/")[0] for part in name.split(CHAIN)]
    words = {word for part in parts for word in _WORD.findall(part.lower())}
    return bool(words & {*available_protocols(), *BEYOND_FSSPEC} - STORAGE - WRAPPERS)


def unknown_scheme(name: str) -> str:
    """Return the problem with a URL whose scheme names no file system, to end a sentence; else no text.

    >>> unknown_scheme("foo://bucket/a"), unknown_scheme("s3://bucket/a"), unknown_scheme("a.txt")
    ('no file system is known for foo://', '', '')
    """
    scheme = scheme_of(name)
    is_known = is_local(name) or is_chained(name) or scheme in {*available_protocols(), *OBJECT_STORES}
    return "" if is_known else f"no file system is known for {scheme}://"


def is_chained(name: str) -> bool:
    """Return whether a URL joins several file systems; in the name of a local file ``::`` means nothing.

    >>> [is_chained(name) for name in ("a::b.txt", "simplecache::s3://bucket/a", "zip://a::s3://bucket/b")]
    [False, True, True]
    """
    scheme = scheme_of(name)
    return scheme in WRAPPERS or (CHAIN in name and not is_local(name))


def without_path(url: str) -> str:
    """Return a URL up to its host, as paths and queries may hold tokens of any form.

    >>> without_path("https://me:password@a.example/reset/1f3d?code=7")
    'https://a.example/…'
    """
    scheme, _, rest = url.partition(":/")
    host = re.split("[/?#]", rest.lstrip("/"), maxsplit=1)[0].rpartition("@")[2]
    return f"{scheme}://{host}" + "/…" * (rest.strip("/") != host)
