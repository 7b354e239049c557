"""Tiles of all pairs: which there are, what the task of one computes, and the form in which it is stored.

A task has the rows of one block as candidates, prepared once, and compares those of a few blocks before it,
and of the block itself, with them.  So each pair is met once.  What it finds is stored a *part* at a time, as
sparse rows that follow each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from novelty_dask.engines.threshold import Candidates, Pairs, ThresholdEngine
from novelty_dask.errors import StoreError
from novelty_dask.execution.advances import reported
from novelty_dask.execution.compilation import report_compilation
from novelty_dask.objects.address import open_objects
from novelty_dask.objects.commits import Commit, Commits, Draft, Metrics
from novelty_dask.objects.owners import check_epoch
from novelty_dask.planning.sizes import pairs_bytes
from novelty_dask.planning.stages import TaskId
from novelty_dask.progress import advance
from novelty_dask.similar.forests import Reducer
from novelty_dask.storage.runs import open_complete

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import scipy.sparse as sp

    from novelty_dask.planning.tiles import TilePlan
    from novelty_dask.storage.manifest import Manifest
    from novelty_dask.storage.runs import StoredRun

STAGE = "pairs"
"""Stage of all tasks, as people see it."""
TILE_BLOCKS = 8
"""Most blocks of rows that a task compares with its candidates."""
HEADER = np.dtype("<i8")


class Job(NamedTuple):
    """The pairs of a run that are to be found, and where they are stored.

    Parameters
    ----------
    run : str
        Path or URL of the run.
    folder : str
        Path or URL of the folder for tiles.
    fingerprint : str
        Of the run as it is stored, and of what is computed.
    at_least : float
        Least similarity.
    is_reduced : bool
        True to keep a forest that connects what the pairs connect, in place of all of them.
    epoch : int
        Of the client that owns the folder.
    """

    run: str
    folder: str
    fingerprint: str
    at_least: float
    is_reduced: bool
    epoch: int = 0


class Part(NamedTuple):
    """A stored part: its key, the block of its rows, the first and last of these, and its pairs."""

    key: str
    block: int
    first: int
    last: int
    pairs: int


def list_items(plan: TilePlan) -> list[str]:
    """Return the items of all tasks: a block of candidates, and the number of some blocks before it.

    >>> from novelty_dask.planning.tiles import TilePlan
    >>> list_items(TilePlan(n_rows=9, block_rows=1, span_blocks=1, group_blocks=1))[-3:]
    ['7-0', '8-0', '8-1']
    """
    return [f"{block}-{group}" for block in range(plan.n_blocks) for group in range(block // TILE_BLOCKS + 1)]


def tile_bytes(manifest: Manifest) -> int:
    """Return the most bytes that a task holds."""
    assert manifest.plan
    rows = min(manifest.plan.block_rows, manifest.plan.n_rows)
    return pairs_bytes(manifest.widest_block or 0, rows, manifest.shape.n_features)


def perform(job: Job, item: str) -> Metrics:
    """Find the pairs of a tile and commit them, unless that is done; return the metrics of its task.

    Raises
    ------
    StoreError
        The run or the folder can't be seen from here, or the folder has another owner now.
    """
    report_compilation()
    objects = open_objects(job.folder)
    commits, task = Commits(objects, job.fingerprint), TaskId(STAGE, item)
    if done := commits.find(task):
        return done.metrics
    with reported(job.folder, STAGE, item):
        draft = Draft(task, objects)
        metrics = _Tile(open_complete(job.run), job, draft).store()
        # Last, as the folder may have got another owner meanwhile.  Parts without a commit count for nothing.
        check_epoch(objects, job.epoch)
        commit = Commit(job.fingerprint, job.epoch, draft.digests, metrics)
        return commits.add(task, commit).metrics


class _Tile:
    """The work of one task."""

    def __init__(self, run: StoredRun, job: Job, draft: Draft) -> None:
        assert run.manifest.plan
        self.plan, self.job, self.draft = run.manifest.plan, job, draft
        self.arrays = run.arrays()
        self.engine = ThresholdEngine(self.arrays.read_breakpoints(), job.at_least)
        self.parts: list[Part] = []

    def store(self) -> Metrics:
        """Store all parts; return the metrics."""
        block, group = map(int, self.draft.task.item.split("-"))
        rows = range(group * TILE_BLOCKS, min((group + 1) * TILE_BLOCKS, block + 1))
        if self.job.is_reduced:
            reducer = Reducer(self.plan.n_rows)
            for _, pairs in self._find(block, rows):
                reducer.add(pairs)
            self._write(f"{block}/{group}", block, reducer.forest())
            degrees = reducer.degrees()
            self.draft.write(f"degrees/{block}/{group}", pack(degrees))
        else:
            for number, (row, pairs) in enumerate(self._find(block, rows)):
                self._write(f"{block}/{row}-{number}", row, pairs)
        return {**self.engine.counts, "parts": self.parts}

    def _find(self, block: int, rows: Sequence[int]) -> Iterator[tuple[int, Pairs]]:
        """Yield the pairs of some blocks with candidates, each with its block."""
        X = self._read(block)
        candidates = Candidates(X, self.engine)
        for number, row in enumerate(rows):
            starts = self.plan.bounds(row)[0], self.plan.bounds(block)[0]
            for pairs in self.engine.find(X if row == block else self._read(row), candidates, starts):
                yield row, pairs
            advance(number + 1, len(rows))

    def _read(self, block: int) -> sp.csr_matrix:
        """Return the weights of a block."""
        start, stop = self.plan.bounds(block)
        return self.arrays.read_csr("weights", block, (stop - start, self.engine.n_columns))

    def _write(self, name: str, block: int, pairs: Pairs) -> None:
        """Store a part, unless it is empty."""
        if pairs.rows.size:
            key = f"tiles/{name}"
            self.draft.write(key, pack(pairs))
            first, last = int(pairs.rows[0]), int(pairs.rows[-1])
            self.parts.append(Part(key, block, first, last, pairs.rows.size))


def pack(pairs: Pairs) -> bytes:
    """Return pairs as bytes, compressed.

    >>> unpack(pack(Pairs(np.array([1]), np.array([2]), np.array([0.5], np.float32))))
    Pairs(rows=array([1]), others=array([2]), similarities=array([0.5], dtype=float32))
    """
    ids = pairs.rows.astype("<i8").tobytes() + pairs.others.astype("<i8").tobytes()
    data = ids + pairs.similarities.astype("<f4").tobytes()
    packed: bytes = pa.Codec("zstd").compress(data, asbytes=True)
    # The number of pairs comes first: the decompressor has to know how much it makes.
    return np.array(pairs.rows.size, HEADER).tobytes() + packed


def unpack(data: bytes) -> Pairs:
    """Return the pairs that were packed.

    Raises
    ------
    StoreError
        These are no pairs.
    """
    try:
        size = int(np.frombuffer(data, HEADER, 1)[0])
        raw = pa.Codec("zstd").decompress(data[HEADER.itemsize :], 20 * size, asbytes=True)
        ends = [0, 8 * size, 16 * size, 20 * size]
        kinds = ("<i8", "<i8", "<f4")
        return Pairs(*(np.frombuffer(raw[ends[n] : ends[n + 1]], kind) for n, kind in enumerate(kinds)))
    except (ValueError, OSError, IndexError):
        message = "A part of a tile holds no pairs; remove the folder of tiles, and start again."
        raise StoreError(message) from None
