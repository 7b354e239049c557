"""Secrets in URLs: user names, passwords, and values of parameters whose names say that they are secret.

The rules prefer to hide too much: what is hidden by mistake can be looked up in the run.
"""

import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

HIDDEN = "…"
"""Stands where a secret was, whatever its length."""
WORDS = (
    "accesskey",
    "apikey",
    "assertion",
    "authoriz",
    "credential",
    "hmac",
    "jwt",
    "passphrase",
    "passw",
    "privatekey",
    "pwd",
    "saml",
    "secret",
    "sessid",
    "session",
    "signature",
    "token",
)
"""A parameter is secret if its name has one of these, in any case, without dashes, dots and underscores."""
NAMES = (
    *("auth", "authkey", "cfid", "code", "email", "key", "login", "nonce", "otp", "pass", "pin", "sid"),
    *("sig", "ticket", "user", "userid", "username"),
)
"""A parameter is secret if its name is one of these, likewise."""
MOST_ENCODINGS = 4
"""How often a text may be encoded and is still read; from what is encoded more often, all is hidden."""

_PUNCTUATION = re.compile(r"[^0-9a-z]+")
_IS_SECRET = re.compile(rf"{'|'.join(WORDS)}|\A(?:{'|'.join(NAMES)})\Z")
_MAY_HAVE = re.compile(r"[@%=]")
# What stands before the last "@" between slashes, or in a value: a user and a password, or the name in an
# address.
_USER = re.compile(r"(?:\A|(?<=[/\\]))[^/\\?#]+(?=@)|(?<=[?&=;#])[^/\\?#&=;]+(?=@)")
_PARAMETER = re.compile(r"(?:\A|(?<=[?&;#/!]))([^?&;#/!=]+)=")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")


def secret_spans(url: str) -> list[tuple[int, int]]:
    """Return start and end of each secret of a URL, in order, none of them empty.

    >>> secret_spans("https://me:pw@a.example/?token=abc&page=2")
    [(8, 13), (31, 34)]
    """
    return _merged(_find_all(url)) if _MAY_HAVE.search(url) else []


def redact(url: str) -> str:
    """Return a URL without its secrets.

    >>> redact("https://me:pw@a.example/?token=abc&page=2")
    'https://…@a.example/?token=…&page=2'
    """
    return hide(url, ())[0]


def hide(url: str, parts: Iterable[tuple[int, int]]) -> tuple[str, list[tuple[int, int]]]:
    """Return a URL without its secrets, and where parts of it are then, as far as they are not secret.

    >>> hide("a.example/?token=abc&page=2", [(11, 27)])
    ('a.example/?token=…&page=2', [(11, 17), (18, 25)])
    """
    spans, pieces, end = secret_spans(url), [], 0
    for start, stop in spans:
        pieces += [url[end:start], HIDDEN]
        end = stop
    shown = [
        (start - shift, stop - shift)
        for kept_start, kept_stop, shift in _kept(spans, len(url))
        for first, last in parts
        if (start := max(first, kept_start)) < (stop := min(last, kept_stop))
    ]
    return "".join([*pieces, url[end:]]), shown


def _kept(spans: list[tuple[int, int]], length: int) -> Iterator[tuple[int, int, int]]:
    """Yield start and end of what is between secrets, and how far it moves to the front."""
    end = shift = 0
    for start, stop in spans:
        yield end, start, shift
        end = stop
        shift += stop - start - len(HIDDEN)
    yield end, length, shift


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans in order, those that meet joined, without empty ones."""
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(span for span in spans if span[0] < span[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def _find_all(url: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each secret, however often it is encoded, in any order."""
    # In the text as it is too, and not only decoded: there, an encoded separator does not end a value.
    yield from _find_spans(url)
    text, places = url, list(range(len(url) + 1))
    for _ in range(MOST_ENCODINGS):
        if not _ESCAPE.search(text):
            return
        text, inner = _decode(text)
        # Through all decodings, to the places in the text as it is.
        places = [places[place] for place in inner]
        yield from ((places[start], places[stop]) for start, stop in _find_spans(text))
    if _ESCAPE.search(text):
        # Too deep: all is hidden from the part of the URL that has the first escape.
        escape = url.index("%")
        yield max(url.rfind(char, 0, escape) for char in "/\\?&=;#") + 1, len(url)


def _decode(text: str) -> tuple[str, list[int]]:
    """Return a text that is decoded once, byte by byte, and where each of its characters was, and the end."""
    pieces: list[str] = []
    places: list[int] = []
    end = 0
    for match in _ESCAPE.finditer(text):
        pieces += [text[end : match.start()], chr(int(match[1], 16))]
        places += range(end, match.start() + 1)
        end = match.end()
    return "".join([*pieces, text[end:]]), [*places, *range(end, len(text) + 1)]


def _find_spans(url: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each secret that is not encoded, in any order."""
    for match in _USER.finditer(url):
        yield match.span()
    for match in _PARAMETER.finditer(url):
        if is_secret(match[1]):
            yield match.end(), _value_end(url, match.end())


def is_secret(name: str) -> bool:
    """Return whether the name of a parameter says that its value is secret.

    >>> is_secret("X-Amz-Signature"), is_secret("user[pass%77ord]"), is_secret("keyword")
    (True, True, False)
    """
    # One text may be encoded in another, and the name with it.
    for _ in range(MOST_ENCODINGS):
        name = unquote(name)
    return _IS_SECRET.search(_PUNCTUATION.sub("", name.lower())) is not None


def _value_end(url: str, start: int) -> int:
    """Return where the value of a parameter ends, which depends on the part of the URL that it is in."""
    # Not at a semicolon, which may be part of a value, nor at a question mark.
    if "#" in url[:start]:
        ends = "&"
    elif "?" in url[:start]:
        ends = "&#"
    else:
        ends = "/?#&"
    return min((place for end in ends if (place := url.find(end, start)) >= 0), default=len(url))
