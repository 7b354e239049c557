"""Records on their way to a batch: accepted, rejected or passed over, by the line on which each begins."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from novelty_dask.kernels.text.lines import (
    KEPT_CHARACTERS,
    LineBatch,
    Reason,
    Rejected,
    decode_line,
    sample_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH_RECORDS = 4_096
BATCH_BYTES = 2**20
"""Records of a batch and bytes of their text, at about which it is yielded."""


class Gathered:
    """Records of a stream, gathered until they are a batch.

    Attributes
    ----------
    end : int
        Number of the line behind the last batch.
    """

    def __init__(self) -> None:
        self.end = 0
        self._numbers: list[int] = []
        self._texts: list[str] = []
        self._rejected: list[Rejected] = []
        self._kept: list[str] = []
        self._n_bytes = 0

    @property
    def is_full(self) -> bool:
        """True if they are enough for a batch."""
        n_records = len(self._numbers) + len(self._rejected)
        return n_records >= BATCH_RECORDS or self._n_bytes >= BATCH_BYTES

    def add(self, number: int, raw: bytes | None, kept: Sequence[str | None] | None = None) -> None:
        """Add a record by its text in bytes, which may be no text at all, with further fields of it.

        None is a text that is missing.
        """
        if raw is None:
            self.reject(number, Reason.MISSING, b"")
            return
        # A row is one line wherever it is written.
        text = Reason.MALFORMED if b"\n" in raw.strip() else decode_line(raw)
        if isinstance(text, Reason):
            # Rejected lines take memory too, and may be many; their samples are short.
            self.reject(number, text, raw)
        else:
            self._numbers.append(number)
            self._texts.append(text)
            self._n_bytes += len(text)
            if kept is not None:
                self._kept.append(write_kept(kept))
                self._n_bytes += len(self._kept[-1])

    def take(self, number: int, text: str) -> None:
        """Add a text that was accepted before, whatever it looks like."""
        self._numbers.append(number)
        self._texts.append(text)

    def reject(self, number: int, reason: Reason, raw: bytes) -> None:
        """Add a record that is rejected."""
        self._rejected.append(Rejected(number, reason, sample_of(raw)))

    def pop(self, end: int) -> LineBatch:
        """Return the records before a line as a batch, and begin the next."""
        numbers, kept = np.array(self._numbers, np.int64), self._kept or None
        batch = LineBatch(numbers, self._texts, self._rejected, end - self.end, kept)
        self._numbers, self._texts, self._rejected, self._kept, self._n_bytes = [], [], [], [], 0
        self.end = end
        return batch


def write_kept(fields: Sequence[str | None]) -> str:
    r"""Return further fields of a record as a list in JSON; bytes that are no text are escaped.

    >>> write_kept(["2026-11-26", None, "caf\udce9"])
    '["2026-11-26", null, "caf\\\\udce9"]'
    """
    texts = [None if field is None else _visible(field[:KEPT_CHARACTERS]) for field in fields]
    return json.dumps(texts, ensure_ascii=False)


def _visible(field: str) -> str:
    """Return a field as text, no longer than rows keep."""
    # Bytes that are no UTF-8 came as lone surrogates, which no file of text can have; written out they are
    # longer.
    return field.encode("utf-8", "backslashreplace").decode()[:KEPT_CHARACTERS]
