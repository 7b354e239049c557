"""URLs inside other text, as people write them in lists, mails and reports.

They stand in quotes or brackets, behind bullets and numbers, in links of Markdown, before a comma; or they
are written so that no program makes links of them (*defanged*), as in ``hxxps://evil[.]example``.
"""

import re
from collections.abc import Iterable

ADDRESS = re.compile(
    r"^(?:[a-z][a-z0-9+.-]*://|(?:[a-z0-9-]+\.)+[a-z]{2,}(?:[/:?#]|$))", re.ASCII | re.IGNORECASE
)
"""Beginning of what can be a URL."""
PAIRS = {'"': '"', "'": "'", "`": "`", "<": ">", "(": ")", "[": "]", "{": "}", "«": "»", "“": "”"}
PAIRS["\u2018"] = "\u2019"
"""What may stand around a URL, and closes what."""
BEHIND = ",;.!"
"""Punctuation behind a URL."""
BULLET = re.compile(r"^(?:[-*+•\u2013]|\d{1,6}[.)])\s+")
LINK = re.compile(r"^!?\[[^\]]*\]\(\s*<?([^\s<>]+?)>?(?:\s+[\"'(][^)]*)?\)[,;.!]?")
FIRST, LAST = {*PAIRS, *"-*+•\u2013!0123456789"}, {*PAIRS.values(), *BEHIND}
"""First and last characters of lines that may hold a URL inside other text."""
DOTS = {"[.]", "(.)", "{.}", "[dot]", "(dot)", "{dot}"}
FANGS = dict.fromkeys(DOTS, ".") | {"[:]": ":", "[://]": "://", "[/]": "/", "[@]": "@"}
"""What is written in place of a character, in small letters."""
DEFANGED = re.compile("|".join(map(re.escape, sorted(FANGS, key=len, reverse=True))), re.IGNORECASE)
SCHEME = re.compile(r"h(?:xx|\*\*|__)p(?=s?[:\[])", re.IGNORECASE)


def refang(text: str) -> str:
    """Return a URL as it was before it was written so that no program makes a link of it.

    >>> refang("hxxps://evil[.]example/a"), refang("tcp[://]evil(dot)example[:]1")
    ('https://evil.example/a', 'tcp://evil.example:1')
    """
    # `hxxp` is http, whatever would be safer; other schemes stay.
    text = SCHEME.sub("http", text, count=1) if SCHEME.match(text) else text
    return DEFANGED.sub(lambda match: FANGS[match[0].lower()], text)


def defang(url: str) -> list[str]:
    """Return what stands for each character of a URL, so that no program makes a link of it.

    Only brackets are added.

    >>> "".join(defang("https://a.example/login?next=http://b.example"))
    'https[://]a[.]example/login?next=http[://]b[.]example'
    """
    shown = ["[.]" if char == "." else char for char in url]
    start = url.find("://")
    while start >= 0:
        shown[start], shown[start + 2] = "[:", "/]"
        start = url.find("://", start + 1)
    return shown


def unwrap(text: str) -> str:
    """Return the URL inside a line, or the line as it is if there is none.

    >>> [unwrap(text) for text in ('"https://a.example/x",', "2. <a.example/y>", "[t](https://a.example/z)")]
    ['https://a.example/x', 'a.example/y', 'https://a.example/z']
    >>> unwrap("- see below"), unwrap("https://a.example/(x)")
    ('- see below', 'https://a.example/(x)')
    """
    if not is_wrapped_at_its_ends(text):
        return text
    inner = BULLET.sub("", text, count=1) if BULLET.match(text) else text
    if link := LINK.fullmatch(inner):
        inner = link[1]
    inner = _without_ends(inner)
    return inner if ADDRESS.match(inner) else text


def count_wrapped(texts: Iterable[str]) -> int:
    """Return how many lines hold a URL inside other text."""
    return sum(unwrap(text) != text for text in texts if is_wrapped_at_its_ends(text))


def is_wrapped_at_its_ends(text: str) -> bool:
    """Return whether a line begins or ends as URLs hardly do."""
    return text[:1] in FIRST or text[-1:] in LAST


def _without_ends(text: str) -> str:
    """Return a text without the pairs around it, and the punctuation behind it."""
    # By numbers, as a line may begin with thousands of brackets, and each copy of it takes time.
    start, stop = 0, len(text)
    while start < stop:
        first, last = text[start], text[stop - 1]
        # A bracket behind a URL closes one in it, as in Wikipedia's.
        is_pair = stop - start > 1 and PAIRS.get(first) == last
        if not (is_pair or last in BEHIND or last.isspace() or first.isspace()):
            break
        start += is_pair or first.isspace()
        stop -= is_pair or last in BEHIND or last.isspace()
    return text[start:stop]
