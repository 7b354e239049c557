"""Sort keys and normal forms of URLs.

Sorting by reversed host and path puts the pages of a site side by side, and the sites of a domain too, so
that most nearest neighbors of a row are adjacent to it.  The normal form is a choice: ``"raw"`` compares
lines as they were written, ``"web"`` what a browser would request, ``"page"`` and ``"template"`` what
spellings of a page, and pages of a template, have in common.
"""

import re
from hashlib import blake2b

import ada_url

from novelty_dask.kernels.choices import NormalForm
from novelty_dask.kernels.text.pages import page, template

SEPARATOR = "\0"
"""Between the parts of the key of a spelling; no line has it, and it is before all other characters."""
DIGEST_BYTES = 4
"""Bytes of the digest of a URL, by which spellings of one form are spread."""

# The authority of RFC 3986, appendix B, read also where a line has no scheme: "example.org/x".
_AUTHORITY = re.compile(r"(?:(?:[^:/?#]*:)?//)?([^/?#]*)")
# A scheme by RFC 3986, section 3.1, but "localhost:3000/x" is a host and its port.
_SCHEME = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*:(?![0-9]+(?:[/?#]|\Z))")
# What stands where a scheme would: "ht!tp://" is none, and no host either; nor is what has quotation marks,
# brackets or commas.
_NO_HOST = re.compile(r"\A[^/?#\\]*(?:://|[\"'(),;<>])")
# "Note: text" has no scheme.
_NO_SCHEME = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]*: ")
# Characters that the URL standard removes before parsing: controls and spaces around, tabs and newlines
# anywhere.
_AROUND = "".join(map(chr, range(0x21)))
_ANYWHERE = str.maketrans("", "", "\t\n\r")


def sort_key(url: str) -> str:
    """Return the reversed host, a space, and all that follows the host.

    Scheme, user name and port are left out.  The host is lower-cased, loses a trailing dot and is reversed
    label by label, except for IP addresses, which have their most significant part in front already.

    Parameters
    ----------
    url : str
        Any text; a scheme is not needed.

    Returns
    -------
    str
        The key.  Different URLs may share one: let the URL itself break the tie.

    Examples
    --------
    >>> sort_key("https://user@A.example.org:8080/x?y")
    'org.example.a /x?y'
    >>> sort_key("a.example.org?y")
    'org.example.a ?y'
    >>> sort_key("http://192.0.2.7/x")
    '192.0.2.7 /x'
    """
    return _AUTHORITY.sub(_key_of_authority, url, count=1)


def spelling_key(form: str, url: str) -> str:
    """Return a key by which normal forms are sorted, and all spellings of a form are side by side.

    It is the sort key of the form; its authority, unless that is the host alone, which the sort key has; and
    a digest of the URL.  The first two are the *form key*: different forms have different ones.

    >>> spelling_key("a.example/x", "http://a.example/x/").split(SEPARATOR)
    ['example.a /x', '', 'dea90aa8']
    >>> form_key(spelling_key("ftp://a.example/x", "ftp://A.example/x")).split(SEPARATOR)
    ['example.a /x', 'ftp://a.example']
    """
    match = _AUTHORITY.match(form)
    assert match
    host, authority = _key_of_authority(match), match[0]
    is_host = authority == ".".join(reversed(host[:-1].split(".")))
    # Of URLs with one CRC-32 as many as one likes can be made, and they would be side by side.
    digest = blake2b(url.encode(), digest_size=DIGEST_BYTES).hexdigest()
    return SEPARATOR.join((host + form[match.end() :], "" if is_host else authority, digest))


def row_key(form: str, url: str, kind: NormalForm) -> str:
    """Return the key by which rows are sorted, and which no two rows share.

    Parameters
    ----------
    form, url : str
        A URL and its normal form.
    kind : {"raw", "web", "page", "template"}
        The normal form.

    >>> row_key("a.example/x", "http://a.example/x/", "page").split(SEPARATOR)
    ['example.a /x', '']
    """
    return f"{sort_key(url)}{SEPARATOR}{url}" if kind == "raw" else form_key(spelling_key(form, url))


def form_key(key: str) -> str:
    """Return the form key, which the keys of all spellings of a form have in common."""
    return key[: -2 * DIGEST_BYTES - 1]


def normalize(url: str, form: NormalForm = "raw") -> str | None:
    """Return the normal form of a URL, or None if it has none.

    Parameters
    ----------
    url : str
        Any text.
    form : {"raw", "web", "page", "template"}, default "raw"
        "raw" is the text as it is.  "web" is the serialization of the WHATWG URL standard [1]_: host in
        lower case and punycode, dot segments resolved, default port dropped; query and fragment stay.  A line
        without a scheme is read as if ``http://`` stood before it.  "page" and "template" are defined in
        `pages`.

    Returns
    -------
    str or None
        None only for form "web", if the standard refuses the URL, or a line starts with a path or with what
        can't be a scheme or a host.

    References
    ----------
    .. [1] https://url.spec.whatwg.org/, as implemented by ada

    Examples
    --------
    >>> normalize("Example.org:80/a/../b", "web")
    'http://example.org/b'
    >>> normalize("http://[bad/", "web") is None, normalize("ht!tp://a.example/", "web") is None
    (True, True)
    """
    if form == "web":
        return _web_form(url.strip(_AROUND).translate(_ANYWHERE))
    if form == "raw":
        return url
    return page(url) if form == "page" else template(url)


def _key_of_authority(match: re.Match[str]) -> str:
    """Return the sort key of an authority: its host, reversed unless it is an IP address, and a space."""
    host = match[1].rpartition("@")[2].lower()
    name, colon, port = host.rpartition(":")
    if colon and (port.isdigit() or not port):
        host = name
    labels = host.rstrip(".").split(".")
    # A host that ends in a number is an IPv4 address, by the URL standard.
    if not labels[-1].isdigit() and not host.startswith("["):
        labels.reverse()
    return ".".join(labels) + " "


def _web_form(url: str) -> str | None:
    """Return the WHATWG serialization of a URL whose scheme may be missing, or None."""
    if _NO_SCHEME.match(url):
        return None
    if not _SCHEME.match(url):
        host_first = url.removeprefix("//")
        if host_first.startswith(("/", "\\")) or _NO_HOST.match(host_first):
            return None
        url = "http://" + host_first
    try:
        return str(ada_url.normalize_url(url))
    except ValueError:
        return None
