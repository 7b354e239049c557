"""The rows of a run and new ones beside it, in the order of all their keys.

Both are in that order already, and `locate` found the place of each new row among those of the run.  So a
number of a row follows from a number there by adding how many new rows stand before it: that keeps the order,
and with it which of two equally similar neighbors is the better one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from novelty_dask.planning.arrays import REJECTED_CHUNK
from novelty_dask.stages.tasks import Candidates, TaskResult, Workspace
from novelty_dask.storage.growths import find_fresh, open_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.storage.runs import StoredRun

REJECTED_ARRAYS = ("rejected/source", "rejected/line", "rejected/reason", "rejected/sample")
ROWS = ("rows/url", "rows/count", "rows/position", "rows/spellings", "rows/kept")


class MergedRows:
    """The rows of a run that is being made of another and of new rows.

    Parameters
    ----------
    run : StoredRun

    Attributes
    ----------
    base, added : Candidates
        The run that grows, and the new rows.
    fresh : ndarray of int64
        Numbers of the new rows that the base lacks, ascending.
    ids : ndarray of int64
        Numbers that these have in the run that is made.
    """

    def __init__(self, run: StoredRun) -> None:
        base, added = open_parts(run)
        self.base, self.added = _open(base), _open(added)
        assert base.manifest.totals
        self._base_lines = base.manifest.totals.lines
        self._located = self.added.arrays.read("rows/place")
        self.fresh = find_fresh(self.added.arrays)
        self._places = self._located[self.fresh]
        self.ids = self._places + np.arange(self.fresh.size)

    def number(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the numbers that rows of the base have in the run that is made; -1 stays."""
        return np.where(ids < 0, ids, ids + np.searchsorted(self._places, ids, side="right"))

    def cut(self, start: int, stop: int) -> tuple[slice, slice]:
        """Return which rows of the base, and which of the fresh ones, consecutive rows are."""
        first, last = (int(np.searchsorted(self.ids, bound)) for bound in (start, stop))
        # What stands before a row and is not fresh is of the base.
        return slice(start - first, stop - last), slice(first, last)

    def are_fresh(self, start: int, stop: int) -> NDArray[np.bool_]:
        """Return which of consecutive rows are fresh."""
        _, fresh = self.cut(start, stop)
        answer = np.zeros(stop - start, np.bool_)
        answer[self.ids[fresh] - start] = True
        return answer

    def read_fresh(self, name: str, fresh: slice) -> NDArray[Any]:
        """Return the part of an array of the new rows that belongs to consecutive fresh ones."""
        rows = self.fresh[fresh]
        if not rows.size:
            return self.added.arrays.read(name, slice(0, 0))
        # Rows of the base lie between them, but one read takes less time than many.
        first = int(rows[0])
        return self.added.arrays.read(name, slice(first, int(rows[-1]) + 1))[rows - first]

    def read(self, start: int, stop: int) -> dict[str, NDArray[Any]]:
        """Return consecutive rows; what both have is counted in both, and else is as the base has it."""
        old, fresh = self.cut(start, stop)
        is_fresh = self.are_fresh(start, stop)
        rows = {}
        for name in ROWS:
            if name not in self.base.arrays.layout.specs:
                continue
            known, new = self.base.arrays.read(name, old), self.read_fresh(name, fresh)
            rows[name] = np.empty(stop - start, known.dtype)
            rows[name][~is_fresh], rows[name][is_fresh] = known, new
        rows["rows/position"][is_fresh] += self._base_lines
        self._count_known(rows, old, np.flatnonzero(~is_fresh))
        return rows

    def _count_known(self, rows: dict[str, NDArray[Any]], old: slice, slots: NDArray[np.int64]) -> None:
        """Add what new rows tell of those rows of the base that they repeat."""
        first, last = (int(np.searchsorted(self._located, bound)) for bound in (old.start, old.stop))
        among = slice(first, last)
        known = self.added.arrays.read("known", among)
        places = slots[self._located[among][known] - old.start]
        rows["rows/count"][places] += self.added.arrays.read("rows/count", among)[known]
        # The spellings themselves are not kept: there are at least as many as either of both has.
        spellings = self.added.arrays.read("rows/spellings", among)[known]
        rows["rows/spellings"][places] = np.maximum(rows["rows/spellings"][places], spellings)


def _open(run: StoredRun) -> Candidates:
    """Return the arrays of a run, and how they are cut into blocks."""
    assert run.manifest.plan
    return Candidates(run.arrays(is_reference=True), run.manifest.plan)


def merge_rejected(workspace: Workspace, item: str) -> TaskResult:
    """Return a chunk of the rejected lines of a run and of new ones, in the order of their sources."""
    runs = open_parts(workspace.run)
    start, parts, before, n_sources = int(item) * REJECTED_CHUNK, [], 0, 0
    for run in runs:
        totals = run.manifest.totals
        n_rejected = totals.n_rejected if totals else 0
        first, last = (min(max(bound - before, 0), n_rejected) for bound in (start, start + REJECTED_CHUNK))
        if first < last:
            arrays, lines = run.arrays(is_reference=True), slice(first, last)
            part = {name: arrays.read(name, lines) for name in REJECTED_ARRAYS}
            part["rejected/source"] = part["rejected/source"] + np.int32(n_sources)
            parts.append(part)
        before += n_rejected
        n_sources += len(run.manifest.sources)
    return TaskResult({name: np.concatenate([part[name] for part in parts]) for name in REJECTED_ARRAYS})
