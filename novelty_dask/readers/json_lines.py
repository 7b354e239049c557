"""JSON lines: one object a line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from novelty_dask.errors import InputError
from novelty_dask.kernels.text.lines import Reason, split_lines
from novelty_dask.readers.columns import name_column
from novelty_dask.readers.readers import StreamReader
from novelty_dask.readers.records import Gathered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from novelty_dask.kernels.text.lines import LineBatch

RECORD_BYTES = 2**24
"""Longest line that is read; others are rejected."""


class JsonLinesReader(StreamReader):
    """Reader of one field of the objects of JSON lines.

    Parameters
    ----------
    column : str or None
        Name of the field; names of fields within fields are joined by dots, as in ``request.endpoint``.
    keep : sequence of str
        Other fields that rows keep, named alike.
    """

    by_lines = True

    def __init__(self, column: str | None, keep: Sequence[str] = ()) -> None:
        self._column = column
        self._keep = keep

    def scan(self, name: str, chunks: Iterator[bytes], *, is_start: bool) -> Iterator[LineBatch]:
        """Yield the objects of consecutive chunks."""
        gathered = Gathered()
        for raws in split_lines(chunks, RECORD_BYTES, first_chunk_is_start=is_start):
            # The first object shows which names there are; blank lines may be before it.
            if self._column is None:
                raise InputError(name_column(name, next(filter(None, map(_fields, raws)), [])))
            for number, raw in enumerate(raws, gathered.end):
                self._take(number, raw, gathered)
            yield gathered.pop(gathered.end + len(raws))

    def _take(self, number: int, raw: bytes, gathered: Gathered) -> None:
        """Add the field of an object, or reject the line."""
        if len(raw) > RECORD_BYTES:
            gathered.reject(number, Reason.TOO_LONG, raw)
            return
        if not raw.strip():
            gathered.reject(number, Reason.BLANK, raw)
            return
        try:
            value = from_json(raw)
        except ValueError:
            gathered.reject(number, Reason.MALFORMED, raw)
            return
        text = find_field(value, self._column or "")
        if isinstance(text, str):
            kept = [_text(find_field(value, name)) for name in self._keep] if self._keep else None
            gathered.add(number, text.encode("utf-8", "surrogatepass"), kept)
        else:
            gathered.reject(number, Reason.MISSING, raw)


def find_field(value: Any, column: str) -> Any:
    """Return the value of a field of an object, None if it has none.

    >>> find_field({"request": {"endpoint": "/x"}, "a.b": "/y"}, "request.endpoint")
    '/x'
    >>> find_field({"request": {"endpoint": "/x"}, "a.b": "/y"}, "a.b")
    '/y'
    """
    if not isinstance(value, dict):
        return None
    # A name that has a dot itself comes first.
    if column in value:
        return value[column]
    head, dot, rest = column.partition(".")
    return find_field(value.get(head), rest) if dot else None


def _text(value: Any) -> str | None:
    """Return a value as text: strings as they are, others in JSON; None for null."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _fields(raw: bytes) -> list[str]:
    """Return the names of the fields of an object, those within others joined by dots."""
    try:
        value = from_json(raw)
    except ValueError:
        return []
    return [*_names(value)]


def _names(value: Any, prefix: str = "") -> Iterator[str]:
    """Yield the names of the fields that hold no fields."""
    for name, inner in value.items() if isinstance(value, dict) else ():
        if isinstance(inner, dict):
            yield from _names(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"
