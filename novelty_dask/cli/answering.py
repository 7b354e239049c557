"""Answering of standard input, line by line, until it ends or SIGTERM comes."""

import json
import math
import os
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

from novelty_dask.answers import Answer, Answerer
from novelty_dask.cli.line_by_line import CHANGING
from novelty_dask.cli.streams import emit
from novelty_dask.cli.terminal import escape, number
from novelty_dask.interrupts import Terminated
from novelty_dask.kernels.text.lines import LineBatch, Rejected, split_lines
from novelty_dask.kernels.text.wrapped import refang, unwrap

CHANGES = dict(zip(CHANGING, (refang, unwrap), strict=True))
CHUNK_BYTES = 1 << 16


def make_answerer(
    against: str, given: list[str], memory_limit: int | None = None, since: int | None = None
) -> Answerer:
    """Return what answers the lines, by the rows of a run that were seen since a time."""
    changes = [change for name, change in CHANGES.items() if name in given]

    def change_all(batch: LineBatch) -> LineBatch:
        for change in changes:
            batch = batch.changed(change)
        return batch

    return Answerer(against, change_all, memory_limit, since)


def answer_input(answerer: Answerer, *, as_json: bool) -> None:
    """Print an answer for each line of standard input as soon as it has come."""
    show = _to_json if as_json else _to_text
    with _Waiting() as waiting:
        chunks = iter(waiting.read, b"")
        lines = (line for lines in split_lines(chunks) for line in lines)
        emit((show(answerer.answer(line)) for line in waiting.until_stopped(lines)), at_once=True)


class _Waiting:
    """Reading of standard input that SIGTERM ends: between two lines, never inside an answer."""

    def __enter__(self) -> "_Waiting":
        """Take SIGTERM."""
        self._is_reading = self._is_stopped = False
        self._before = signal.signal(signal.SIGTERM, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        """Take SIGTERM as before."""
        signal.signal(signal.SIGTERM, self._before)

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        """Stop: now if nothing is being answered, else after that."""
        self._is_stopped = True
        if self._is_reading:
            raise Terminated

    def read(self) -> bytes:
        """Return what has come, at least one byte; nothing at the end, or if it is to stop."""
        try:
            self._is_reading = True
            # The signal may have come before the line above.  Not by sys.stdin, which waits for as many bytes
            # as are asked for.
            return b"" if self._is_stopped else os.read(0, CHUNK_BYTES)
        except Terminated:
            return b""
        finally:
            self._is_reading = False

    def until_stopped(self, lines: Iterator[bytes]) -> Iterator[bytes]:
        """Yield lines until it is to stop."""
        for line in lines:
            # Half a line is left over where the signal came, which is no URL.
            if self._is_stopped:
                return
            yield line


def _to_text(answer: Answer | Rejected) -> str:
    """Return an answer as rows are printed, or a line on one that was rejected."""
    if isinstance(answer, Rejected):
        return f"rejected\t{answer.sample}\t{answer.reason}"
    return f"{number(answer.novelty)}\t{escape(answer.url)}"


def _to_json(answer: Answer | Rejected) -> str:
    """Return an answer as an object in JSON, its numbers as those of exports."""
    if isinstance(answer, Rejected):
        return json.dumps({"rejected": answer.reason, "sample": answer.sample})
    document: dict[str, Any] = {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in answer._asdict().items()
    }
    document["neighbors"] = [
        # In as few digits as identify it.
        {"url": url, "similarity": float(str(similarity))}
        for url, similarity in answer.neighbors
    ]
    return json.dumps(document)
