"""Pieces of sources, read as the pipeline reads them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import dask.bag as db

from novelty_dask.execution.bags import make_bag
from novelty_dask.execution.executors import Executor
from novelty_dask.kernels.choices import NormalForm
from novelty_dask.planning.budget import Budget
from novelty_dask.readers.lines import LineReader
from novelty_dask.sources.find import Source, find_sources
from novelty_dask.sources.pieces import PIECE_BYTES, Piece, split
from novelty_dask.stages.ingest import PieceRead, ingest
from novelty_dask.storage.runs import StoredRun, create_run
from tests.support.runs import NOBODY, make_manifest

BUDGET = Budget(n_neighbors=10, n_features=2**20, entries_a_byte=1, threads=1, limit=10**9)


class Reading(NamedTuple):
    """A run, and what its pieces left."""

    run: StoredRun
    reads: list[PieceRead]


def cut_lines(sources: Sequence[Source], piece_bytes: int = PIECE_BYTES) -> list[Piece]:
    """Return the pieces of lists of lines."""
    return split(sources, LineReader().cut, piece_bytes)


def read_pieces(
    sources: Sequence[Source], numbered: Sequence[tuple[int, Piece]], run: str, epoch: int
) -> db.Bag:
    """Return the bag that reads some pieces, of which each has its number."""
    parts = [(number, piece, sources[piece.source]) for number, piece in numbered]
    return make_bag(parts, ingest, run, epoch)


def read_lines(
    executor: Executor, folder: Path, lines: list[str], piece_bytes: int, form: NormalForm = "raw"
) -> Reading:
    """Read lines from two files into a run."""
    (folder / "1.txt").write_text("\n".join(lines[: len(lines) // 3]), encoding="utf-8")
    (folder / "2.txt").write_text("\n".join(lines[len(lines) // 3 :]), encoding="utf-8")
    sources = find_sources([f"{folder}/*.txt"])
    run = create_run(str(folder / "run.zarr"), make_manifest(normal_form=form))
    bag = read_pieces(sources, list(enumerate(cut_lines(sources, piece_bytes))), run.url, NOBODY)
    return Reading(run, sorted(PieceRead.of(each) for part in executor.compute(bag) for each in part))
