"""Recognition of texts that are no lists of URLs, by their first lines; never by a comma alone.

A table has records of equally many fields, one of them with URLs, and what no list has: a header, quotes, or
a field before the URL.
"""

from __future__ import annotations

import csv
import re

from pydantic_core import from_json

from novelty_dask.errors import InputError
from novelty_dask.kernels.text.lines import is_comment, sample_of
from novelty_dask.kernels.text.wrapped import ADDRESS
from novelty_dask.readers.kinds import (
    DOCUMENTS,
    JSON_LINES,
    JSON_LOG,
    PATTERNS,
    REQUEST,
    SPECIAL,
    STARTS,
    Kind,
)
from novelty_dask.sources.signatures import check_text

BEGINNING_BYTES = 2**16
"""First bytes of a source that are looked at."""
LINES = 100
"""First lines that are looked at, without comments and empty ones."""
MATCHED_BYTES = 2**10
"""First bytes of a line in which a pattern is sought: its time may grow with the square of their number."""
RAGGED_SHARE = 0.5
"""Share of the records behind a header that have as many fields."""
SHARE = 0.9
"""Share of them that must be of the kind."""
_BOM = b"\xef\xbb\xbf"


def check_list(name: str, beginning: bytes) -> None:
    """Refuse a source that is no list of URLs, one a line.

    Parameters
    ----------
    name : str
        Name to use in the message, in quotes.
    beginning : bytes
        Its first bytes, decompressed.

    Raises
    ------
    InputError
        It is no text, or is recognized as something else.
    """
    kind = recognize(beginning)
    # What is recognized may hold bytes that are no text, as the payloads of web archives are.
    if not kind:
        check_text(name, beginning)
    else:
        [first] = beginning.lstrip(_BOM).lstrip().split(b"\n", 1)[:1]
        shown = sample_of(first.rstrip())
        message = (
            f"{name} looks like {kind.name} (it begins with {shown!r}); {kind.remedy}, or score its lines as "
            "they are with --input-format lines."
        )
        raise InputError(message)


def recognize(beginning: bytes) -> Kind | None:
    r"""Return what a text is by its first bytes, None if it may be a list of URLs.

    >>> recognize(b"id,url\n1,https://a.example/x\n2,https://a.example/y\n")
    Kind(name='CSV', form=None, table='csv')
    >>> recognize(b"https://a.example/1,2.html\nhttps://a.example/3,4.html\n")
    """
    text = beginning[:BEGINNING_BYTES].removeprefix(_BOM).lstrip()
    if kind := _recognize_start(text):
        return kind
    lines = [line.rstrip(b"\r") for line in _whole_lines(text, is_all=len(beginning) < BEGINNING_BYTES)]
    lines = [line for line in lines if line.strip() and not is_comment(line)][:LINES]
    return _recognize_json(text, lines) or _recognize_lines(lines) or _recognize_table(lines)


def _recognize_start(text: bytes) -> Kind | None:
    """Return the kind that the first bytes of a text name."""
    start = text[:64].lower()
    kind = next((kind for mark, kind in STARTS.items() if start.startswith(mark)), None)
    pattern, special = SPECIAL.get(kind, (None, None))
    return special if pattern and re.search(pattern, text) else kind


def _whole_lines(text: bytes, *, is_all: bool) -> list[bytes]:
    """Return the lines of a beginning, the last one only if nothing follows."""
    # A record that is cut has fewer fields than the others.
    lines = text.split(b"\n")
    return lines if is_all or len(lines) == 1 else lines[:-1]


def _recognize_json(text: bytes, lines: list[bytes]) -> Kind | None:
    """Return the kind of JSON that a text is."""
    if text[:1] not in b"{[" or not lines:
        return None
    # First, as a document may be one line.
    if kind := next((kind for pattern, kind in DOCUMENTS.items() if re.match(pattern, text)), None):
        return kind
    if all(map(_is_object, lines[:3])) and text.startswith(b"{"):
        return JSON_LOG if re.search(REQUEST, lines[0]) else JSON_LINES
    # The address of IPv6 in brackets is none.
    return Kind("JSON") if re.match(rb'(?:\{\s*["}]|\[\s*[\[{"\]])', text) else None


def _is_object(line: bytes) -> bool:
    """Return whether a line is an object of JSON."""
    try:
        # Numbers and strings are JSON, too, and lines of lists.
        return isinstance(from_json(line), dict)
    except ValueError:
        return False


def _recognize_lines(lines: list[bytes]) -> Kind | None:
    """Return the kind that most lines are."""
    starts = [line[:MATCHED_BYTES] for line in lines]
    for pattern, kind in PATTERNS.items():
        if starts and sum(re.match(pattern, start) is not None for start in starts) >= SHARE * len(starts):
            return kind
    return None


def _recognize_table(lines: list[bytes]) -> Kind | None:
    """Return the kind of table that a text is."""
    # The tab first: it is in no URL, so that other delimiters may be parts of fields.
    texts = [line.decode("utf-8", "replace") for line in lines]
    for delimiter, kind in {
        "\t": Kind("TSV", table="tsv"),
        ",": Kind("CSV", table="csv"),
        ";": Kind("CSV", table="csv"),
        "|": Kind("CSV", table="csv"),
    }.items():
        if _is_table(texts, delimiter):
            return kind
    return None


def _is_table(lines: list[str], delimiter: str) -> bool:
    """Return whether lines are the records of a table."""
    first, *rest = _parse(lines, delimiter) or [[]]
    # Behind a header that names columns and no address, some records may lack their last fields.
    is_named = not any(map(ADDRESS.match, first))
    n_whole = sum(len(record) == len(first) for record in rest)
    if not rest or len(first) < 2 or n_whole < len(rest) * (RAGGED_SHARE if is_named else 1):
        return False
    shares = [
        sum(ADDRESS.match(record[place]) is not None for record in rest if place < len(record)) / len(rest)
        for place in range(len(first))
    ]
    if max(shares) < SHARE:
        return False
    # Lists have URLs with commas in them, and neither names of columns nor quotes nor fields before the URL.
    is_headed = ADDRESS.match(first[0]) is None
    return shares[0] < SHARE or is_headed or lines[-1].startswith('"')


def _parse(lines: list[str], delimiter: str) -> list[list[str]]:
    """Return the records of lines, the last possibly cut; none if they are no table."""
    reader, records = csv.reader(lines, delimiter=delimiter, strict=True), []
    try:
        for record in reader:
            records.append(record)  # noqa: PERF402 - those before an error count
    except csv.Error:
        return records if reader.line_num == len(lines) else []
    return records
