"""Records on their way to a batch: accepted, rejected or passed over, by the line on which each begins."""

from __future__ import annotations

import numpy as np

from novelty_dask.kernels.text.lines import LineBatch, Reason, Rejected, decode_line, sample_of

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
        self._n_bytes = 0

    @property
    def is_full(self) -> bool:
        """True if they are enough for a batch."""
        n_records = len(self._numbers) + len(self._rejected)
        return n_records >= BATCH_RECORDS or self._n_bytes >= BATCH_BYTES

    def add(self, number: int, raw: bytes | None) -> None:
        """Add a record by its text in bytes, which may be no text at all, or None where it is missing."""
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

    def reject(self, number: int, reason: Reason, raw: bytes) -> None:
        """Add a record that is rejected."""
        self._rejected.append(Rejected(number, reason, sample_of(raw)))

    def pop(self, end: int) -> LineBatch:
        """Return the records before a line as a batch, and begin the next."""
        batch = LineBatch(np.array(self._numbers, np.int64), self._texts, self._rejected, end - self.end)
        self._numbers, self._texts, self._rejected, self._n_bytes = [], [], [], 0
        self.end = end
        return batch
