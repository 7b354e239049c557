"""Times of records: the last of their further fields, taken from what rows keep."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from novelty_dask.kernels.text.lines import Reason, Rejected, sample_of
from novelty_dask.kernels.text.times import parse_time
from novelty_dask.readers.records import write_kept

if TYPE_CHECKING:
    from novelty_dask.kernels.text.lines import LineBatch


def take_times(batch: LineBatch) -> LineBatch:
    """Return a batch whose last further field is its time; lines without one are rejected.

    >>> from novelty_dask.kernels.text.lines import LineBatch
    >>> kept = ['["a", "1970-01-02"]', '["b", null]']
    >>> batch = take_times(LineBatch(np.array([4, 5]), ["a.example", "b.example"], [], 2, kept))
    >>> batch.texts, batch.kept, batch.times.tolist()
    (['a.example'], ['["a"]'], [86400000000])
    >>> batch.rejected
    [Rejected(number=5, reason=<Reason.NO_TIME: 'no-time'>, sample='')]
    """
    times = np.zeros(len(batch.texts), np.int64)
    is_dated = np.ones(len(batch.texts), np.bool_)
    kept: list[str] = []
    rejected: list[Rejected] = []
    for slot, record in enumerate(batch.kept or ()):
        *others, text = json.loads(record)
        moment = parse_time(text or "")
        if moment is None:
            reason = Reason.BAD_TIME if (text or "").strip() else Reason.NO_TIME
            # What is shown of the line is what is wrong with it.
            rejected.append(Rejected(int(batch.numbers[slot]), reason, sample_of((text or "").encode())))
            is_dated[slot] = False
        else:
            times[slot] = moment
        if others:
            kept.append(write_kept(others))
    return batch._replace(kept=kept or None, times=times).chosen(is_dated, rejected)
